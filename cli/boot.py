"""`failback image boot`: a client image in QEMU, its console on the terminal, until the agent says so."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from localcloud.client_boot import BootedClient


class FirmwareChoice(StrEnum):
    """What starts the machine."""

    BIOS = "bios"
    UEFI = "uefi"


class BusChoice(StrEnum):
    """How its disks are attached."""

    VIRTIO_SCSI = "virtio-scsi"
    NVME = "nvme"
    IDE = "ide"


class HomeChoice(StrEnum):
    """Whose metadata service answers."""

    AZURE = "azure"
    GOOGLE = "google"


def boot(
    image: Annotated[Path, typer.Argument(help="A raw disk or a fixed VHD.", metavar="FILE")],
    *,
    firmware: Annotated[FirmwareChoice, typer.Option(help="Firmware.")] = FirmwareChoice.BIOS,
    bus: Annotated[BusChoice, typer.Option(help="How the disks are attached.")] = BusChoice.VIRTIO_SCSI,
    home: Annotated[HomeChoice, typer.Option(help="Whose metadata service answers.")] = HomeChoice.AZURE,
    until: Annotated[str, typer.Option(help="The agent's state that ends the boot.")] = "client-running",
    timeout: Annotated[float, typer.Option(help="Seconds until it counts as failed.", min=1)] = 420.0,
) -> None:
    """Boot a client image in QEMU (emulated, no way out), with metadata, credentials and a target disk at hand.

    The image isn't changed. Ends when the agent has started the client, or after the time-out.
    """
    # Late: the embedded clouds' libraries take longer to load than a disk takes to be written.
    from localcloud.client_boot import ClientBoot, boot_client
    from localcloud.machines.disk_format import disk_format

    request = ClientBoot(
        image=image,
        format=disk_format(image),
        firmware=firmware.value,
        bus=bus.value,
        home=home.value,
        until=until,
        timeout=timeout,
    )
    show_marks(boot_client(request, on_line=typer.echo))


def show_marks(booted: BootedClient) -> None:
    """When the agent reached which state, counted from the machine's start."""
    from rich.console import Console
    from rich.table import Table

    table = Table("seconds", "agent", title="The agent's marks", title_justify="left")
    for seconds, mark in booted.marks:
        table.add_row(f"{seconds:.1f}", mark)
    Console().print(table)
