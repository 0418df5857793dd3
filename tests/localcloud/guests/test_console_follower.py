"""Consoles as they grow: the telling lines come once each, also those of a machine that starts later."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from localcloud.guests.console_follower import SHOWN, following

if TYPE_CHECKING:
    from pathlib import Path


def write(machines: Path, machine: str, *lines: str) -> None:
    (machines / machine).mkdir(parents=True, exist_ok=True)
    with (machines / machine / "console.log").open("ab") as console:
        console.writelines(f"{line}\r\n".encode() for line in lines)


def test_telling_lines_are_told_once_and_others_never(tmp_path: Path) -> None:
    machines, told = tmp_path / "machines", list[tuple[float, str]]()
    with following(machines, lambda seconds, line: told.append((seconds, line))):
        write(machines, "001-first", "Loading AWS DRS Failback Client", "[    0.0] Linux version 6.1 " + "x" * 200)
        end = time.monotonic() + 10
        while len(told) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        write(machines, "001-first", "[  OK  ] Started something", "client login: FAILBACK-AGENT ready run=run-1")
        write(machines, "002-second", "Welcome to \x1b[1mDebian\x1b[0m!")
    lines = [line for _, line in told]
    assert lines[0] == "Loading AWS DRS Failback Client"
    assert lines[1].startswith("Linux version 6.1 x")
    assert len(lines[1]) == SHOWN
    assert lines[2:] == ["FAILBACK-AGENT ready run=run-1", "Welcome to Debian!"]
    assert all(0 <= seconds < 20 for seconds, _ in told)
    assert told[2][0] > 0
