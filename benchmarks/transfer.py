"""How quick the client image moves: into a snapshot, out of it, and onto a managed disk; ours, and bare or SDK loops.

The embedded clouds are served by another process on the same cores, from a warm cache; every measured piece of work has
a fresh process, ours and its peers in turn. Seconds are medians, without the start of Python and what has to be there
first. The bare loops have as many workers as ours and everything in memory; they're the limit of what one process can
do here. No blob client sends a checksum. `--real` takes an ISO of the real size.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.transfer_clouds import CloudProcess, cloud_process
from benchmarks.transfer_work import job_process
from localcloud.standin.build import build_standin

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
MIB = 1024 * 1024
BLOCK, PAGE, FOOTER = 512 * 1024, 512, 512
_ZERO_BLOCK, _ZERO_PAGE = bytes(BLOCK), bytes(PAGE)
RUNS, STAGE_RUNS, PAGE_RUNS = 5, 2, 2
LATENCY = 0.02
CONCURRENCIES = (1, 4, 8, 16)
TARGETS = (
    "to reach: at least 90 % of the bare loops, 1.5x the SDK's best, at most 1.01x the bytes that aren't zeros, peaks "
    "of at most 512 MiB"
)


@dataclass(frozen=True, slots=True)
class Took:
    """One job: wall and processor seconds, peak memory in MiB, bytes that reached the cloud, and what came of it."""

    seconds: float
    processor: float
    peak: float
    sent: int
    facts: Json


@dataclass(slots=True)
class Bench:
    """The clouds, and all that was measured on them, by the row it belongs to."""

    clouds: CloudProcess
    iso: Path
    took: dict[str, list[Took]] = field(default_factory=lambda: defaultdict(list))
    _names: int = 0

    def job(self, row: str, job: str, **arguments: object) -> Took:
        """Do one job in a process of its own."""
        environment = {**os.environ, **self.clouds.environment}
        facts = job_process("benchmarks.transfer_jobs", job, arguments, environment)
        seconds, processor, peak = (facts.pop(name) for name in ("seconds", "processor", "peak_mib"))
        self.took[row].append(Took(seconds, processor, peak, self.clouds.ask("sent"), facts))
        return self.took[row][-1]

    def name(self) -> str:
        """A new name for what a job makes."""
        self._names += 1
        return f"bench-{self._names}"

    def seconds(self, row: str) -> float:
        return statistics.median(each.seconds for each in self.took[row])

    def azure(self) -> Json:
        """How a job gets at Azure; the token is good for five minutes."""
        return {"arm": self.clouds.environment["AZURE_ARM"], "token": self.clouds.ask("token")}


def main() -> None:
    """Measure all and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true", help="with the stand-in ISO of the real one's size")
    real = parser.parse_args().real
    iso = build_standin(Path("build/standin"), size="real" if real else "small").resolve()
    console = Console(width=118)
    console.print(
        f"{iso.name}: {iso.stat().st_size / MIB:,.0f} MiB; {os.cpu_count()} cores, which the clouds' process and the "
        f"measured one share; load before: {os.getloadavg()[0]:.1f}"
    )
    vhd = iso.with_name("transfer.vhd")
    try:
        with cloud_process(iso) as clouds:
            bench = Bench(clouds, iso)
            exported = _stages(bench, vhd)
            _snapshots(bench)
            data, blocks, pages = _not_zeros(vhd)
            rows = [*_pages(bench, exported, vhd, data)]
    finally:
        vhd.unlink(missing_ok=True)
    console.print(_rates(bench, blocks))
    console.print(_uploads(bench, rows))
    console.print(_moved(bench, blocks, pages))
    console.print(_memory(bench))
    console.print(f"{TARGETS}; load after: {os.getloadavg()[0]:.1f}")


def _stages(bench: Bench, vhd: Path) -> Json:
    """Each stage as it's deployed, from AWS's ISO to the managed disk; gives the exported image."""
    for _ in range(STAGE_RUNS):
        iso = bench.job("fetch_iso", "fetch_iso").facts["iso"]
        ami = bench.job("build_image", "build", iso=iso, token=bench.name()).facts["ami"]
        key = bench.name()
        exported: Json = bench.job("export_image", "export", ami=ami, key=key, swallow=False).facts["export"]
        bench.job("import_image", "bring_home", export=exported, key=key, **bench.azure())
    bench.job("download", "download", export=exported, path=str(vhd))
    return exported


