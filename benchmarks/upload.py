"""How quick a client image's archive gets into Cloud Storage: by our adapter, by the SDK's ways, and by bare means.

The embedded Cloud Storage is served by another process on the same cores, the file is in the page cache, each upload
has a fresh process, and all take turns. Seconds are medians, without the start of Python. Ours sends parts, compares
checksums and puts the parts together; that they're removed, while Compute makes the image, is timed by itself. The
SDK's transfer manager (XML API) is given the numbers and kinds of workers that it may have, and the best of a first
round is taken. The limits are a bare connection that somebody reads and throws away, and as many bare requests at once
as ours makes, of bytes in memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.commands import MIB, warm
from benchmarks.transfer_work import Json, job_process
from benchmarks.upload_store import StoreProcess, store_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RUNS = 5
LATENCY = 0.02
REAL = 640
"""MiB: about an archive of the real client ISO."""
BARE, WIRE, OURS = "bare requests", "one bare connection, read and CRC32C (the limit)", "ours"
TARGETS = "to reach: at least the rate of the SDK's best, peak memory of at most 512 MiB"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to upload: its row, its job, and what that is given."""

    row: str
    job: str
    arguments: Mapping[str, object] = field(default_factory=dict)


FIXED = (
    Way(WIRE, "wire"),
    Way(BARE, "bare"),
    Way(OURS, "ours"),
    Way("SDK, upload_from_filename, chunks of 64 MiB", "sdk_chunks", {"chunk": 64 * MIB}),
    Way("SDK, upload_from_file, one stream", "sdk_stream"),
)
MANAGED = tuple(
    Way(
        f"SDK, transfer manager, {workers} {many}, parts of {chunk} MiB",
        "sdk_parts",
        {"workers": workers, "kind": kind, "chunk": chunk * MIB},
    )
    for kind, many in (("process", "processes"), ("thread", "threads"))
    for workers in (4, 8)
    for chunk in (16, 32)
)


@dataclass(slots=True)
class Bench:
    """The store, the file, and all that was measured, by the row it belongs to."""

    store: StoreProcess
    path: Path
    took: dict[str, list[Json]] = field(default_factory=lambda: defaultdict(list))
    _names: int = 0

    def upload(self, way: Way) -> None:
        """Upload once."""
        self._names += 1
        arguments = {"path": str(self.path), "name": f"bench-{self._names}", **way.arguments}
        environment = {**os.environ, **self.store.environment}
        self.took[way.row].append(job_process("benchmarks.upload_jobs", way.job, arguments, environment))

    def seconds(self, row: str) -> float:
        return statistics.median(float(each["seconds"]) for each in self.took[row])


def main() -> None:
    """Measure all and print a table for each distance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=REAL, help=f"size of the file, {REAL} if it isn't said")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each way, {RUNS} if it isn't said")
    given = parser.parse_args()
    console = Console(width=118)
    load = f"{os.getloadavg()[0]:.1f}"
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build") as name:
        path = _file(Path(name), given.mib)
        console.print(
            f"{given.mib:,} MiB that don't shrink, {given.runs} runs each; {os.cpu_count()} cores, which the store's "
            f"process and the measured one share; load before: {load}"
        )
        with store_process(Path(name)) as store:
            for latency in (0.0, LATENCY):
                store.answer_after(latency)
                bench = Bench(store, path)
                best = _measure(bench, given.runs)
                console.print(_table(bench, best, given.mib, f"{latency * 1000:.0f} ms added per request"))
                ratio = bench.seconds(best) / bench.seconds(OURS)
                console.print(f"ours is {ratio:.2f}x as fast as the SDK's best ({best.removeprefix('SDK, ')})")
                removal = statistics.median(float(each["removal"]) for each in bench.took[OURS])
                console.print(f"removing our parts, while an image is made of the whole: {removal:.2f} s")
    console.print(f"{TARGETS}; load after: {os.getloadavg()[0]:.1f}")


def _file(folder: Path, mib: int) -> Path:
    path = folder / "archive"
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
    warm(path)
    return path


def _measure(bench: Bench, runs: int) -> str:
    """Every way in turn; the transfer manager's best one alone after the first round. Gives the SDK's best row."""
    ways = (*FIXED, *MANAGED)
    for number in range(runs):
        for way in ways:
            bench.upload(way)
        if number == 0:
            ways = (*FIXED, min(MANAGED, key=lambda way: bench.seconds(way.row)))
    peers = [way.row for way in ways if way.row.startswith("SDK")]
    return min(peers, key=bench.seconds)


def _table(bench: Bench, best: str, mib: int, title: str) -> Table:
    table = Table("upload", "seconds", "MiB/s", "of the limit", "CPU s", "peak MiB", title=title, title_justify="left")
    for row in _rows(bench):
        seconds = bench.seconds(row)
        processor = statistics.median(float(each["processor"]) for each in bench.took[row])
        peak = max(float(each["peak_mib"]) for each in bench.took[row])
        once = " (1 run)" if len(bench.took[row]) == 1 < len(bench.took[OURS]) else ""
        table.add_row(
            f"{row}{once}", f"{seconds:.2f}", f"{mib / seconds:.0f}", f"{bench.seconds(WIRE) / seconds:.0%}",
            f"{processor:.2f}", f"{peak:.0f}", style="bold" if row in (OURS, best) else "",
        )  # fmt: skip
    return table


def _rows(bench: Bench) -> Iterator[str]:
    """The fixed ways, then the transfer manager's from the quickest on."""
    fixed = [way.row for way in FIXED]
    yield from fixed
    yield from sorted((row for row in bench.took if row not in fixed), key=bench.seconds)


if __name__ == "__main__":
    main()
