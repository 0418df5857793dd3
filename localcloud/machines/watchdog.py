"""Runs a command for as long as its own standard input stays open: a machine must not outlive whoever started it.

Run as a file by `python -S -E watchdog.py COMMAND...`. Its starter holds the other end of standard input; when that
closes, on purpose or because the starter died in whatever way, the command is asked to end and then made to. The
command also dies with this process. (A death signal set by the starter itself would fire as soon as the *thread* that
started the machine ended.)
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys

# linux/prctl.h
PR_SET_PDEATHSIG = 1
# QEMU ends within milliseconds of SIGTERM; more than this means that it hangs.
GRACE_SECONDS = 5


def main(command: list[str]) -> int:
    """Run the command to its end and return its exit code (128 + number for a signal)."""
    libc = ctypes.CDLL(None, use_errno=True)
    # One thread and nothing but a system call between fork and exec: what preexec_fn is safe for.
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    )
    ended = os.pidfd_open(child.pid)
    ready, _, _ = select.select([0, ended], [], [])
    if ended not in ready:
        _end(child)
    status = child.wait()
    return status if status >= 0 else 128 - status


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
