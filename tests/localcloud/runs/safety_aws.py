"""Rules for calls of AWS: who's never ended, what may be removed, when a launch may be asked for, what's marked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from failback.naming import PREFIX, RUN_TAG
from tests.localcloud.runs.safety_trace import plan_of, said, where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from failback.model.record import RunHistory
    from localcloud.recording import RecordedCall
    from tests.localcloud.runs.safety_trace import Launch, Trace

Json = Any
NEVER = frozenset(
    {
        *("TerminateInstances", "StopInstances", "RebootInstances"),
        *("TerminateRecoveryInstances", "DisconnectRecoveryInstance", "DeleteRecoveryInstance"),
        *("DeleteSourceServer", "DisconnectSourceServer", "StartRecovery", "ReverseReplication", "StopReplication"),
    }
)
"""What ends a recovery instance or a source server, or begins something else with it."""
CHANGES = {
    "drs": frozenset(
        {"StartFailbackLaunch", "StopFailback", "UpdateFailbackReplicationConfiguration", "TagResource",
         "UntagResource"}
    ),
    "ec2": frozenset(
        {"RegisterImage", "DeregisterImage", "DeleteSnapshot", "AuthorizeSecurityGroupIngress",
         "RevokeSecurityGroupIngress", "ModifyNetworkInterfaceAttribute"}
    ),
}  # fmt: skip
"""All that the product changes there: anything else needs a rule here first."""
READY = "FAILBACK_READY_FOR_LAUNCH"
_READS = ("Describe", "Get", "List")
_RULE_IDS = re.compile(r"SecurityGroupRuleId\.\d+")
_TAG_KEYS = re.compile(r"(.*Tag\.\d+)\.Key")


def nobody_is_ended(trace: Trace) -> Iterator[str]:
    """Not even a call that a fault keeps from its effect may be made."""
    for call in trace.calls:
        known = CHANGES.get(call.service)
        if call.operation in NEVER:
            yield f"{where(call)} is never to be made"
        elif known is not None and not (call.operation in known or call.operation.startswith(_READS)):
            yield f"{where(call)} changes something that no rule knows of"


def only_own_things_are_removed(trace: Trace) -> Iterator[str]:
    """What's removed was made in this recording, by calls that put a run's tag on it."""
    made: dict[str, str] = {}
    for call in trace.calls:
        for thing in _made(call):
            made[thing] = _run_of(call)
            if not made[thing] and not thing.startswith("object reports/"):
                yield f"{where(call)} makes {thing} without the tag of a run"
        for thing in _removed(call):
            if thing not in made:
                yield f"{where(call)} removes {thing}, which no run has made"
            elif made[thing] and made[thing] not in trace.runs:
                yield f"{where(call)} removes {thing}, made by {made[thing]}, which no run log knows"


def _made(call: RecordedCall) -> Iterator[str]:
    if call.service == "s3" and call.operation == "PutObject":
        yield f"object {_key(call)}"
    if call.service == "s3" and call.operation == "CreateMultipartUpload":
        yield f"object {_key(call)}"
    if call.operation in {"RegisterImage", "StartSnapshot", "AuthorizeSecurityGroupIngress", "CreateMultipartUpload"}:
        yield from (str(each) for each in said(call.answer))


def _removed(call: RecordedCall) -> Iterator[str]:
    asked = said(call.body) if call.service == "ec2" else {}
    match call.operation:
        case "DeregisterImage":
            yield asked["ImageId"]
        case "DeleteSnapshot" if call.service == "ec2":
            yield asked["SnapshotId"]
        case "RevokeSecurityGroupIngress":
            named = [value for name, value in asked.items() if _RULE_IDS.fullmatch(name)]
            # By its words a rule that somebody else has made could be meant.
            yield from named or ["a rule that isn't named by its id"]
        case "DeleteObject":
            yield f"object {_key(call)}"
        case "DeleteObjects":
            yield "objects by the dozen"
        case "AbortMultipartUpload":
            yield from (value for name, value in said(call.query) if name == "uploadId")


def _key(call: RecordedCall) -> str:
    return call.path.lstrip("/").partition("/")[2]


def _run_of(call: RecordedCall) -> str:
    body = said(call.body)
    if call.service == "s3":
        return str(body.get("tags", {}).get(RUN_TAG, ""))
    if call.service == "ebs":
        return next((each["Value"] for each in body.get("Tags", ()) if each["Key"] == RUN_TAG), "")
    keys = (found[1] for name, value in body.items() if (found := _TAG_KEYS.fullmatch(name)) and value == RUN_TAG)
    return next((str(body.get(f"{each}.Value", "")) for each in keys), "")


def launches_come_in_order(trace: Trace) -> Iterator[str]:
    """Ready, approved, fenced, noted, and not given up: all before the launch is asked for."""
    for launch in trace.launches:
        history = trace.runs.get(launch.run)
        if history is None:
            yield f"{where(launch.call)} launches {launch.servers} for no run"
            continue
        if not trace.is_noted((launch.run, ""), f"batch {launch.batch}", launch.call.number):
            yield f"{where(launch.call)} launches a batch that wasn't noted before: {launch.batch!r}"
        for server in launch.servers:
            yield from (f"{where(launch.call)} launches {server} {why}" for why in _why_not(trace, launch, server))


def _why_not(trace: Trace, launch: Launch, server: str) -> Iterator[str]:
    whose, number = (launch.run, server), launch.call.number
    if not trace.was_told(server, READY, number):
        yield "that wasn't ready for it"
    elif launch.call.took_effect and _last_told(trace, server, number) != READY:
        yield f"that wasn't ready any more: {_last_told(trace, server, number)}"
    if not _is_approved(trace.runs[launch.run], server, launch.call):
        yield "that nobody has approved"
    for milestone in ("fenced", "launched"):
        if not trace.is_noted(whose, milestone, number):
            yield f"that wasn't noted as {milestone}"
    if trace.has_ended_badly(whose, number):
        yield "though its part of the run had ended"


def _last_told(trace: Trace, server: str, number: int) -> str:
    return max((each for each in trace.told[server] if each[0] < number), default=(0, ""))[1]


def _is_approved(history: RunHistory, server: str, call: RecordedCall) -> bool:
    """By the policy, or by the last word of a person that counts for the server."""
    request = history.record.request
    if request is not None and request.cutover.launch.mode == "automatic":
        return True
    plan = plan_of(next((each for each in history.servers if each.record.id == server), None))
    scopes = {server, "run", *([f"wave:{plan.wave}"] if plan else [])}
    return any(
        each.subject == "approval" and each.verdict == "approve" and each.scope in scopes and each.at <= call.at
        for each in history.decisions
    )


def nobody_is_launched_twice(trace: Trace) -> Iterator[str]:
    """Unless the earlier job is known to have failed, or its failback was stopped since."""
    earlier: dict[str, Launch] = {}
    for launch in trace.launches:
        if not launch.call.took_effect:
            continue
        for server in launch.servers:
            before = earlier.get(server)
            if before is not None and not _is_undone(trace, server, before.call, launch.call):
                yield f"{where(launch.call)} launches {server} again: {where(before.call)} has launched it"
            earlier[server] = launch


def _is_undone(trace: Trace, server: str, first: RecordedCall, second: RecordedCall) -> bool:
    known = (*trace.job_failed[server], *trace.stopped[server])
    return any(first.ended < each < second.number for each in known)


def recovery_instances_are_remembered(trace: Trace) -> Iterator[str]:
    """How one was is noted before it's changed, and nothing but our own tags is put on it or taken off."""
    for call in trace.calls:
        if call.service != "drs":
            continue
        asked = said(call.body)
        if call.operation in {"TagResource", "UntagResource"}:
            names = [*asked.get("tags", {}), *(value for name, value in said(call.query) if name == "tagKeys")]
            if others := [each for each in names if not each.startswith(f"{PREFIX}:")]:
                yield f"{where(call)} changes tags that aren't ours: {others}"
        server = _changed_server(call, asked)
        if server and not trace.has_before_image(server, call.number):
            yield f"{where(call)} changes {server} before it's noted how it was"


def _changed_server(call: RecordedCall, asked: Json) -> str:
    if call.operation in {"UpdateFailbackReplicationConfiguration", "StopFailback"}:
        return str(asked.get("recoveryInstanceID", ""))
    return call.path.rpartition("/")[2] if call.operation in {"TagResource", "UntagResource"} else ""


RULES: tuple[Callable[[Trace], Iterator[str]], ...] = (
    nobody_is_ended,
    only_own_things_are_removed,
    launches_come_in_order,
    nobody_is_launched_twice,
    recovery_instances_are_remembered,
)
