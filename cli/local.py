"""`failback local`: the embedded clouds, started, stopped and looked at."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.settings import read_settings
from failback.errors import LocalCloudError

if TYPE_CHECKING:
    from failback.model.target import HomeName
    from localcloud.embedded.state_file import EmbeddedState

app = typer.Typer(
    help="The embedded clouds: AWS, Azure and Google Cloud on this machine, with no account.", no_args_is_help=True
)


class HomeChoice(StrEnum):
    """Where servers may be taken."""

    AZURE = "azure"
    GOOGLE = "google"


@app.command()
def up(
    *,
    iso: Annotated[
        Path | None,
        typer.Option(help="A client ISO of your own. Default: the stand-in.", exists=True, dir_okay=False),
    ] = None,
    servers: Annotated[
        int, typer.Option(help="Servers that a failover has left in AWS, to be taken home.", min=0, max=20)
    ] = 1,
    home: Annotated[
        list[HomeChoice] | None, typer.Option(help="Where they're taken; may be repeated. Default: azure.")
    ] = None,
) -> None:
    """Start them and deploy the product into them; once they run, this command ends."""
    # Late: the embedded clouds' libraries take longer to load than everything else of the command.
    from localcloud.embedded.control import StartOptions, start, status

    folder = read_settings().local
    running = status(folder)
    if running is not None:
        _check_homes(running, home or [])
        typer.echo(f"The embedded clouds run already (process {running.pid}); `failback local down` stops them.")
        return
    typer.echo(f"Starting the clouds on this machine; what they hold and say is kept in {folder}.")
    began = time.monotonic()
    homes: list[HomeName] = [each.value for each in home or ()]
    options = StartOptions(iso=iso, servers=servers, homes=tuple(dict.fromkeys(homes)) or StartOptions().homes)
    try:
        state = start(folder, options, on_progress=lambda step: _tell(step, began))
    except KeyboardInterrupt:
        typer.echo("Stopped; nothing of the embedded clouds runs.", err=True)
        raise typer.Exit(130) from None
    _show(state)
    typer.echo(
        f"Now: `failback prepare {state.target}` makes an image and boots it; `failback local down` stops the clouds."
    )


@app.command()
def down() -> None:
    """Stop them, and wait until they have."""
    from localcloud.embedded.control import stop

    stopped = stop(read_settings().local)
    typer.echo("The embedded clouds have stopped." if stopped else "The embedded clouds don't run.")


@app.command("status")
def show_status(*, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show whether they run, and where; exit code 3 where they don't."""
    from localcloud.embedded.control import starting, status

    folder = read_settings().local
    running = status(folder)
    if json:
        typer.echo(running.model_dump_json(indent=2) if running else "null")
    elif running is None and (pid := starting(folder)) is not None:
        typer.echo(f"The embedded clouds are starting or stopping (process {pid}).")
    elif running is None:
        typer.echo("The embedded clouds don't run; start them with: failback local up")
    else:
        _show(running)
    if running is None:
        raise typer.Exit(3)


def _check_homes(running: EmbeddedState, wanted: list[HomeChoice]) -> None:
    missing = [home for home in wanted if home not in running.targets.values()]
    if missing:
        message = (
            f"The embedded clouds run already (process {running.pid}), with {' and '.join(running.targets)} alone. "
            f"For {' and '.join(missing)} end them with `failback local down`, and start them again: they then begin "
            "anew, empty."
        )
        raise LocalCloudError(message)


def _tell(step: str, began: float) -> None:
    from cli.units import clock

    typer.echo(f"{clock(time.monotonic() - began):>7}  {step}")


def _show(state: EmbeddedState) -> None:
    from cli.units import aligned

    rows = [
        ("process", f"{state.pid}, since {state.started:%Y-%m-%d %H:%M:%S %Z}".rstrip()),
        ("AWS", f"{state.aws_url} ({state.region})"),
        ("Azure", f"{state.azure_url}, blobs {state.blob_url}, CA {state.ca_file}"),
        ("Google", f"{state.google_url}, storage {state.google_storage_url}"),
        ("client ISO", f"{state.iso}{' (stand-in)' if state.iso_is_standin else ''}"),
        ("stack", state.stack),
        *(("target", f"{name}, at {home.title()}") for name, home in state.targets.items()),
        *(row for name, value in sorted(state.outputs.items()) for row in _output(name, value)),
        *(("server", f"{each.id} ({each.name}): failback start {state.target} {each.id}") for each in state.servers),
    ]
    typer.echo("The embedded clouds run.")
    typer.echo("\n".join(f"  {line}" for line in aligned(rows)))


def _output(name: str, value: str) -> list[tuple[str, str]]:
    """A row for each thing that an output of the stack lists."""
    first, *more = value.split(", ")
    return [(name, first), *(("", each) for each in more)]
