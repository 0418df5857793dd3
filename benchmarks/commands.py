"""Whole commands measured, our own image build among them: until what they write is on its medium (fsync)."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MIB = 1024 * 1024
BUILD = (sys.executable, "-m", "cli.main", "image", "build")


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians over the runs: seconds, seconds of checking apart; the output's bytes, the highest memory in MiB."""

    seconds: float
    size: int = 0
    check_seconds: float = 0.0
    memory: float = 0.0


@dataclass(frozen=True, slots=True)
class Ran:
    """One command: seconds, peak memory in MiB, standard output."""

    seconds: float
    memory: float
    output: str


def warm(path: Path) -> None:
    """Have the file in the page cache."""
    with path.open("rb") as source:
        while source.read(MIB):
            pass


def copy_command(source: Path, target: Path) -> list[str]:
    """The physical limit: a plain copy that's written through."""
    return ["dd", f"if={source}", f"of={target}", "bs=1M", "conv=fsync", "status=none"]


def measure(output: Path, command: Sequence[str], runs: int) -> Measured:
    """A command that writes `output`, again and again."""
    seconds = statistics.median(_synced(output, command) for _ in range(runs))
    return Measured(seconds, output.stat().st_size)


def measure_build(output: Path, iso: Path, image_format: str, runs: int) -> Measured:
    """Our image build, with the interpreter's start; its check of the result is timed apart."""
    command = [*BUILD, str(iso), "--format", image_format, "-o", str(output), "--json"]
    seconds, checks, memory = [], [], []
    for _ in range(runs):
        _clear(output)
        ran = run(command)
        check = json.loads(ran.output)["check_seconds"]
        seconds.append(ran.seconds - check)
        checks.append(check)
        memory.append(ran.memory)
    return Measured(statistics.median(seconds), output.stat().st_size, statistics.median(checks), max(memory))


def run(command: Sequence[str]) -> Ran:
    """Run a command to its end; one that fails ends the benchmark."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} failed with {process.returncode}")
    return Ran(time.monotonic() - began, usage.ru_maxrss / 1024, output)


def _synced(output: Path, command: Sequence[str]) -> float:
    """Seconds until the command's output is on its medium."""
    _clear(output)
    ran = run(command)
    began = time.monotonic()
    with output.open("rb") as written:
        os.fsync(written.fileno())
    return ran.seconds + time.monotonic() - began


def _clear(output: Path) -> None:
    output.unlink(missing_ok=True)
    os.sync()
