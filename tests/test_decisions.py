"""The gate of decisions: every fault at once, nothing noted of a faulty one, the watcher woken after a good one."""

from __future__ import annotations

from typing import Any

import pytest

from failback.decision_request import NOBODY, Decided, decide
from failback.errors import CloudBusy, RequestInvalid
from failback.model.decision import Decision
from failback.model.ending import Outcome
from failback.model.record import RunRecord, StageEntry
from failback.model.request import RunRequest, ServerRequest
from failback.model.server import ServerOutcome
from tests.lambdas.surroundings import Surroundings
from tests.memory.clock import NOON

RUN = "run-1"
FIRST, SECOND = "i-0000000a", "i-0000000b"


class Office(Surroundings):
    """A run that's under way with two servers, the second of them in wave `web`; `per` is how launches are approved."""

    def __init__(self, *, per: str = "run", asked: bool = True) -> None:
        super().__init__("office")
        servers = [ServerRequest(recovery_instance=FIRST), ServerRequest(recovery_instance=SECOND, wave="web")]
        cutover = {"fence": {"kind": "none"}, "launch": {"per": per}}
        request = {"goal": "failback", "target": "home", "servers": servers, "cutover": cutover}
        record = {"run": RUN, "execution": "arn", "goal": "failback", "target": "home", "home": "azure"}
        kept = RunRequest.model_validate(request) if asked else None
        self.run_log.open(RunRecord.model_validate({**record, "started": NOON, "request": kept}))
        self.servers.enlist(RUN, servers)

    def waits(self, server: str, stage: str, status: str = "pending") -> None:
        own = {"stage": stage, "status": status, "began": NOON, "updated": NOON}
        self.run_log.note(RUN, StageEntry.model_validate(own), server=server)

    def decide(self, **fields: object) -> Decided:
        return decide({"run": RUN, "actor": "kim", **fields}, self, request_id="r-1")

    def faults(self, **fields: object) -> list[str]:
        """What's said of a faulty one; nothing may come of it."""
        with pytest.raises(RequestInvalid) as refused:
            self.decide(**fields)
        assert not self.decisions.kept
        assert not self.watcher.woken
        said = str(refused.value)
        assert said.startswith("Nothing was decided: ")
        return said.removeprefix("Nothing was decided: ").removesuffix(".").split("; ")


APPROVE: dict[str, Any] = {"subject": "approval", "verdict": "approve"}
ACCEPT: dict[str, Any] = {"subject": "commit", "verdict": "accept"}
RETRY: dict[str, Any] = {"subject": "hold", "verdict": "retry"}
STOP: dict[str, Any] = {"subject": "stop", "verdict": "stop"}


@pytest.mark.parametrize(
    ("fields", "scopes"),
    [
        pytest.param({**APPROVE}, ["run"], id="the-run"),
        pytest.param({**APPROVE, "wave": "web"}, ["wave:web"], id="a-wave"),
        pytest.param({**APPROVE, "wave": "first"}, ["wave:first"], id="the-wave-of-those-that-name-none"),
        pytest.param({**APPROVE, "servers": [FIRST]}, [FIRST], id="a-server"),
        pytest.param({**APPROVE, "servers": [SECOND, FIRST, SECOND]}, [SECOND, FIRST], id="servers"),
        pytest.param({"subject": "approval", "verdict": "refuse", "servers": (FIRST,)}, [FIRST], id="refused"),
        pytest.param({**STOP}, ["run"], id="stop"),
    ],
)
def test_a_decision_is_noted_under_what_it_is_about(fields: dict[str, Any], scopes: list[str]) -> None:
    office = Office()
    decided = office.decide(**fields, why="in the window")
    assert list(office.decisions.of(RUN)) == list(decided.decisions)
    assert [each.scope for each in decided.decisions] == scopes
    assert office.watcher.woken == 1
    assert decided.decisions[0] == Decision(
        subject=fields["subject"],
        scope=scopes[0],
        verdict=fields["verdict"],
        actor="kim",
        known_by="said by the caller; CloudTrail's data event of request r-1 says who it was",
        at=NOON,
        why="in the window",
    )


