"""`failback approve`, `accept`, `retry`, `give-back`, `stop`, `resume`, `clean-up`: what a person decides on runs."""

from __future__ import annotations

import json as json_text
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.runs import JsonOption, ProfileOption, RegionOption, RunArgument, StackOption, begin, run_name, where_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.deployment import Where
    from cli.watching import Look
    from failback.model.decision import DecisionRequest, Subject, Verdict
    from failback.model.request import RunRequest

ServersArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Recovery instances: i-…; none: all of the run.", metavar="[SERVER]…", show_default=False),
]
WaveOption = Annotated[str | None, typer.Option("--wave", help="All servers of that wave.")]
WhyOption = Annotated[str, typer.Option("--why", help="Why: it stands in the run's report.")]

# Where the user said what a field of the decision holds.
OPTIONS = {"run": "RUN", "servers": "SERVER", "wave": "--wave", "why": "--why"}


def approve(
    context: typer.Context,
    run: RunArgument,
    servers: ServersArgument = None,
    *,
    refuse: Annotated[bool, typer.Option("--refuse", help="Say that they're not to be launched.")] = False,
    wave: WaveOption = None,
    why: WhyOption = "",
    json: JsonOption = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Let servers be launched at home once they're ready: of all the run, of a wave, or those named."""
    where = where_of(stack, profile, region)
    _decide(
        context,
        where,
        run,
        "approval",
        "refuse" if refuse else "approve",
        servers=servers,
        wave=wave,
        why=why,
        json=json,
    )


def accept(
    context: typer.Context,
    run: RunArgument,
    servers: ServersArgument = None,
    *,
    wave: WaveOption = None,
    why: WhyOption = "",
    json: JsonOption = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Accept servers that came up at home: what the way home took is removed, they can't go back any more."""
    where = where_of(stack, profile, region)
    _decide(context, where, run, "commit", "accept", servers=servers, wave=wave, why=why, json=json)


def retry(
    context: typer.Context,
    run: RunArgument,
    servers: ServersArgument = None,
    *,
    why: WhyOption = "",
    json: JsonOption = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Have held servers try again what failed."""
    where = where_of(stack, profile, region)
    _decide(context, where, run, "hold", "retry", servers=servers, why=why, json=json)


def give_back(
    context: typer.Context,
    run: RunArgument,
    servers: ServersArgument = None,
    *,
    launched: Annotated[
        bool,
        typer.Option("--launched", help="Servers that came up at home and aren't accepted, not held ones."),
    ] = False,
    discard: Annotated[
        bool, typer.Option("--discard", help="Though they were started at home: what they wrote there is lost.")
    ] = False,
    why: WhyOption = "",
    json: JsonOption = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Undo what the run made and changed for servers that are held, or came up and aren't accepted."""
    subject: Subject = "commit" if launched else "hold"
    where = where_of(stack, profile, region)
    _decide(context, where, run, subject, "give_back", servers=servers, why=why, json=json, discard=discard)


def stop(
    context: typer.Context,
    run: RunArgument,
    *,
    why: WhyOption = "",
    json: JsonOption = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Stop a run safely: what isn't launched yet is given back, what is goes on to its end at home."""
    _decide(context, where_of(stack, profile, region), run, "stop", "stop", why=why, json=json)


def resume(
    context: typer.Context,
    run: RunArgument,
    *,
    name: Annotated[str | None, typer.Option("--run", help="The new run's name.")] = None,
    watched: Annotated[bool, typer.Option("--watch/--no-watch", help="Watch the run until it has ended.")] = True,
    json: JsonOption = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Begin a new run for the servers of an earlier one that aren't home; what's finished isn't done again."""
    from cli.deployment import reached
    from cli.watching import known_look

    with reached(where_of(stack, profile, region), context.obj) as deployment:
        request = _resuming(known_look(deployment, run))
        name = name or run_name(request.target, datetime.now(UTC), goal=request.goal)
        raise typer.Exit(begin(deployment, name, request, watched=watched, as_json=json))


def clean_up(
    context: typer.Context,
    run: RunArgument,
    *,
    json: JsonOption = False,
    stack: StackOption = "",
    profile: ProfileOption = None,
    region: RegionOption = None,
) -> None:
    """Try again to give back what an ended run couldn't: what keeps it from that has to be set right before."""
    from cli.deployment import reached
    from cli.watching import known_look
    from failback.clean_up import clean_up_faults, cleaning_name
    from failback.errors import RequestInvalid
    from failback.model.request import RunRequest

    with reached(where_of(stack, profile, region), context.obj) as deployment:
        history = known_look(deployment, run).history
        target = history.record.target
        if faults := clean_up_faults(history, run, target):
            raise RequestInvalid("\n".join(faults))
        begun = cleaning_name(run, f"{datetime.now(UTC):%Y%m%d-%H%M%S}")
        request = RunRequest(goal="clean_up", target=target, clean_up=run)
        raise typer.Exit(begin(deployment, begun, request, watched=False, as_json=json))


def _resuming(before: Look) -> RunRequest:
    """The request that goes on with a run; raises RequestInvalid where there's nothing to go on with."""
    from failback.errors import RequestInvalid
    from failback.model.request import RunRequest

    record = before.history.record
    if before.progress.outcome is None:
        message = f"run {record.run} is under way: watch it, or end it first with: failback stop {record.run}"
        raise RequestInvalid(message)
    if not record.target:
        message = f"run {record.run} was refused and has noted nothing to go on with; ask for it anew"
        raise RequestInvalid(message)
    return RunRequest(goal=record.goal, target=record.target, resume=record.run)


def _decide(
    context: typer.Context,
    where: Where,
    run: str,
    subject: Subject,
    verdict: Verdict,
    *,
    servers: list[str] | None = None,
    wave: str | None = None,
    why: str = "",
    json: bool = False,
    discard: bool = False,
) -> None:
    from cli.deployment import reached

    fields = {"run": run, "subject": subject, "verdict": verdict, "why": why, "discard": discard}
    wanted = _wanted({**fields, "servers": tuple(servers or ()), "wave": wave})
    with reached(where, context.obj) as deployment:
        said = deployment.decide(wanted)
    about = ", ".join(servers or ()) or (f"wave {wave}" if wave else "the whole run")
    if json:
        typer.echo(json_text.dumps(said))
        return
    typer.echo(
        f"Noted for {about} of run {run}: {verdict.replace('_', ' ')}. See what comes of it: failback watch {run}"
    )
    if asleep := said.get("asleep"):
        typer.echo(f"It counts within a minute: the watcher couldn't be woken at once ({asleep}).", err=True)


def _wanted(fields: Mapping[str, object]) -> DecisionRequest:
    """The decision; raises RequestInvalid with every fault, each with the option that it came by."""
    from pydantic import ValidationError

    from failback.errors import RequestInvalid
    from failback.model.decision import DecisionRequest

    faults = []
    if fields["wave"] is not None and fields["servers"]:
        faults.append("--wave: name servers or a wave, not both")
    if (fields["subject"], fields["verdict"]) == ("commit", "give_back") and not fields["discard"]:
        faults.append(
            "--discard: a server that has come up at home is given back only if what it has written there may be lost: "
            "say so"
        )
    try:
        wanted = DecisionRequest.model_validate(fields)
    except ValidationError as error:
        faults += [f"{OPTIONS.get(str(each['loc'][0]), each['loc'][0])}: {each['msg']}" for each in error.errors()]
    if faults:
        raise RequestInvalid("it can't be decided like this:\n" + "\n".join(f"  {fault}" for fault in faults))
    return wanted
