"""`make demo`: from a client ISO to a booted client machine, on this machine alone; ends with a table of times."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from failback.errors import FailbackError
from failback.image.build import build_image
from failback.image.client import CLOUDS, read_client
from failback.image.compose import BuildOptions
from failback.image.grub import load_grub
from failback.image.iso import IsoVolume
from failback.image.report import report
from failback.image.source import FileSource
from localcloud.client_boot import ClientBoot, boot_client
from localcloud.standin.build import build_standin

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.image import BuiltImage, ImageFormat
    from localcloud.client_boot import BootedClient

BUILD = Path("build")
MIB = 1024 * 1024
SHOWN_STATES = ("started", "settings", "mapping", "client-start", "client-running")


@dataclass(slots=True)
class Ledger:
    """What was done, how long it took, and what came of it."""

    rows: list[tuple[str, float, str]]

    def add(self, what: str, seconds: float, result: str) -> None:
        self.rows.append((what, seconds, result))

    def table(self) -> Table:
        table = Table("step", "seconds", title="drs-failback demo", title_justify="left")
        table.add_column("result", overflow="fold")
        for what, seconds, result in self.rows:
            table.add_row(what, f"{seconds:.2f}", result)
        return table


def main() -> int:
    """Run it all; returns the process's exit code."""
    console, ledger = Console(soft_wrap=True), Ledger([])
    try:
        iso = _standin(console, ledger)
        _inspect(iso, console, ledger)
        _build(iso, "raw", console, ledger)
        vhd = _build(iso, "vhd", console, ledger)
        booted = _boot(Path(vhd.output), console, ledger)
    except FailbackError as error:
        console.print(ledger.table())
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(ledger.table())
    console.print(f"The client runs in a machine booted from {vhd.output}: {booted.marks[-1][1]}", markup=False)
    return 0


def _standin(console: Console, ledger: Ledger) -> Path:
    console.rule("A stand-in for AWS's client ISO (about two minutes the first time)")
    began = time.monotonic()
    iso = build_standin(BUILD / "standin", size="small", progress=lambda step: console.print(step, markup=False))
    ledger.add("stand-in ISO", time.monotonic() - began, f"{iso}, {iso.stat().st_size / MIB:,.0f} MiB")
    return iso


def _inspect(iso: Path, console: Console, ledger: Ledger) -> None:
    console.rule("failback image inspect")
    began = time.monotonic()
    with FileSource(iso) as source:
        found = report(read_client(IsoVolume.open(source)), iso_size=source.size)
    bootable = [each.cloud for each in found.drivers if each.bootable]
    for launcher in found.system.launchers:
        console.print(f"the ISO starts its own script by {launcher.kind}: {launcher.path}", markup=False)
    console.print(f"{found.system.os_name}, kernel {found.boot.kernel_version}", markup=False)
    ledger.add("inspect", time.monotonic() - began, f"boots in {', '.join(bootable)}")


def _build(iso: Path, image_format: ImageFormat, console: Console, ledger: Ledger) -> BuiltImage:
    console.rule(f"failback image build --format {image_format}")
    built = build_image(
        iso,
        BUILD / f"client.{image_format}",
        image_format=image_format,
        grub=load_grub(BUILD / "grub"),
        options=BuildOptions(clouds=CLOUDS),
        progress=_quiet,
    )
    size = f"{built.output}, {built.disk_size / MIB:,.0f} MiB, {built.data_bytes / MIB:,.0f} MiB of content"
    ledger.add(f"plan and write ({image_format})", built.build_seconds, size)
    ledger.add(f"read back and check ({image_format})", built.check_seconds, "as planned")
    console.print(size, markup=False)
    return built


def _boot(vhd: Path, console: Console, ledger: Ledger) -> BootedClient:
    console.rule("failback image boot, BIOS, Azure's metadata service (about a minute)")
    boot = ClientBoot(image=vhd, format="vpc", firmware="bios")
    booted = boot_client(boot, on_line=lambda line: console.print(line, markup=False, highlight=False))
    for seconds, mark in booted.marks:
        state, _, detail = mark.partition(" ")
        if state in SHOWN_STATES:
            ledger.add(f"booted: {state}", seconds, detail[:90])
    return booted


def _quiet(_work: str, _total: int) -> Callable[[int], None]:
    return lambda _count: None


if __name__ == "__main__":
    sys.exit(main())
