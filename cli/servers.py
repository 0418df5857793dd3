"""`failback check` and `failback start`: servers on their way home; what will be made is shown before anything is."""

from __future__ import annotations

import json as json_text
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.runs import JsonOption, ProfileOption, RegionOption, StackOption, begin, run_name, where_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.deployment import Deployment
    from failback.model.request import RunRequest

Goal = Literal["check", "failback", "rehearse"]
Fields = dict[str, object]

TargetArgument = Annotated[
    str, typer.Argument(help="The target at home, as the deployment names it.", metavar="TARGET")
]
ServersArgument = Annotated[
    list[str] | None, typer.Argument(help="Recovery instances: i-…", metavar="[SERVER]…", show_default=False)
]
WayOption = Annotated[str | None, typer.Option("--way", help="original, new or helper. Default: what readiness finds.")]
FenceOption = Annotated[
    str | None,
    typer.Option(
        "--fence",
        help="What stops the workload on AWS before the launch: none, ssm:DOCUMENT, lambda:ARN or sg-….",
        metavar="KIND",
    ),
]
AutomaticOption = Annotated[bool, typer.Option("--automatic", help="Launch without a person's approval.")]
PublicOption = Annotated[
    bool, typer.Option("--public-ip", help="Replicate by the recovery instances' public addresses.")
]
BandwidthOption = Annotated[
    int, typer.Option("--bandwidth", help="Mbit/s that each recovery instance sends at most; 0: no bound.")
]
RequestOption = Annotated[
    Path | None,
    typer.Option("--request", help="A file with the request's other fields in JSON (servers, replication, …)."),
]


