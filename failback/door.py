"""The doorway of a function that isn't called with a run's state alone: log, measure and guard around one call."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from failback.doorway import METRICS_NAMESPACE
from failback.errors import FailbackError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools import Logger

    from failback.model.facts import Facts

T = TypeVar("T")


class Guarded(Protocol):
    """What a door needs of its surroundings; the work itself needs more."""

    def guard(self, call: Callable[[], T], /) -> T:
        """Make a call; an SDK's error comes out as one of our own vocabulary."""
        ...


G = TypeVar("G", bound=Guarded)
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """One invocation: its name, the id that Lambda gave it, and the log to say more to."""

    name: str
    request: str
    logger: Logger

    def count(self, metric: str, value: int) -> None:
        """A number of this visit, for dashboards and alarms."""
        from aws_lambda_powertools.metrics import MetricUnit, single_metric

        with single_metric(name=metric, unit=MetricUnit.Count, value=value, namespace=METRICS_NAMESPACE) as counted:
            counted.add_dimension(name="stage", value=self.name)


def door(
    name: str, work: Callable[[Event, G, Visit], Facts], connect: Callable[[], G]
) -> Callable[[Event, object], Event]:
    """The Lambda handler of a door; `connect` is called with the first event, never at import."""

    def handler(event: Event, context: object) -> Event:
        from aws_lambda_powertools import Logger

        visit = Visit(name, str(getattr(context, "aws_request_id", "")), Logger(service=name))
        visit.logger.append_keys(request=visit.request)
        around, began = connect(), time.monotonic()
        try:
            answer = around.guard(lambda: work(event, around, visit))
        except FailbackError as error:
            visit.logger.warning("door failed", extra={"error": type(error).__name__, "cause": str(error)})
            _measure(name, "failed", seconds=time.monotonic() - began)
            raise
        said = answer.model_dump(mode="json")
        visit.logger.info("door called", extra={"answer": said})
        _measure(name, "done", seconds=time.monotonic() - began)
        return said

    return handler


def _measure(name: str, status: str, *, seconds: float) -> None:
    """The length of one call, under the same name as a stage's."""
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    with single_metric(
        name="StageSeconds", unit=MetricUnit.Seconds, value=seconds, namespace=METRICS_NAMESPACE
    ) as metric:
        metric.add_dimension(name="stage", value=name)
        metric.add_dimension(name="status", value=status)
