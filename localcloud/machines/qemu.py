"""A local virtual machine: starts QEMU, watches its serial console, and leaves nothing behind."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from failback.errors import MachineError
from localcloud.machines.command_line import compose_command
from localcloud.machines.firmware import check_packages
from localcloud.machines.serial_log import SerialLog
from localcloud.packages import find_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localcloud.machines.spec import MachineSpec

WATCHDOG = Path(__file__).with_name("watchdog.py")
# How often the serial log and the process are looked at, in seconds.
LOOK_EVERY = 0.05
# The watchdog gives QEMU 5 s to end; then it takes the process away.
STOP_SECONDS = 8
# How much of the console an error shows: about a screen.
SHOWN_LINES = 30


@dataclass(frozen=True, slots=True)
class BootResult:
    """How long it took until `line` came, and the whole serial log."""

    seconds: float
    line: str
    log: str


class Machine:
    """A virtual machine; a context manager that starts it and stops it.

    A machine that reboots ends instead: power-off and reboot both look like `is_running` turning false. Without a
    `folder` its console log and UEFI variables go with it.
    """

    def __init__(
        self,
        spec: MachineSpec,
        *,
        folder: Path | None = None,
        compose: Callable[[MachineSpec, Path], list[str]] = compose_command,
    ) -> None:
        self.spec = spec
        self._compose = compose
        self._scratch = None if folder else tempfile.TemporaryDirectory(prefix="failback-machine-")
        self.folder = folder or Path(self._scratch.name if self._scratch else "")
        self._process: subprocess.Popen[bytes] | None = None
        self._console = self.folder / "console.log"
        self._log = SerialLog(self._console)
        self._stopped = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        """Whether the machine is on: started, and neither powered off, rebooted nor stopped."""
        return self._process is not None and self._process.poll() is None

    @property
    def console_file(self) -> Path:
        """Where the serial console's bytes go as they come; it's there once the machine was started."""
        return self._console

    @property
    def errors(self) -> str:
        """What QEMU itself has said."""
        return self._errors.read_text(errors="replace") if self._errors.exists() else ""

    @property
    def log(self) -> str:
        """The serial console's text so far, without control sequences."""
        if self._process is not None and not self._stopped:
            self._log.update()
        return self._log.text()

    def start(self) -> None:
        """Switch on; raises MachineError where QEMU or firmware is missing or the specification has faults."""
        if self._process is not None:
            message = "the machine was started before; make a new one to start it again"
            raise MachineError(message)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._process = self._launch()
        except MachineError:
            self.close()
            raise

    def stop(self) -> None:
        """Pull the plug; returns when the process is gone. A machine that has ended is left as it is."""
        process = self._process
        if process is None or self._stopped:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Kills the machine as well: it carries a death signal for its watchdog.
            process.kill()
            process.wait()
        self._log.update()
        self._stopped = True

    def close(self) -> None:
        """Stop, and remove the scratch folder."""
        self.stop()
        if self._scratch is not None:
            self._scratch.cleanup()

    def wait_for(self, pattern: str, timeout: float) -> str:
        """The next line of the serial console, after the one found last, in which the pattern (a regex) is found.

        A prompt without a line end counts. Raises MachineError, with the last lines, after `timeout` seconds or when
        the machine ends before.
        """
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout
        while True:
            running = self.is_running
            self._log.update()
            found = self._log.take_match(wanted)
            if found is not None:
                return found
            if not running:
                raise MachineError(self._explain(f"the machine ended before its console showed {pattern!r}"))
            if time.monotonic() >= deadline:
                raise MachineError(self._explain(f"the console hasn't shown {pattern!r} within {timeout:g} s"))
            time.sleep(LOOK_EVERY)

    def wait_for_end(self, timeout: float) -> None:
        """Return when the machine has powered itself off or rebooted; raises MachineError after `timeout` seconds."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise MachineError(self._explain(f"the machine is still on after {timeout:g} s")) from None

    def lines(self) -> Iterator[str]:
        """The serial console line by line, from its start, until the machine ends; waits for lines to come."""
        seen = 0
        while True:
            running = self.is_running
            if not self._stopped:
                self._log.update()
            # Lines that were dropped from a flooded log are skipped here too.
            start = max(0, seen - self._log.dropped)
            yield from self._log.lines[start:]
            seen = self._log.dropped + len(self._log.lines)
            if not running:
                if self._log.rest:
                    yield self._log.rest
                return
            time.sleep(LOOK_EVERY)

    @property
    def _errors(self) -> Path:
        return self.folder / "qemu-errors.log"

    def _launch(self) -> subprocess.Popen[bytes]:
        words = self._compose(self.spec, self.folder)
        command = find_command(words[0])
        if command is None:
            check_packages()
            message = f"{words[0]}: no such program here"
            raise MachineError(message)
        watched = [sys.executable, "-S", "-E", str(WATCHDOG), command, *words[1:]]
        with self._console.open("wb") as console, self._errors.open("wb") as errors:
            # A session of its own: Ctrl-C in the terminal reaches us, and we stop the machine.
            return subprocess.Popen(
                watched, stdin=subprocess.PIPE, stdout=console, stderr=errors, start_new_session=True
            )

    def _explain(self, what: str) -> str:
        self._log.update()
        console = self._log.text().splitlines()[-SHOWN_LINES:]
        errors = self._errors.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        parts = [what, "the console's last lines:" if console else "the console has shown nothing", *console]
        if errors:
            parts += ["what the virtual machine program said:", *errors]
        return "\n".join(parts)


def boot_until(
    spec: MachineSpec,
    pattern: str,
    timeout: float,
    *,
    compose: Callable[[MachineSpec, Path], list[str]] = compose_command,
) -> BootResult:
    """Start a machine, wait for a line of its serial console, stop it; MachineError has the console's last lines."""
    with Machine(spec, compose=compose) as machine:
        started = time.monotonic()
        line = machine.wait_for(pattern, timeout)
        seconds = time.monotonic() - started
        machine.stop()
        return BootResult(seconds, line, machine.log)
