"""Seams in Distributed Maps: too many failed children fail the Map, and each child has a history of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.moto_seams.functions import ACCOUNT

if TYPE_CHECKING:
    from localcloud.moto_seams.pins import Inside, Swaps

_ITERATION = "moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration"
_COMPONENT = f"{_ITERATION}.distributed_iteration_component:DistributedIterationComponent"
_WORKER = f"{_ITERATION}.itemprocessor.distributed_item_processor_worker:DistributedItemProcessorWorker"
MAP_RUN = f"{_COMPONENT}._map_run"
MAP_STATE = f"{_COMPONENT}._eval_body"
CHILD = f"{_WORKER}._eval_job"


def exceeds(*, failed: int, total: int, count: int, percentage: float) -> bool:
    """Whether a Map Run has failed (Amazon States Language, Map, ToleratedFailureCount and ~Percentage).

    The engine gives 0 for a bound that isn't set; a bound of one kind lifts the default of the other.
    """
    over_count = failed > count
    over_percentage = total > 0 and failed * 100 / total > percentage
    if count and percentage:
        return over_count or over_percentage
    return over_percentage if percentage else over_count


def child_histories(execution_arn: str) -> list[list[dict[str, Any]]]:
    """The events of each child of an execution's Distributed Maps, as GetExecutionHistory has them, by item.

    Without the two that AWS adds to a child's history: ExecutionStarted, and the one that says how it ended.
    """
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    backend: Inside = stepfunctions_parser_backends[ACCOUNT][execution_arn.split(":")[3]]
    environment = backend.describe_execution(execution_arn).exec_worker.env
    records = [] if environment is None else environment.map_run_record_pool_manager.get_all()
    managers = [pair for record in records for pair in sorted(_histories(record).items())]
    return [manager.get_event_history() for _, manager in managers]


def _histories(record: Inside) -> dict[int, Inside]:
    """What writes the events of a Map Run's children, by the number of the item."""
    made: dict[int, Inside] = record.__dict__.setdefault("histories", {})
    return made


def seam_map_runs(swaps: Swaps) -> None:
    """Judge Map Runs, and keep their children's histories apart."""
    _seam_histories(swaps)
    _seam_judgement(swaps)


def _seam_histories(swaps: Swaps) -> None:
    """The engine writes all children's events into one list that it throws away, and shows it instead of the parent's
    history while the Map runs."""
    from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager

    from localcloud.moto_seams.pins import find

    (map_owner, map_name), (child_owner, child_name) = find(MAP_STATE), find(CHILD)
    evaluate_map, evaluate_child = getattr(map_owner, map_name), getattr(child_owner, child_name)

    def evaluate_remembering(component: Inside, env: Inside) -> None:
        env.own_events = env.event_manager
        evaluate_map(component, env)

    def evaluate_apart(worker: Inside, env: Inside, job: Inside) -> None:
        env.event_manager = _histories(worker._map_run_record)[job.job_index] = EventManager()
        evaluate_child(worker, env, job)

    swaps.function(MAP_STATE, evaluate_remembering)
    swaps.function(CHILD, evaluate_apart)


def _seam_judgement(swaps: Swaps) -> None:
    """Fail a Map Run when all its children have ended (AWS ends the rest as soon as the bound is passed)."""
    from localcloud.moto_seams.pins import find

    owner, name = find(MAP_RUN)
    run = getattr(owner, name)

    def run_and_judge(component: Inside, env: Inside, eval_input: Inside) -> None:
        # Those of the children have been given to each of them.
        env.event_manager = env.own_events
        run(component, env, eval_input)
        record = eval_input.map_run_record
        judged = exceeds(
            failed=_value(record.item_counter.failed),
            total=_value(record.item_counter.total),
            count=record.tolerated_failure_count,
            percentage=record.tolerated_failure_percentage,
        )
        if judged:
            raise _failure(env)

    swaps.function(MAP_RUN, run_and_judge)


def _value(counter: Inside) -> int:
    return int(counter.get())


def _failure(env: Inside) -> Exception:
    from moto.stepfunctions.parser.api import HistoryEventType, MapRunFailedEventDetails
    from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
        FailureEvent,
        FailureEventException,
    )
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType

    kind = StatesErrorNameType.StatesExceedToleratedFailureThreshold
    told = MapRunFailedEventDetails(
        error=kind.to_name(), cause="The specified tolerated failure threshold was exceeded"
    )
    details: Inside = {"mapRunFailedEventDetails": told}
    event = FailureEvent(
        env=env,
        error_name=StatesErrorName(typ=kind),
        event_type=HistoryEventType.MapRunFailed,
        event_details=details,
    )
    return FailureEventException(failure_event=event)
