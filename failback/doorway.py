"""The doorway of every stage: decode the run's state, one call, encode the result; log, measure and record around it.

Nothing about the business stands here. A stage that isn't done by its deadline fails here, since every stage would
have to ask the same question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from failback.errors import FailbackError, StageTimedOut
from failback.model.record import StageEntry
from failback.model.run import RunState
from failback.model.stage import StageResult, facts_of
from failback.run_over import call_of, check_begun

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from aws_lambda_powertools import Logger

    from failback.model.call import Call
    from failback.ports import Clock, RunLog
    from failback.recovery_ports import DecisionBook

METRICS_NAMESPACE = "drs-failback"


T = TypeVar("T")


class Surroundings(Protocol):
    """What the doorway needs of a stage's surroundings; the stage itself needs more."""

    @property
    def run_log(self) -> RunLog: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def decisions(self) -> DecisionBook: ...

    @property
    def deadline(self) -> timedelta: ...

    def guard(self, call: Callable[[], T], /) -> T:
        """Make a call; an SDK's error comes out as one of our own vocabulary."""
        ...


S = TypeVar("S", bound=Surroundings)
Event = dict[str, Any]
Result = StageResult[Any, Any]


def stage_doorway(
    stage: str, work: Callable[[RunState, S], Result], connect: Callable[[], S], *, stoppable: bool = False
) -> Callable[[Event, object], Event]:
    """The Lambda handler of a stage; `connect` is called with the first event, never at import.

    One that's `stoppable` raises Stopped, and does nothing more, once a person has stopped the run; all others do so
    once the run's execution was ended from outside, but those that clean up after it.
    """

    def handler(event: Event, context: object) -> Event:
        from aws_lambda_powertools import Logger
        from aws_lambda_powertools.utilities.parser import parse

        state = _begun_anew(stage, parse(event=event, model=RunState))
        logger = Logger(service=stage)
        logger.append_keys(run=state.run.id, server=_server(state), request=getattr(context, "aws_request_id", ""))
        around = connect()
        if state.goal == "clean_up":
            return _call(stage, lambda: work(state, around), around, state, logger)
        call = call_of(context, around.clock.now())

        def begun() -> Result:
            # In this order: whoever cleans up sees this call, or this call sees that it's too late.
            around.run_log.begin(state.run.id, stage, call, server=_server(state))
            check_begun(state, around.decisions, stoppable=stoppable)
            return work(state, around)

        return _call(stage, begun, around, state, logger, call)

    return handler


def _begun_anew(stage: str, state: RunState) -> RunState:
    """The state without what the stage had left before a person had it tried again: its time begins anew, too."""
    again, before = facts_of(state.hold_server), getattr(state, stage, None)
    if again is None or not isinstance(before, StageResult) or before.since is None or before.since >= again.at:
        return state
    return state.model_copy(update={stage: None})


def _server(state: RunState) -> str:
    return state.server.id if state.server else ""


def _call(
    stage: str,
    work: Callable[[], Result],
    around: Surroundings,
    state: RunState,
    logger: Logger,
    call: Call | None = None,
) -> Event:
    now = around.clock.now()
    began = _began(stage, state) or now
    try:
        result = around.guard(work)
        if result.status != "done" and around.clock.now() - began > around.deadline:
            raise StageTimedOut(_overdue(stage, around.deadline, result))
    except FailbackError as error:
        name, advice = type(error).__name__, str(error)
        logger.warning("stage failed", extra={"error": name, "cause": advice})
        entry = StageEntry(
            stage=stage, status="failed", began=began, updated=around.clock.now(), error=name, advice=advice
        )
        _record(around, state, entry, now, call)
        raise
    result = result.model_copy(update={"since": began})
    logger.info("stage called", extra={"status": result.status, "progress": result.progress})
    _record(around, state, _entry(stage, result, began, around.clock.now()), now, call)
    return result.model_dump(mode="json")


def _record(around: Surroundings, state: RunState, entry: StageEntry, called: datetime, call: Call | None) -> None:
    """In the run log, for people; and as a metric, for alarms."""
    _measure(entry.stage, entry.status, seconds=(entry.updated - called).total_seconds())
    around.guard(lambda: around.run_log.note(state.run.id, entry, server=_server(state), call=call))


def _began(stage: str, state: RunState) -> datetime | None:
    before = getattr(state, stage, None)
    return before.since if isinstance(before, StageResult) else None


def _overdue(stage: str, deadline: timedelta, result: Result) -> str:
    note = result.progress.note if result.progress else ""
    return (
        f"{stage} isn't done after {deadline.total_seconds() / 60:.0f} minutes{': ' if note else ''}{note}. Look for "
        "throttling in its log; raise deadline_minutes in its stage.json if the work is only slow, and start again: "
        "what is finished isn't done twice."
    )


def _entry(stage: str, result: Result, began: datetime, now: datetime) -> StageEntry:
    facts = result.facts.model_dump(mode="json") if result.facts is not None else None
    return StageEntry(
        stage=stage, status=result.status, began=began, updated=now, progress=result.progress, facts=facts
    )


def _measure(stage: str, status: str, *, seconds: float) -> None:
    """The length of one call, as CloudWatch reads it from the log."""
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    with single_metric(
        name="StageSeconds", unit=MetricUnit.Seconds, value=seconds, namespace=METRICS_NAMESPACE
    ) as metric:
        metric.add_dimension(name="stage", value=stage)
        metric.add_dimension(name="status", value=status)
