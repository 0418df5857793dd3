"""A machine's life, with a little script in QEMU's place: what it waits for, how it ends, what it leaves."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.errors import MachineError
from localcloud.machines import qemu
from localcloud.machines.qemu import Machine, boot_until
from localcloud.machines.serial_log import SerialLog, clean_line
from localcloud.machines.spec import MachineSpec

if TYPE_CHECKING:
    from collections.abc import Callable

NO_DISKS = MachineSpec(())
GREETING = "print('boot', flush=True); "
FOREVER = "import time; time.sleep(60)"
ROOT = Path(__file__).resolve().parents[2]


def guest(code: str) -> Callable[[MachineSpec, Path], list[str]]:
    return lambda _spec, _folder: [sys.executable, "-S", "-c", code]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_waits_go_on_after_the_line_found_last() -> None:
    code = GREETING + "print('mark 1', flush=True); print('noise'); print('mark 2', flush=True); " + FOREVER
    with Machine(NO_DISKS, compose=guest(code)) as machine:
        assert machine.wait_for("mark", 10) == "mark 1"
        assert machine.wait_for("mark", 10) == "mark 2"
        assert machine.is_running
        with pytest.raises(MachineError, match=r"hasn't shown 'mark' within 0.2 s"):
            machine.wait_for("mark", 0.2)
    assert not machine.is_running


def test_a_prompt_without_a_line_end_is_found_once() -> None:
    code = "import sys, time; sys.stdout.write('x login: '); sys.stdout.flush(); time.sleep(60)"
    with Machine(NO_DISKS, compose=guest(code)) as machine:
        assert machine.wait_for("login:", 10) == "x login:"
        with pytest.raises(MachineError):
            machine.wait_for("login:", 0.2)


def test_the_error_shows_the_last_lines_and_what_the_program_said() -> None:
    code = "import sys; [print('line', n) for n in range(100)]; sys.exit('disk is in use')"
    with Machine(NO_DISKS, compose=guest(code)) as machine, pytest.raises(MachineError) as caught:
        machine.wait_for("never", 10)
    text = str(caught.value)
    assert "ended before its console showed 'never'" in text
    assert "line 99" in text
    assert "line 60\n" not in text
    assert "disk is in use" in text


def test_a_line_printed_right_before_the_end_is_found() -> None:
    with Machine(NO_DISKS, compose=guest("print('last words')")) as machine:
        assert machine.wait_for("last words", 10) == "last words"
        machine.wait_for_end(10)
        assert not machine.is_running


def test_waiting_for_the_end_has_a_limit() -> None:
    with (
        Machine(NO_DISKS, compose=guest(FOREVER)) as machine,
        pytest.raises(MachineError, match=r"still on after 0\.1"),
    ):
        machine.wait_for_end(0.1)


def test_lines_come_one_by_one_until_the_end() -> None:
    code = "import sys; print('a\\r'); print('\\x1b[0;32mgreen\\x1b[0m'); sys.stdout.write('rest')"
    with Machine(NO_DISKS, compose=guest(code)) as machine:
        assert list(machine.lines()) == ["a", "green", "rest"]


def test_boot_until_gives_time_line_and_log() -> None:
    code = GREETING + "print('ready now', flush=True); " + FOREVER
    result = boot_until(NO_DISKS, "ready", 10, compose=guest(code))
    assert result.line == "ready now"
    assert result.log.splitlines()[:2] == ["boot", "ready now"]
    assert 0 < result.seconds < 10


def test_the_scratch_folder_goes_and_a_given_one_stays(tmp_path: Path) -> None:
    with Machine(NO_DISKS, compose=guest(GREETING)) as machine:
        scratch = machine.folder
        machine.wait_for("boot", 10)
    assert not scratch.exists()
    with Machine(NO_DISKS, folder=tmp_path / "kept", compose=guest(GREETING)) as machine:
        machine.wait_for("boot", 10)
    assert (tmp_path / "kept" / "console.log").read_text() == "boot\n"


def test_a_machine_that_ignores_the_request_to_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "STOP_SECONDS", 0.3)
    code = "import os, signal; signal.signal(15, signal.SIG_IGN); print('pid', os.getpid(), flush=True); " + FOREVER
    with Machine(NO_DISKS, compose=guest(code)) as machine:
        pid = int(machine.wait_for("pid", 10).split()[1])
    assert wait_until(lambda: not is_alive(pid))


def test_no_machine_outlives_a_starter_that_is_killed() -> None:
    starter = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from localcloud.machines.qemu import Machine
from localcloud.machines.spec import MachineSpec
code = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)"
machine = Machine(MachineSpec(()), compose=lambda *_: [sys.executable, "-S", "-c", code])
machine.start()
print(machine.wait_for("pid", 10), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline().split()[1])
        assert is_alive(pid)
        process.kill()
    assert wait_until(lambda: not is_alive(pid))


def test_an_absent_program_is_named(tmp_path: Path) -> None:
    machine = Machine(NO_DISKS, compose=lambda *_: ["no-such-qemu"])
    with pytest.raises(MachineError):
        machine.start()
    assert not machine.is_running
    assert not machine.folder.exists()


def test_a_machine_is_started_once() -> None:
    with Machine(NO_DISKS, compose=guest(FOREVER)) as machine, pytest.raises(MachineError, match="started before"):
        machine.start()


def test_control_sequences_and_broken_bytes(tmp_path: Path) -> None:
    assert clean_line("\x1b[2J\x1b[01;01H\x1b[=3hBdsDxe: loading\r") == "BdsDxe: loading"
    path = tmp_path / "log"
    path.write_bytes("é".encode()[:1])
    log = SerialLog(path)
    log.update()
    with path.open("ab") as file:
        file.write("é".encode()[1:] + b"\xff\n")
    log.update()
    assert log.lines == ["é\N{REPLACEMENT CHARACTER}"]


def test_a_flooded_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localcloud.machines.serial_log.KEPT_LINES", 10)
    path = tmp_path / "log"
    path.write_text("".join(f"{number}\n" for number in range(100)))
    log = SerialLog(path)
    log.update()
    assert log.lines == [str(number) for number in range(90, 100)]
    assert log.dropped == 90
    assert log.take_match(re.compile("^95$")) == "95"