def check(
    context: typer.Context,
    target: TargetArgument,
    servers: ServersArgument = None,
    *,
    way: WayOption = None,
    public_ip: PublicOption = False,
    bandwidth: BandwidthOption = 0,
    request: RequestOption = None,
    run: Annotated[str | None, typer.Option(help="The run's name.")] = None,
    json: JsonOption = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Judge whether servers can go home, and show how: nothing is made. Exit code 3 if any of them can't."""
    given = _given(target, servers, way=way, public_ip=public_ip, bandwidth=bandwidth, file=request)
    from cli.deployment import reached

    with reached(where_of(stack, profile, region), context.obj) as deployment:
        name = run or run_name(target, datetime.now(UTC), goal="check")
        raise typer.Exit(_check(deployment, name, _request("check", given), as_json=json))


def start(
    context: typer.Context,
    target: TargetArgument,
    servers: ServersArgument = None,
    *,
    way: WayOption = None,
    fence: FenceOption = None,
    automatic: AutomaticOption = False,
    public_ip: PublicOption = False,
    bandwidth: BandwidthOption = 0,
    request: RequestOption = None,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Drill instances only, into new machines that are removed again.")
    ] = False,
    run: Annotated[
        str | None, typer.Option(help="The run's name; the same name and request again is the same run.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Start without asking, once the plan is shown.")] = False,
    watched: Annotated[bool, typer.Option("--watch/--no-watch", help="Watch the run until it has ended.")] = True,
    json: JsonOption = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Take servers home: check them, show what will be made, ask, and begin."""
    given = _given(target, servers, way=way, public_ip=public_ip, bandwidth=bandwidth, file=request)
    goal: Goal = "rehearse" if rehearse else "failback"
    given = _with_cutover(given, fence=fence, automatic=automatic)
    wanted = _request(goal, given)
    from cli.deployment import reached

    with reached(where_of(stack, profile, region), context.obj) as deployment:
        name = run or run_name(target, datetime.now(UTC), goal=goal)
        if deployment.execution(name) is None:
            code = _check(deployment, _check_name(name), _request("check", given), as_json=json)
            if code:
                raise typer.Exit(code)
            if not yes:
                _ask()
        raise typer.Exit(begin(deployment, name, wanted, watched=watched, as_json=json))


def _check_name(run: str) -> str:
    """The name of the check that goes before a run: another one each time, since things change between two."""
    return run_name(run, datetime.now(UTC), goal="check")


def _ask() -> None:
    if not sys.stdin.isatty():
        from failback.errors import RequestInvalid

        message = "nobody can be asked here whether to go on: say --yes"
        raise RequestInvalid(message)
    typer.confirm("Begin?", abort=True)


def _check(deployment: Deployment, name: str, request: RunRequest, *, as_json: bool) -> int:
    """Run a check to its end and show the plans, or what's in the way."""
    from cli.plan_lines import plan_lines
    from cli.watching import PATIENCE_SECONDS, ending_lines, exit_code_of, follow

    deployment.start(name, request.model_dump_json(exclude_defaults=True))
    last = follow(deployment, name, lambda _progress: None, patience=PATIENCE_SECONDS)
    outcome = last.progress.outcome
    plans = [each.record.plan for each in last.history.all_servers if each.record.plan]
    if outcome is None or outcome.outcome == "failed":
        for line in ending_lines(last, "json" if as_json else "lines"):
            typer.echo(line)
        return exit_code_of(outcome)
    for plan in plans:
        lines = [plan.model_dump_json()] if as_json else plan_lines(plan)
        typer.echo("\n".join(lines))
    if not as_json:
        typer.echo(f"{len(plans)} server{'' if len(plans) == 1 else 's'} can go home like this. Nothing was made.")
    return 0


def _given(
    target: str, servers: Sequence[str] | None, *, way: str | None, public_ip: bool, bandwidth: int, file: Path | None
) -> Fields:
    """The request's fields but its goal: those of the file, and over them what stands on the command line."""
    fields = _file_fields(file) if file else {}
    fields["target"] = target
    if servers:
        known = {str(each.get("recovery_instance")): each for each in _listed(fields)}
        fields["servers"] = [known.get(server, {"recovery_instance": server}) for server in servers]
    if way is not None:
        fields["servers"] = [{**each, "way": way} for each in _listed(fields)]
    choice = {"private_ip": False} if public_ip else {}
    more = {**choice, **({"bandwidth_mbps": bandwidth} if bandwidth else {})}
    replication = fields.get("replication")
    if more:
        fields["replication"] = {**(replication if isinstance(replication, dict) else {}), **more}
    return fields


def _with_cutover(fields: Fields, *, fence: str | None, automatic: bool) -> Fields:
    """The request's fields with what stands on the command line of the cut-over."""
    found = fields.get("cutover")
    cutover: Fields = dict(found) if isinstance(found, dict) else {}
    if fence is not None:
        cutover["fence"] = _fence(fence)
    if automatic:
        launch = cutover.get("launch")
        cutover["launch"] = {**(launch if isinstance(launch, dict) else {}), "mode": "automatic"}
    return {**fields, "cutover": cutover} if cutover else fields


def _fence(given: str) -> Fields:
    """A fence as it's said on the command line; what isn't known is left to the request's own check."""
    kind, _, rest = given.partition(":")
    if given.startswith("sg-"):
        return {"kind": "security-group", "group": given}
    field = {"ssm": "document", "lambda": "function", "security-group": "group"}.get(kind)
    return {"kind": kind, field: rest} if field else {"kind": given}


def _listed(fields: Fields) -> list[Fields]:
    found = fields.get("servers")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _file_fields(file: Path) -> Fields:
    from failback.errors import RequestInvalid

    try:
        found = json_text.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        message = f"--request {file}: {error}"
        raise RequestInvalid(message) from error
    if not isinstance(found, dict):
        message = f"--request {file}: holds no object with the request's fields"
        raise RequestInvalid(message)
    return found


def _fault(path: str, said: str) -> str:
    """A fault with its path, which faults of the whole bring with them, and for the fence with the option."""
    text = f"{path}: {said}" if path else said.removeprefix("Value error, ")
    return f"{text} (--fence KIND)" if "cutover.fence" in text else text


def _request(goal: Goal, fields: Fields) -> RunRequest:
    """The request; raises RequestInvalid with every fault and its path."""
    from pydantic import ValidationError

    from failback.errors import RequestInvalid
    from failback.model.request import RunRequest

    try:
        return RunRequest.model_validate({**fields, "goal": goal})
    except ValidationError as error:
        faults = [_fault(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
        message = "the run can't be asked for like this:\n" + "\n".join(f"  {fault}" for fault in faults)
        raise RequestInvalid(message) from error
