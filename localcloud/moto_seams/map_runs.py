"""A seam in Distributed Maps: more failed children than tolerated fail the Map, which the engine only counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.moto_seams.pins import Inside, Swaps

_COMPONENT = (
    "moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration"
    ".distributed_iteration_component:DistributedIterationComponent"
)
MAP_RUN = f"{_COMPONENT}._map_run"


def exceeds(*, failed: int, total: int, count: int, percentage: float) -> bool:
    """Whether a Map Run has failed (Amazon States Language, Map, ToleratedFailureCount and ~Percentage).

    The engine gives 0 for a bound that isn't set; a bound of one kind lifts the default of the other.
    """
    over_count = failed > count
    over_percentage = total > 0 and failed * 100 / total > percentage
    if count and percentage:
        return over_count or over_percentage
    return over_percentage if percentage else over_count


def seam_map_runs(swaps: Swaps) -> None:
    """Fail a Map Run when all its children have ended (AWS ends the rest as soon as the bound is passed)."""
    from localcloud.moto_seams.pins import find

    owner, name = find(MAP_RUN)
    run = getattr(owner, name)

    def run_and_judge(component: Inside, env: Inside, eval_input: Inside) -> None:
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
