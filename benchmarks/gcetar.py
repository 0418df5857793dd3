"""How quick a client ISO becomes what Google Cloud takes: ours, GNU tar as Google's document says, the same by pigz.

As in convert.py: one file system, a warm cache, each side written through to the medium, the median of five runs (three
of GNU tar, which takes half a minute each). Ours is the whole command from the ISO on; GNU tar is given the disk, made.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from localcloud.standin.build import build_standin

RUNS, SLOW_RUNS = 5, 3
MIB = 1024 * 1024
TARGETS = "to reach: at least 8x faster than GNU tar, at most 1.03x its size, peak memory under 256 MiB"
FAILBACK = [sys.executable, "-m", "cli.main", "image", "build"]


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians over the runs: seconds, seconds of checking apart; the output's bytes, the highest memory in MiB."""

    seconds: float
    size: int
    check_seconds: float = 0.0
    memory: float = 0.0


def main() -> None:
    """Measure all and print one table."""
    iso = build_standin(Path("build/standin"), size="real")
    console = Console(width=110)
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    console.print(f"{iso.name}: {iso.stat().st_size / MIB:,.0f} MiB, {os.cpu_count()} cores, load {load}")
    with tempfile.TemporaryDirectory(dir=iso.parent) as folder:
        work = Path(folder)
        _warm(iso)
        subprocess.run(
            [*FAILBACK, str(iso), "--format", "raw", "-o", str(work / "disk.raw")],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        _warm(work / "disk.raw")
        dd = ["dd", f"if={iso}", f"of={work}/out", "bs=1M", "conv=fsync", "status=none"]
        limit = _command(work, dd, RUNS)
        ours = _ours(work, iso)
        tar = _command(work, _tar(work, "-z"), SLOW_RUNS)
        pigz = _command(work, _tar(work, "-I", "pigz"), SLOW_RUNS) if shutil.which("pigz") else None
    rows = [
        ("dd conv=fsync of the ISO (the limit)", limit),
        ("failback image build --format gce", ours),
        ("tar --format=oldgnu -Sczf", tar),
        ("the same through pigz", pigz),
    ]
    console.print(_table(rows, limit, tar))
    console.print(f"ours is {tar.seconds / ours.seconds:.1f}x as fast as GNU tar, {ours.size / tar.size:.3f}x its size")
    console.print(TARGETS)


def _table(rows: list[tuple[str, Measured | None]], limit: Measured, tar: Measured) -> Table:
    table = Table("what", "seconds", "check, apart", "x dd", "MiB", "x tar's size", "peak MiB")
    for name, each in rows:
        if each is None:
            table.add_row(name, "skipped: pigz isn't installed", "", "", "", "", "")
            continue
        table.add_row(
            name,
            f"{each.seconds:.2f}",
            f"{each.check_seconds:.2f}" if each.check_seconds else "",
            f"{each.seconds / limit.seconds:.2f}",
            f"{each.size / MIB:,.0f}",
            f"{each.size / tar.size:.3f}",
            f"{each.memory:.0f}" if each.memory else "",
        )
    return table


def _tar(work: Path, *packed: str) -> list[str]:
    return ["tar", "--format=oldgnu", "-S", *packed, "-cf", str(work / "out"), "-C", str(work), "disk.raw"]


def _warm(path: Path) -> None:
    with path.open("rb") as source:
        while source.read(MIB):
            pass


def _command(work: Path, command: list[str], runs: int) -> Measured:
    seconds = statistics.median(_synced(work / "out", command) for _ in range(runs))
    return Measured(seconds, (work / "out").stat().st_size)


def _synced(output: Path, command: list[str]) -> float:
    """Seconds until the command's output is on its medium."""
    output.unlink(missing_ok=True)
    os.sync()
    seconds, _, _ = _run(command)
    began = time.monotonic()
    with output.open("rb") as written:
        os.fsync(written.fileno())
    return seconds + time.monotonic() - began


def _run(command: list[str]) -> tuple[float, float, str]:
    """Seconds, peak memory in MiB, standard output."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} failed with {process.returncode}")
    return time.monotonic() - began, usage.ru_maxrss / 1024, output


def _ours(work: Path, iso: Path) -> Measured:
    seconds, checks, memory = [], [], []
    for _ in range(RUNS):
        (work / "out").unlink(missing_ok=True)
        os.sync()
        taken, peak, output = _run([*FAILBACK, str(iso), "--format", "gce", "-o", str(work / "out"), "--json"])
        check = json.loads(output)["check_seconds"]
        seconds.append(taken - check)
        checks.append(check)
        memory.append(peak)
    size = (work / "out").stat().st_size
    return Measured(statistics.median(seconds), size, statistics.median(checks), max(memory))


if __name__ == "__main__":
    main()
