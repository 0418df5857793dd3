"""Starts and stops the embedded clouds in a process of their own, tells whether they run, and asks things of them."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from failback.errors import LocalCloudError
from localcloud.embedded.state_file import LOG_FILE, STATE_FILE, EmbeddedState, read_holder, read_state, start_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.target import HomeName

PROGRESS = "progress: "
"""How the lines of the log begin that are meant for whoever waits for the start."""
START_SECONDS = 2400.0
"""The longest start: a stand-in ISO built anew (two minutes), every package of the functions fetched (many)."""
STOP_SECONDS = 40.0
"""What an orderly end may take: each machine gets some seconds to go, then it's killed."""
LOOK_SECONDS = 0.1
ANSWER_SECONDS = 10
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What to start. Without `iso` a stand-in of the given size is built; `assembly` is deployed instead of the app's.

    `machines` are real ones by QEMU, or scripted ones without a processor. `wait_scale` is how long a second of a
    Wait state lasts: real clouds take their time between two looks, these have changed at once. `schedule_scale` is the
    same for schedules: a small server's replication is over within the watcher's minute. `servers` is how many servers
    a failover has left in AWS, `homes` where they may be taken: the deployment has a target at each.
    """

    iso: Path | None = None
    standin: Literal["small", "real"] = "small"
    machines: Literal["qemu", "scripted"] = "qemu"
    assembly: Path | None = None
    faults: Path | None = None
    wait_scale: float = 0.3
    schedule_scale: float = 0.1
    port: int = 0
    servers: int = 1
    homes: tuple[HomeName, ...] = ("azure",)

    def arguments(self) -> list[str]:
        """As the daemon's command line takes them."""
        given = {"--iso": self.iso, "--assembly": self.assembly, "--faults": self.faults}
        paths = [part for name, path in given.items() if path for part in (name, str(path.resolve()))]
        plain = ["--standin", self.standin, "--machines", self.machines, "--servers", str(self.servers)]
        scales = ["--wait-scale", str(self.wait_scale), "--schedule-scale", str(self.schedule_scale)]
        homes = [part for home in self.homes for part in ("--home", home)]
        return [*paths, *plain, *scales, *homes, "--port", str(self.port)]


def start(
    folder: Path, options: StartOptions | None = None, on_progress: Callable[[str], None] = lambda _line: None
) -> EmbeddedState:
    """Start the clouds and wait until all is ready; clouds that run already are left as they are.

    Raises LocalCloudError with the end of the log if they can't be started.
    """
    running = status(folder)
    if running is not None:
        return running
    if (pid := starting(folder)) is not None:
        message = (
            f"Embedded clouds start from {folder} already, or come to their end (process {pid}). Wait for them, or "
            "end them with: failback local down"
        )
        raise LocalCloudError(message)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STATE_FILE).unlink(missing_ok=True)
    pid = _spawn(folder, options or StartOptions())
    with ExitStack() as undo:
        # Whoever started it and isn't there to see it end, by Ctrl-C too, leaves nothing behind.
        undo.callback(_end, pid, alive=lambda: start_of(pid) is not None)
        state = _await_ready(folder, pid, on_progress)
        undo.pop_all()
    return state


def status(folder: Path) -> EmbeddedState | None:
    """The clouds that run from this folder; None for none."""
    return read_state(folder)


def starting(folder: Path) -> int | None:
    """The process whose start from this folder is under way, or whose end is; None where there's neither."""
    return None if status(folder) else read_holder(folder)


def stop(folder: Path) -> bool:
    """End the clouds and wait for it, also while they start; False if there were none.

    A file that dead ones left behind is removed.
    """
    running = status(folder)
    pid = running.pid if running else read_holder(folder)
    if pid is not None:
        began = start_of(pid)
        _end(pid, alive=lambda: start_of(pid) == began)
    (folder / STATE_FILE).unlink(missing_ok=True)
    return pid is not None


def write_nonce(folder: Path, server: str, nonce: str) -> None:
    """Let a server (its recovery instance's id) of the clouds that run from this folder write to its boot volume.

    Its system says the nonce once it's up at home, and nothing else ever does: where it went isn't noted here. Raises
    LocalCloudError where no clouds run, or where they can't do it.
    """
    running = status(folder)
    if running is None:
        message = f"No embedded clouds run from {folder}; start them with: failback local up"
        raise LocalCloudError(message)
    url = f"{running.control_url}/servers/{server}/nonce"
    request = urllib.request.Request(url, data=nonce.encode(), headers={"Content-Type": "text/plain"})
    try:
        urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError as refused:
        with refused:
            raise LocalCloudError(refused.read().decode("utf-8", "replace")) from refused


def _spawn(folder: Path, options: StartOptions) -> int:
    """Start the process in a session of its own, writing to the log; gives its id."""
    command = [sys.executable, "-m", "localcloud.embedded.daemon", "--folder", str(folder.resolve())]
    with (folder / LOG_FILE).open("wb") as log, Path(os.devnull).open("rb") as nothing:
        streams = ((nothing, 0), (log, 1), (log, 2))
        # Not subprocess: it wants to see the end of what it started, and this outlives its starter.
        return os.posix_spawn(
            sys.executable,
            [*command, *options.arguments()],
            {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), number) for file, number in streams],
            setsid=True,
        )


def _await_ready(folder: Path, pid: int, on_progress: Callable[[str], None]) -> EmbeddedState:
    deadline, shown = time.monotonic() + START_SECONDS, 0
    while time.monotonic() < deadline:
        ended = start_of(pid) is None
        state = status(folder)
        lines = _progress(folder / LOG_FILE)
        for line in lines[shown:]:
            on_progress(line)
        shown = len(lines)
        if state is not None:
            return state
        if ended:
            raise LocalCloudError(_failed(folder / LOG_FILE))
        time.sleep(LOOK_SECONDS)
    message = (
        f"The embedded clouds aren't ready after {START_SECONDS:.0f} s; {folder / LOG_FILE} says how far they got."
    )
    raise LocalCloudError(message)


def _progress(log: Path) -> list[str]:
    """Whole lines only: the last one may still be on its way."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    return [line[len(PROGRESS) :].strip() for line in lines if line.startswith(PROGRESS) and line.endswith("\n")]


def _failed(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = "\n".join(line for line in lines[-20:] if not line.startswith(PROGRESS))
    if not said:
        return "The embedded clouds were ended before they were ready."
    return f"The embedded clouds couldn't be started. {log} ends with:\n{said}"


def _end(pid: int, *, alive: Callable[[], bool]) -> None:
    """Ask a process to end, and kill it if it hasn't in time."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while alive() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        if alive():
            os.kill(pid, signal.SIGKILL)
    # If it was this very process that started it, its end has to be taken note of.
    with suppress(ChildProcessError):
        os.waitpid(pid, 0 if not alive() else os.WNOHANG)
