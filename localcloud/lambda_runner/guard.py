"""Runs a worker for as long as its own standard input stays open: no worker outlives the runner that started it.

Run as a file by `python -S -E guard.py COMMAND...`. The runner holds the other end of standard input; when that
closes, on purpose or because the runner died in whatever way, the worker and all that it started are killed: a sandbox
is frozen and dropped, never asked. What a handler has put into another session is found too, since whatever loses its
parent becomes this process's child.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Run the command to its end and return its exit code (128 + number for a signal)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    # One thread and nothing but a system call between fork and exec: what preexec_fn is safe for.
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    ended = os.pidfd_open(child.pid)
    select.select([0, ended], [], [])
    # Both ways: a worker that ended by itself may have left something behind.
    if child.poll() is None:
        child.kill()
    status = child.wait()
    _end_rest()
    return status if status >= 0 else 128 - status


def _end_rest() -> None:
    """Kill what is left; its own children come here in turn, until there are none."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while pids := children.read_text(encoding="ascii").split():
        for pid in pids:
            os.kill(int(pid), signal.SIGKILL)
            os.waitpid(int(pid), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
