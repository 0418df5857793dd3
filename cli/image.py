"""`failback image`: look into a client ISO, make a bootable disk of it, boot that.

What only draws tables is imported where it's used: it takes longer to load than a small image to be written.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assets.grub_images import build_grub
from cli.boot import boot
from cli.progress import bars
from cli.settings import read_settings
from failback.image.build import build_image
from failback.image.client import CLOUDS, read_client
from failback.image.compose import BuildOptions
from failback.image.grub import GrubImages, load_grub
from failback.image.iso import IsoVolume
from failback.image.source import FileSource

if TYPE_CHECKING:
    from failback.image.drivers import Cloud

app = typer.Typer(help="The client image: from the Failback Client's ISO to a disk that boots.", no_args_is_help=True)


class Format(StrEnum):
    """What a disk is written as."""

    RAW = "raw"
    VHD = "vhd"
    GCE = "gce"


class CloudChoice(StrEnum):
    """A cloud that the image must boot in."""

    AZURE = "azure"
    GOOGLE = "google"
    AWS = "aws"


# A VHD is for Azure, an archive for Google Cloud; raw bytes go anywhere.
DEFAULT_CLOUDS: dict[Format, tuple[Cloud, ...]] = {
    Format.RAW: CLOUDS,
    Format.VHD: ("azure",),
    Format.GCE: ("google",),
}

IsoArgument = Annotated[Path, typer.Argument(help="The Failback Client's ISO.", metavar="ISO")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
GrubOption = Annotated[Path | None, typer.Option("--grub", help="Folder with GRUB's images.", metavar="DIR")]


@app.command()
def inspect(iso: IsoArgument, *, json: JsonOption = False) -> None:
    """Show what the ISO holds, which drivers it has for each cloud, and what a build would do."""
    from failback.image.report import report

    with FileSource(iso) as source:
        found = report(read_client(IsoVolume.open(source)), iso_size=source.size)
    if json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        from cli.tables import show_report

        show_report(found)


@app.command()
def build(
    iso: IsoArgument,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The disk to write.", metavar="FILE")],
    image_format: Annotated[
        Format,
        typer.Option("--format", help="raw; vhd, a fixed VHD for Azure; gce, Google Cloud's disk.raw in a tar.gz."),
    ],
    cloud: Annotated[
        list[CloudChoice] | None,
        typer.Option("--cloud", help="Must boot there; may be repeated. Default: vhd azure, gce google, raw all."),
    ] = None,
    sha512: Annotated[str, typer.Option(help="The ISO's published hash, or a file that holds it.")] = "",
    to_ram: Annotated[bool, typer.Option("--ram", help="Copy the live system to memory and release the disk.")] = False,
    client_start: Annotated[str, typer.Option(help="The client's start script, where it isn't found.")] = "",
    grub: GrubOption = None,
    json: JsonOption = False,
) -> None:
    """Make a disk that boots the client in Azure, Google Cloud and EC2, and check it."""
    clouds: tuple[Cloud, ...] = tuple(each.value for each in cloud) if cloud else DEFAULT_CLOUDS[image_format]
    options = BuildOptions(clouds=clouds, to_ram=to_ram, client_start=client_start)
    with bars() as progress:
        built = build_image(
            iso,
            output,
            image_format=image_format.value,
            grub=grub_images(grub),
            options=options,
            sha512=_hash(sha512),
            progress=progress,
        )
    if json:
        typer.echo(built.model_dump_json(indent=2))
    else:
        from cli.tables import show_built

        show_built(built)


def grub_images(directory: Path | None) -> GrubImages:
    """GRUB's images from `directory`, or set-up's, which are built now where they aren't there yet."""
    if directory is None:
        directory = read_settings().grub
        if not (directory / "version").exists():
            build_grub(directory)
    return load_grub(directory)


def _hash(stated: str) -> str:
    """The hash itself, or the content of the file that was named instead (AWS publishes one beside the ISO)."""
    path = Path(stated)
    if stated and len(stated) < 128 and path.is_file():
        return path.read_text(encoding="ascii", errors="replace").split(maxsplit=1)[0]
    return stated


app.command()(boot)