def _snapshots(bench: Bench) -> None:
    """Writing and reading a snapshot alone, ours and the bare loops in turn."""
    ami = bench.took["build_image"][-1].facts["ami"]
    for _ in range(RUNS):
        bench.job("write, ours", "write_ours", iso=str(bench.iso), token=bench.name())
        bench.job("write, bare", "write_bare", iso=str(bench.iso), token=bench.name())
        bench.job("read, ours", "export", ami=ami, key=bench.name(), swallow=True)
        bench.job("read, bare", "read_bare", ami=ami)


def _pages(bench: Bench, exported: Json, vhd: Path, data: int) -> Iterator[tuple[str, str, str]]:
    """What was uploaded, and the rows of ours and of the SDK's best number of threads, which a first round finds."""
    best: dict[int, int] = {}
    for latency in (LATENCY, 0.0):
        bench.clouds.ask("latency", latency)
        for length, what in ((exported["size"], "whole image"), (data, "its dense part")):
            title = f"{what}, {latency * 1000:.0f} ms added per call"
            rows = f"{title}, ours", f"{title}, SDK at"
            candidates = (best[length],) if length in best else CONCURRENCIES
            for _ in range(PAGE_RUNS):
                common: Json = {"path": str(vhd), "length": length}
                bench.job(rows[0], "pages_ours", export=exported, name=bench.name(), **common, **bench.azure())
                for count in candidates:
                    bench.job(
                        f"{rows[1]} {count}", "pages_sdk", name=bench.name(), concurrency=count, **common,
                        **bench.azure(),
                    )  # fmt: skip
                best[length] = min(candidates, key=lambda count: bench.seconds(f"{rows[1]} {count}"))
                candidates = (best[length],)
            yield title, rows[0], f"{rows[1]} {best[length]}"


def _not_zeros(vhd: Path) -> tuple[int, int, int]:
    """Where the longest run of blocks with data ends, and the bytes of blocks and of pages that aren't all zeros."""
    run, longest, blocks, pages = 0, (0, 0), 0, 0
    with vhd.open("rb") as file:
        for index in range((vhd.stat().st_size - FOOTER) // BLOCK):
            data = file.read(BLOCK)
            if data == _ZERO_BLOCK:
                run = 0
                continue
            run, blocks = run + 1, blocks + BLOCK
            longest = max(longest, (run, (index + 1) * BLOCK))
            pages += sum(PAGE for at in range(0, BLOCK, PAGE) if not data.startswith(_ZERO_PAGE, at))
    return longest[1], blocks, pages + FOOTER


def _rates(bench: Bench, data: int) -> Table:
    table = Table("snapshot", "seconds", "CPU s", "MiB/s", "of the bare loop's rate", title_justify="left")
    for way, stage in (("write", "build_image"), ("read", "export_image")):
        limit = bench.seconds(f"{way}, bare")
        rows = (f"{way}, bare", f"{way}, ours", stage)
        names = (f"{way}: bare parallel calls", f"{way}: ours", f"{way}: {stage} as a whole, with S3")
        for name, row in zip(names, rows, strict=True):
            seconds = bench.seconds(row)
            processor = statistics.median(each.processor for each in bench.took[row])
            table.add_row(
                name, f"{seconds:.2f}", f"{processor:.2f}", f"{data / MIB / seconds:.0f}", f"{limit / seconds:.0%}"
            )
    return table


def _uploads(bench: Bench, rows: list[tuple[str, str, str]]) -> Table:
    table = Table("pages of a disk", "ours, s", "SDK, s", "SDK's best at", "ours is quicker by")
    for title, ours, theirs in rows:
        table.add_row(
            title, f"{bench.seconds(ours):.2f}", f"{bench.seconds(theirs):.2f}", theirs.rpartition(" ")[2],
            f"{bench.seconds(theirs) / bench.seconds(ours):.1f}x",
        )  # fmt: skip
    return table


def _moved(bench: Bench, blocks: int, pages: int) -> Table:
    table = Table("bytes moved", "MiB", "not zeros, MiB", "ratio")
    for name, row, least in (
        ("to EBS, in blocks of 512 KiB", "build_image", blocks),
        ("to Azure, in pages of 512 bytes", "import_image", pages),
    ):
        sent = max(each.sent for each in bench.took[row])
        table.add_row(name, f"{sent / MIB:.2f}", f"{least / MIB:.2f}", f"{sent / least:.4f}")
    return table


def _memory(bench: Bench) -> Table:
    table = Table("stage, as deployed", "seconds", "CPU s", "peak MiB")
    for stage in ("fetch_iso", "build_image", "export_image", "import_image"):
        took = bench.took[stage]
        processor = statistics.median(each.processor for each in took)
        peak = max(each.peak for each in took)
        table.add_row(stage, f"{bench.seconds(stage):.2f}", f"{processor:.2f}", f"{peak:.0f}")
    return table


if __name__ == "__main__":
    main()
