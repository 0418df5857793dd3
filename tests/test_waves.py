"""Waves: which servers are in which, in what order, and what keeps the next one from being begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from failback.model.decision import Decision
from failback.model.record import RunRecord
from failback.model.request import RunRequest
from failback.model.server import ServerOutcome
from failback.naming import server_lock
from failback.waves import MOST_NAMED, begin_wave, waves_of
from tests.memory.clock import NOON
from tests.memory.decision_book import MemoryDecisionBook
from tests.memory.run_log import MemoryRunLog
from tests.states import state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.way_home import WaveStart

RUN = state_of("begin_wave").run.id


def request_of(servers: Sequence[str | None], waves: Sequence[tuple[str, str]] = ()) -> RunRequest:
    """Servers by the wave of each; waves with what stops the run."""
    wish = {
        "goal": "failback", "target": "azure-home", "cutover": {"fence": {"kind": "none"}},
        "servers": [{"recovery_instance": f"i-{number:08x}", "wave": wave} for number, wave in enumerate(servers)],
        "waves": [{"name": name, "on_failure": on_failure} for name, on_failure in waves],
    }  # fmt: skip
    return RunRequest.model_validate(wish)


def shape(request: RunRequest) -> list[tuple[str, str, list[int]]]:
    return [(each.name, each.on_failure, [int(one.id[2:], 16) for one in each.servers]) for each in waves_of(request)]


def test_the_requests_order_comes_first_then_that_of_the_servers() -> None:
    request = request_of(
        ["web", None, "data", "mail", None, "web"], [("data", "continue"), ("nobody", "stop"), ("web", "stop")]
    )
    assert shape(request) == [
        ("data", "continue", [2]),
        ("web", "stop", [0, 5]),
        ("first", "stop", [1, 4]),
        ("mail", "stop", [3]),
    ]


def test_servers_without_a_wave_are_in_one() -> None:
    assert shape(request_of([None, None])) == [("first", "stop", [0, 1])]
    assert shape(request_of([None, "a"], [("a", "stop"), ("first", "continue")])) == [
        ("a", "stop", [1]),
        ("first", "continue", [0]),
    ]
    assert waves_of(RunRequest.model_validate({"goal": "prepare", "target": "t"})) == ()


class Run:
    """A run of waves whose servers ended so; `nothing` is no end."""

    def __init__(self, *waves: tuple[str, Sequence[str]], noted: bool = True) -> None:
        self.log, self.decisions = MemoryRunLog(), MemoryDecisionBook()
        names = [f"wave-{number}" for number, (_, ends) in enumerate(waves) for _ in ends]
        self.request = request_of(names, [(f"wave-{number}", how) for number, (how, _) in enumerate(waves)])
        record = RunRecord(
            run=RUN,
            execution="arn",
            goal="failback",
            target="azure-home",
            home="azure",
            started=NOON,
            request=self.request if noted else None,
        )
        self.log.open(record)
        self.log.servers.enlist(RUN, self.request.servers)
        for server, end in zip(self.request.servers, (end for _, ends in waves for end in ends), strict=True):
            self.log.lease(server_lock(server.recovery_instance), RUN, now=NOON, until=NOON.replace(year=2027))
            if end != "nothing":
                outcome = ServerOutcome.model_validate({"outcome": end, "at": NOON, "cause": "its own"})
                self.log.servers.settle(RUN, server.recovery_instance, outcome)

    def begin(self, number: int) -> WaveStart:
        wave = waves_of(self.request)[number].model_dump()
        state = state_of("begin_wave", wave=wave)
        result = begin_wave(state, run_log=self.log, book=self.log.servers, decisions=self.decisions, now=NOON)
        assert result.facts is not None
        return result.facts

    def outcome(self, number: int) -> Any:  # noqa: ANN401
        record = self.log.servers.find(RUN, f"i-{number:08x}")
        assert record is not None
        return record.outcome


def test_the_first_wave_is_begun() -> None:
    run = Run(("stop", ["nothing"]), ("stop", ["nothing"]))
    assert run.begin(0).begun
    assert run.outcome(0) is None
    assert len(run.log.leases) == 2


@pytest.mark.parametrize("end", ["failed", "launched", "skipped", "nothing"])
def test_a_wave_that_not_all_came_home_of_stops_those_after_it(end: str) -> None:
    run = Run(("stop", ["home", end]), ("continue", ["nothing", "failed"]), ("stop", ["nothing"]))
    told = run.begin(1)
    assert not told.begun
    assert "wave wave-0 came before it" in told.why
    assert "i-00000001." in told.why
    assert (run.outcome(2).outcome, run.outcome(2).stage, run.outcome(2).cause) == ("skipped", "begin_wave", told.why)
    assert run.outcome(3).cause == "its own"
    assert set(run.log.leases) == {server_lock(f"i-{number:08x}") for number in (0, 1, 4)}
    assert run.begin(1) == told
    assert not run.begin(2).begun


@pytest.mark.parametrize("end", ["home", "rehearsed"])
def test_a_wave_whose_servers_came_home_stops_nothing(end: str) -> None:
    assert Run(("stop", [end, end]), ("stop", ["nothing"])).begin(1).begun


def test_a_wave_that_is_to_be_gone_on_after_stops_nothing() -> None:
    run = Run(("continue", ["failed"]), ("stop", ["nothing"]), ("stop", ["nothing"]))
    assert run.begin(1).begun
    assert not run.begin(2).begun


def test_a_stopped_run_begins_no_wave() -> None:
    run = Run(("stop", ["nothing"]))
    told = {"subject": "stop", "scope": "run", "verdict": "stop", "actor": "", "known_by": "IAM", "at": NOON}
    run.decisions.decide(RUN, Decision.model_validate(told))
    start = run.begin(0)
    assert not start.begun
    assert start.why.startswith("somebody stopped the run at 2026-11-22 12:00 UTC.")
    assert run.outcome(0).outcome == "skipped"
    assert not run.log.leases


def test_a_run_whose_request_nobody_kept_goes_on() -> None:
    assert Run(("stop", ["failed"]), ("stop", ["nothing"]), noted=False).begin(1).begun


def test_a_reason_names_some_of_many() -> None:
    why = Run(("stop", ["failed"] * 499), ("stop", ["nothing"])).begin(1).why
    assert f"and {499 - MOST_NAMED} more" in why
    assert len(why) < 1000
