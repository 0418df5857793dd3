"""Resuming: a new run for the servers that an earlier one didn't bring home, asked for as that one was."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.model.record import RunHistory, ServerHistory
    from failback.ports import RunLog


def resumed_fields(fields: Mapping[str, object], run_log: RunLog, faults: list[str]) -> Mapping[str, object]:
    """A request's fields; where it resumes a run, those that it doesn't give are the earlier request's.

    Servers that the earlier run brought home are left out, and those that are at home and that nobody accepted: what
    becomes of them is a person's to say.
    """
    run = fields.get("resume")
    if not isinstance(run, str) or not run:
        return fields
    history = run_log.read(run)
    fault = _fault(history, run)
    if fault or history is None or history.record.request is None:
        faults.append(fault)
        return fields
    request = history.record.request.model_dump(mode="json", exclude={"resume", "clean_up", "part_of"})
    at_home = {each.record.id for each in history.all_servers if _is_at_home(each)}
    servers = [each for each in request["servers"] if each["recovery_instance"] not in at_home]
    if not servers and "servers" not in fields:
        faults.append(
            f"resume: every server of run {run} is at home, or waits there for a person; there's nothing left"
        )
    return {**request, "servers": servers, **fields}


def _fault(history: RunHistory | None, run: str) -> str:
    if history is None:
        return f"resume: there is no run {run!r}"
    going = next((each for each in (history, *history.parts) if each.record.status == "running"), None)
    if going is not None:
        return f"resume: run {going.record.run} is under way still, or isn't cleaned up after; wait for its end"
    if history.record.request is None:
        return f"resume: nothing is known any more of what run {run} was asked for; ask for it anew"
    return ""


def _is_at_home(server: ServerHistory) -> bool:
    outcome = server.record.outcome
    return outcome is not None and (outcome.is_good or outcome.outcome == "launched")
