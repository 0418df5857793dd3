"""`failback prepare`, `watch`, `report`, `list`: runs of a deployment, in AWS or in the embedded clouds.

Everything that loads an SDK or a model is imported where it's used: the help of a command needs none of it.
"""

from __future__ import annotations

import json as json_text
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.settings import read_settings

if TYPE_CHECKING:
    from cli.deployment import Deployment, Where
    from cli.watching import Look
    from failback.model.request import RunRequest

RunArgument = Annotated[str, typer.Argument(help="The run's name.", metavar="RUN")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one line for each change.")]
StackOption = Annotated[
    str, typer.Option("--stack", envvar="FAILBACK_STACK", help="The deployment's stack; else the embedded clouds.")
]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="A profile of AWS's own settings.")]
RegionOption = Annotated[str | None, typer.Option("--region", help="The stack's Region.")]

RUN_NAME_LENGTH = 64
# Where the user said what a field of the request holds.
FIELDS = {"target": "TARGET", "client_image.iso_version": "--iso-version", "client_image.ami": "--ami"}


class ReportFormat(StrEnum):
    """What a report is printed as."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


def prepare(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="The target at home, as the deployment names it.", metavar="TARGET")],
    *,
    iso_version: Annotated[
        str | None, typer.Option(help="The client ISO's version, 40 hexadecimal digits. Default: latest.")
    ] = None,
    ami: Annotated[str | None, typer.Option(help="Export this AMI; nothing is fetched or built.")] = None,
    run: Annotated[
        str | None, typer.Option(help="The run's name; the same name and request again is the same run.")
    ] = None,
    watched: Annotated[bool, typer.Option("--watch/--no-watch", help="Watch the run until it has ended.")] = True,
    json: JsonOption = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Make the client image, bring it home and boot it there once; what is there already isn't made again."""
    request = checked_request(target, iso_version=iso_version, ami=ami, run=run)
    from cli.deployment import reached

    with reached(where_of(stack, profile, region), context.obj) as deployment:
        name = run or run_name(target, datetime.now(UTC))
        raise typer.Exit(begin(deployment, name, request, watched=watched, as_json=json))


def watch_run(
    context: typer.Context,
    run: RunArgument,
    *,
    json: JsonOption = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Show how a run goes on, until it has ended. Ctrl-C ends the watching, never the run."""
    from cli.deployment import reached
    from cli.watching import dress, watch

    with reached(where_of(stack, profile, region), context.obj) as deployment:
        raise typer.Exit(watch(deployment, run, dressed=dress(as_json=json)))


def report(
    context: typer.Context,
    run: RunArgument,
    *,
    report_format: Annotated[ReportFormat, typer.Option("--format", help="text, json or html.")] = ReportFormat.TEXT,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it there instead of printing it.", metavar="FILE")
    ] = None,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Print what a run has done, when, and what the image at home is made of; also while it's under way."""
    from cli.deployment import reached
    from cli.watching import known_look

    with reached(where_of(stack, profile, region), context.obj) as deployment:
        seen = known_look(deployment, run)
    text = _reported(seen, report_format)
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        from failback.errors import RequestInvalid

        message = f"--output {output}: {error.strerror}; the report isn't written"
        raise RequestInvalid(message) from error


def _reported(seen: Look, report_format: ReportFormat) -> str:
    from cli.report import account, report_lines

    if report_format is ReportFormat.JSON:
        return account(seen).model_dump_json(indent=2)
    if report_format is ReportFormat.HTML:
        from failback.report_page import report_page

        return report_page(account(seen))
    return "\n".join(report_lines(seen))


def list_runs(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """List the runs that began last, newest first."""
    from cli.deployment import reached
    from cli.run_lines import run_rows
    from cli.units import aligned

    with reached(where_of(stack, profile, region), context.obj) as deployment:
        records = deployment.run_log.recent(limit)
    if json:
        typer.echo(json_text.dumps([record.model_dump(mode="json") for record in records], indent=2))
    elif records:
        typer.echo("\n".join(aligned(run_rows(records, now=datetime.now(UTC)))))
    else:
        typer.echo(f"No runs at {deployment.name} yet; begin one with: failback prepare TARGET", err=True)


def begin(deployment: Deployment, name: str, request: RunRequest, *, watched: bool, as_json: bool) -> int:
    """Start a run, say so, and watch it if that's wished; returns the exit code."""
    execution = deployment.start(name, request.model_dump_json(exclude_defaults=True))
    if as_json:
        typer.echo(json_text.dumps({"run": name, "execution": execution}))
    else:
        typer.echo(f"Run {name} at {deployment.name}")
    if not watched:
        return 0
    from cli.watching import dress, watch

    return watch(deployment, name, dressed=dress(as_json=as_json), just_started=True)


def run_name(what: str, now: datetime, *, goal: str = "prepare") -> str:
    """A name that no other run has: what it's for, when it began, and something random."""
    tail = f"{now:-%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    head = f"{goal}-{what}"
    return f"{head[: RUN_NAME_LENGTH - len(tail)]}{tail}"


def checked_request(target: str, *, iso_version: str | None, ami: str | None, run: str | None) -> RunRequest:
    """The request; raises RequestInvalid with every fault, each with the option that it came by."""
    from pydantic import ValidationError

    from failback.errors import RequestInvalid
    from failback.model.request import RunRequest
    from failback.run_request import RUN_ID

    faults = []
    if run is not None and RUN_ID.fullmatch(run) is None:
        faults.append("--run: takes at most 64 letters, digits, '.', '_', '-', and begins with a letter or digit")
    if iso_version is not None and ami is not None:
        faults.append("--ami: an AMI has its client in it already; leave --iso-version out")
    choice = {key: value for key, value in (("iso_version", iso_version), ("ami", ami)) if value is not None}
    try:
        request = RunRequest.model_validate({"goal": "prepare", "target": target, "client_image": choice})
    except ValidationError as error:
        faults += [_fault(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
    if faults:
        raise RequestInvalid("the run can't be asked for like this:\n" + "\n".join(f"  {fault}" for fault in faults))
    return request


def _fault(path: str, said: str) -> str:
    return f"{FIELDS.get(path, path)}: {said}"


def where_of(stack: str, profile: str | None, region: str | None) -> Where:
    from cli.deployment import Where

    return Where(local=read_settings().local, stack=stack, profile=profile, region=region)
