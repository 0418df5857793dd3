"""Giving back: order, what's slow, what's refused, and a cloud that can't be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from failback.clearing import CALL_TIME, MOST_LEFT
from failback.errors import CloudBusy, CloudRefused, SignInRefused
from failback.fence import FenceDesk
from failback.give_back import give_back
from failback.model.ending import Belonging
from failback.model.stage import Progress
from failback.server_return import AwsSide
from tests.home.memory_takeovers import MemoryTakeovers
from tests.memory.belongings import MemoryBelongings
from tests.memory.clock import FixedClock
from tests.memory.decision_book import MemoryDecisionBook
from tests.memory.documents import MemoryDocuments
from tests.memory.hooks import MemoryHooks
from tests.memory.hosts import MemoryHosts
from tests.memory.recovery import MemoryRecovery
from tests.memory.run_log import MemoryRunLog
from tests.states import state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from failback.clearing import Cloud
    from failback.model.run import RunState
    from failback.model.stage import StageResult
    from failback.ports import Belongings

T = TypeVar("T")
STATE = state_of("give_back")
RUN = STATE.run.id


class _Throttled(Exception):
    """What an SDK raises."""


class _Denied(Exception):
    """What an SDK raises."""


def guard(call: Callable[[], T]) -> T:
    try:
        return call()
    except _Throttled as error:
        message = "the cloud throttles"
        raise CloudBusy(message) from error
    except _Denied as error:
        message = "rights are missing: disks/delete"
        raise CloudRefused(message) from error


class Refusing(MemoryBelongings):
    """Fails at one of its belongings in a way."""

    def __init__(self, at: str, error: Exception) -> None:
        super().__init__()
        self._at, self._error = at, error

    def remove(self, belonging: Belonging) -> bool:
        if belonging.id == self._at:
            raise self._error
        return super().remove(belonging)


def thing(identity: str, cloud: str = "azure") -> Belonging:
    return Belonging(cloud=cloud, kind="disk", id=identity, name=identity)


def filled(clouds: MemoryBelongings, *names: str, slow: Sequence[str] = ()) -> MemoryBelongings:
    for name in names:
        clouds.add(RUN, thing(name), slow=name in slow)
    return clouds


def named(cloud: Belongings) -> tuple[str, Callable[[], Belongings]]:
    return "azure", lambda: cloud


def give(state: RunState, home: Belongings, aws: Belongings | None = None) -> StageResult[Any, Any]:
    """Give back a run without servers."""
    return run_back(state, named(home), ("aws", lambda: aws or MemoryBelongings()))


def run_back(
    state: RunState, home: Cloud, aws: Cloud = ("aws", MemoryBelongings), clock: FixedClock | None = None
) -> StageResult[Any, Any]:
    """One call, of a run that nothing is known of but its things."""
    run_log, time = MemoryRunLog(), clock or FixedClock()
    desk = FenceDesk(MemoryHosts(), MemoryDocuments(), MemoryHooks(), time)
    side = AwsSide(MemoryRecovery(), run_log.servers, run_log, time, desk, MemoryDecisionBook())
    return give_back(state, home, aws, takeovers=MemoryTakeovers, side=side, guard=guard)


def test_everything_of_the_run_is_removed_and_nothing_else() -> None:
    cloud = filled(MemoryBelongings(), "a", "b")
    cloud.add("another-run", thing("c"))
    result = give(STATE, cloud)
    assert result.status == "done"
    assert result.facts is not None
    assert [each.id for each in result.facts.removed] == ["a", "b"]
    assert [each.id for each in cloud.made_by("another-run")] == ["c"]


def test_what_takes_time_is_looked_at_again_and_remembered() -> None:
    cloud = filled(MemoryBelongings(), "quick", "slow", slow=["slow"])
    first = give(STATE, cloud)
    assert first.status == "pending"
    assert first.progress is not None
    assert "slow" in first.progress.note
    again = STATE.model_copy(update={"give_back": first})
    second = give(again, cloud)
    assert second.status == "done"
    assert second.facts is not None
    assert {each.id for each in second.facts.removed} == {"quick", "slow"}


def test_a_refusal_stops_no_other_and_comes_with_its_command() -> None:
    home, aws = filled(Refusing("b", _Denied()), "a", "b", "c"), filled(MemoryBelongings(), "d")
    result = give(STATE, home, aws)
    assert result.facts is not None
    assert [each.id for each in result.facts.removed] == ["a", "c", "d"]
    (left,) = result.facts.left
    assert left.belonging.id == "b"
    assert "disks/delete" in left.why
    assert left.command


def test_a_busy_cloud_is_left_to_the_next_call() -> None:
    with pytest.raises(CloudBusy):
        give(STATE, filled(Refusing("a", _Throttled()), "a"))


def test_a_home_that_lets_nobody_in_does_not_keep_aws_from_being_cleared() -> None:
    aws = filled(MemoryBelongings(), "d")

    def closed() -> Belongings:
        message = "the federation isn't set up"
        raise SignInRefused(message)

    result = run_back(STATE, ("azure", closed), ("aws", lambda: aws))
    assert result.facts is not None
    assert [each.id for each in result.facts.removed] == ["d"]
    (left,) = result.facts.left
    assert left.belonging.kind == "everything"
    assert RUN in left.command


def test_a_call_begins_nothing_once_its_time_is_up() -> None:
    clock = FixedClock()

    class Slow(MemoryBelongings):
        def remove(self, belonging: Belonging) -> bool:
            clock.forward(seconds=CALL_TIME.total_seconds() / 2)
            return super().remove(belonging)

    cloud, state, calls = filled(Slow(), *"abcde"), STATE, 0
    while state.give_back is None or state.give_back.status != "done":
        result = run_back(state, named(cloud), clock=clock)
        state, calls = state.model_copy(update={"give_back": result}), calls + 1
    assert calls == 3
    assert state.give_back.facts is not None
    assert [each.id for each in state.give_back.facts.removed] == list("abcde")


def test_a_state_holds_what_thousands_of_things_come_to() -> None:
    identity = "/subscriptions/" + "x" * 250
    names = [f"{identity}/{number}" for number in range(3000)]
    cloud = filled(MemoryBelongings(), *names, slow=names[-1:])
    cloud.refuse = {name: CloudRefused("policy " * 500) for name in names[:1000]}
    first = give(STATE, cloud)
    second = give(STATE.model_copy(update={"give_back": first}), cloud)
    for result in (first, second):
        assert len(result.model_dump_json()) < 220_000
    assert second.facts is not None
    assert len(second.facts.removed) + second.facts.more == 2000
    assert second.progress == Progress(done=2000, total=2000, unit="steps")
    *named_ones, rest = second.facts.left
    assert len(named_ones) == MOST_LEFT
    assert rest.why.startswith(f"{1000 - MOST_LEFT} more")
    assert RUN in rest.command
