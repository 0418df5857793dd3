"""How reports look on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from cli.units import mib, rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.image import BuiltImage, DriverFacts, ImageReport


def show_report(report: ImageReport) -> None:
    """The inspection: facts, drivers per cloud, what a build would do."""
    console = Console()
    console.print(_facts("Client ISO", _iso_rows(report)))
    console.print(_drivers(report.drivers))
    console.print(_facts("What a build would do", _build_rows(report)))


def show_built(built: BuiltImage) -> None:
    """A build's result, with its warnings."""
    written = rate(built.data_bytes / max(built.build_seconds, 1e-9))
    rows = [
        ("Image", f"{built.output} ({built.format})"),
        ("Size", f"{mib(built.disk_size)}, of which {mib(built.data_bytes)} have content"),
        ("Boots in", ", ".join(built.clouds)),
        ("Kernel", built.kernel_version),
        ("GRUB", built.grub_version),
        *(("Driver added", path) for path in built.injected),
        (
            "Planned and written",
            f"{built.build_seconds:.2f} s, {written}",
        ),
        ("Read back and checked", f"{built.check_seconds:.2f} s"),
        *(("Note", warning) for warning in built.warnings),
    ]
    Console().print(_facts("Client image", rows))


def _iso_rows(report: ImageReport) -> list[tuple[str, str]]:
    iso, boot, initrd, system = report.iso, report.boot, report.initrd, report.system
    launchers = [("Starts its script by", f"{each.kind}: {each.path} ({each.detail})") for each in system.launchers]
    return [
        ("Label", f"{iso.label}, {mib(iso.size)}, {iso.naming} names, made {iso.created or 'at an unknown time'}"),
        ("Boot entry", f"{boot.entry} in {boot.origin}: {boot.reason}"),
        ("Kernel", f"{boot.kernel}, version {boot.kernel_version}, {'an' if boot.efi_stub else 'no'} EFI stub"),
        (
            "Initrd",
            f"{', '.join(boot.initrds)}: {' + '.join(initrd.segments)}, modules of {_listed(initrd.kernel_versions)}",
        ),
        ("Hooks", initrd.hook_directory or "none"),
        ("Arguments", " ".join(boot.arguments)),
        ("Live image", f"{system.live_path}, {system.layout}, {mib(system.live_size)}"),
        ("System", f"{system.os_name}, kernels {_listed(system.kernels)}, SELinux {system.selinux}"),
        ("Client's start script", system.client_start or "not found"),
        *(launchers or [("Starts its script by", "not found")]),
    ]


def _build_rows(report: ImageReport) -> list[tuple[str, str]]:
    build = report.build
    partitions = [
        (f"Partition {part.number}", f"{part.name}, {mib(part.size)} from {mib(part.offset)}")
        for part in build.partitions
    ]
    return [
        ("Disk", mib(build.disk_size)),
        *partitions,
        ("Arguments", " ".join(build.arguments)),
        *(("[red]Refusal[/]", text) for text in build.refusals),
        *(("Note", text) for text in build.warnings),
    ]


def _facts(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _drivers(drivers: Sequence[DriverFacts]) -> Table:
    table = Table(title="Drivers", title_justify="left")
    for heading in ("Cloud", "Boots", "Present", "In the kernel", "Added from the root", "Missing"):
        table.add_column(heading, overflow="fold")
    for each in drivers:
        boots = "[green]yes[/]" if each.bootable else "[red]no[/]"
        columns = (each.present, each.builtin, tuple(path.rpartition("/")[2] for path in each.injected), each.missing)
        table.add_row(each.cloud, boots, *(_listed(names) for names in columns))
    return table


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
