"""How quick a client ISO becomes what Google Cloud takes: ours, GNU tar as Google's document says, the same by pigz.

As in convert.py: one file system, a warm cache, each side written through to the medium, the median of five runs (three
of GNU tar, which takes half a minute each). Ours is the whole command from the ISO on; GNU tar is given the disk, made.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.commands import BUILD, MIB, Measured, copy_command, measure, measure_build, run, warm
from localcloud.standin.build import build_standin

RUNS, SLOW_RUNS = 5, 3
TARGETS = "to reach: at least 8x faster than GNU tar, at most 1.03x its size, peak memory under 256 MiB"


def main() -> None:
    """Measure all and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="with the small stand-in ISO, to see that all runs")
    iso = build_standin(Path("build/standin"), size="small" if parser.parse_args().small else "real")
    console = Console(width=110)
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    console.print(f"{iso.name}: {iso.stat().st_size / MIB:,.0f} MiB, {os.cpu_count()} cores, load {load}")
    with tempfile.TemporaryDirectory(dir=iso.parent) as folder:
        work = Path(folder)
        out, disk = work / "out", work / "disk.raw"
        warm(iso)
        run([*BUILD, str(iso), "--format", "raw", "-o", str(disk)])
        warm(disk)
        limit = measure(out, copy_command(iso, out), RUNS)
        ours = measure_build(out, iso, "gce", RUNS)
        tar = measure(out, _tar(work, "-z"), SLOW_RUNS)
        pigz = measure(out, _tar(work, "-I", "pigz"), SLOW_RUNS) if shutil.which("pigz") else None
    rows = [
        ("dd conv=fsync of the ISO (the limit)", limit),
        ("failback image build --format gce", ours),
        ("tar --format=oldgnu -Sczf", tar),
        ("the same through pigz", pigz),
    ]
    console.print(_table(rows, limit, tar))
    console.print(f"ours is {tar.seconds / ours.seconds:.1f}x as fast as GNU tar, {ours.size / tar.size:.3f}x its size")
    if pigz is None:
        console.print("skipped: there's no pigz on this machine; `./setup/packages.sh pigz` installs it")
    console.print(TARGETS)


def _table(rows: list[tuple[str, Measured | None]], limit: Measured, tar: Measured) -> Table:
    table = Table("what", "seconds", "check, apart", "x dd", "MiB", "x tar's size", "peak MiB")
    for name, each in rows:
        if each is None:
            table.add_row(name, "skipped", "", "", "", "", "")
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


if __name__ == "__main__":
    main()