@pytest.mark.parametrize(
    ("stage", "fields"),
    [
        pytest.param("await_commit", ACCEPT, id="accept"),
        pytest.param("await_commit", {"subject": "commit", "verdict": "give_back", "discard": True}, id="discard"),
        pytest.param("hold_server", RETRY, id="retry"),
        pytest.param("hold_server", {"subject": "hold", "verdict": "give_back"}, id="give-back"),
    ],
)
def test_what_counts_only_during_a_wait_is_taken_during_it(stage: str, fields: dict[str, Any]) -> None:
    office = Office()
    (fault,) = office.faults(**fields, servers=[FIRST])
    assert fault == f"servers: {FIRST} doesn't wait for that now: it's in no stage yet"
    (fault,) = Office().faults(**fields)
    assert fault == f"subject: no server of run {RUN} waits for that now"
    office = Office()
    office.waits(FIRST, "cut_over", "done")
    office.waits(FIRST, stage, "done")
    with pytest.raises(RequestInvalid, match=rf"{FIRST} doesn't wait for that now: it's in {stage}"):
        office.decide(**fields, servers=[FIRST])
    office.waits(FIRST, stage)
    assert [each.scope for each in office.decide(**fields, servers=[FIRST]).decisions] == [FIRST]
    assert [each.scope for each in office.decide(**fields).decisions] == ["run"]
    assert [each.scope for each in office.decide(**fields, wave="first").decisions] == ["wave:first"]
    with pytest.raises(RequestInvalid, match="no server of wave web waits"):
        office.decide(**fields, wave="web")


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        pytest.param({**APPROVE, "run": "run-2"}, ["run: there is no run 'run-2'"], id="run"),
        pytest.param({**APPROVE, "servers": ["i-1", "i-2"]}, ["no server i-1", "no server i-2"], id="servers"),
        pytest.param({**APPROVE, "wave": "db"}, ["has no wave 'db'", "it has first, web"], id="wave"),
        pytest.param({**APPROVE, "verdict": "retry"}, ["'retry' isn't one on approval"], id="verdict"),
        pytest.param({**STOP, "servers": [FIRST]}, ["stop is about the whole run"], id="stop-of-a-server"),
        pytest.param({**APPROVE, "wave": "web", "servers": [FIRST]}, ["servers or a wave, not both"], id="both"),
        pytest.param({"subject": "commit", "verdict": "give_back", "servers": ["i-1"]}, ["discard:", "i-1"], id="lost"),
        pytest.param({"verdict": "approve"}, ["subject: Field required"], id="no-subject"),
        pytest.param({**APPROVE, "run": ""}, ["run: "], id="no-run"),
        pytest.param({**APPROVE, "run": 5}, ["run: "], id="run-of-another-kind"),
        pytest.param({**APPROVE, "server": FIRST}, ["server: Extra inputs"], id="unknown-field"),
        pytest.param({**APPROVE, "servers": FIRST}, ["servers: "], id="servers-as-text"),
        pytest.param(
            {"subject": "stop", "verdict": "accept", "servers": ["i-1", 7], "wave": "x y", "discard": "maybe"},
            [
                "servers.1: ", "wave: ", "discard: ", "isn't one on stop", "stop is about", "not both", "no server i-1",
                "no wave 'x y'",
            ],
            id="everything",
        ),
    ],
)  # fmt: skip
def test_all_faults_are_told_at_once(fields: dict[str, Any], faults: list[str]) -> None:
    said = "; ".join(Office().faults(**fields))
    for fault in faults:
        assert fault in said


def test_a_run_that_has_ended_takes_no_decision() -> None:
    office = Office()
    office.run_log.close(RUN, Outcome(outcome="failed", stage="servers"), NOON)
    assert office.faults(**STOP)[0].startswith(f"run: {RUN} has ended (failed)")


def test_a_server_that_has_ended_takes_no_decision() -> None:
    office = Office()
    office.servers.settle(RUN, FIRST, ServerOutcome(outcome="home", at=NOON))
    assert office.faults(**APPROVE, servers=[FIRST]) == [f"servers: the part of {FIRST} in run {RUN} has ended (home)"]


@pytest.mark.parametrize(
    ("per", "fits"),
    [("server", {"servers"}), ("wave", {"servers", "wave"}), ("run", {"servers", "wave", "run"})],
    ids=["server", "wave", "run"],
)
def test_an_approval_is_no_wider_than_the_request_lets_it_be(per: str, fits: set[str]) -> None:
    widths: dict[str, dict[str, Any]] = {"servers": {"servers": [FIRST]}, "wave": {"wave": "web"}, "run": {}}
    for width, more in widths.items():
        office = Office(per=per)
        if width in fits:
            office.decide(**APPROVE, **more)
            continue
        (fault, *_) = office.faults(**APPROVE, **more)
        assert f"approved per {per}: name the servers" in fault


def test_a_run_whose_request_was_not_kept_is_approved_server_by_server() -> None:
    assert "approved per server" in Office(asked=False).faults(**APPROVE)[0]


def test_one_who_does_not_say_who_it_is_stays_unnamed() -> None:
    assert Office().decide(**STOP, actor="").decisions[0].actor == NOBODY


def test_a_watcher_that_sleeps_on_loses_nothing() -> None:
    office = Office()
    office.watcher.trouble = CloudBusy("Lambda is busy")
    decided = office.decide(**STOP)
    assert (decided.asleep, list(office.decisions.of(RUN))) == ("Lambda is busy", list(decided.decisions))
