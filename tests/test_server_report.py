"""One server's part of the report: what's measured, what isn't known, what people decided, what's left to do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from failback.model.decision import Decision, LaunchBatch
from failback.model.record import RunHistory, RunRecord, ServerHistory, StageEntry
from failback.model.report import Provenance
from failback.model.request import ServerRequest
from failback.model.server import Ending, Milestones, ReplicationProgress, ServerOutcome, ServerRecord
from failback.naming import client_machine_name
from failback.server_report import server_report
from tests.client_bench import OTHER, SERVER, plan_of
from tests.memory.clock import NOON

if TYPE_CHECKING:
    from failback.model.report import ServerReport

RUN = "run-1"
LAUNCHED = NOON + timedelta(minutes=10)
PROGRESS = ReplicationProgress(
    at=NOON + timedelta(minutes=9),
    verdict="ready",
    state="CONTINUOUS",
    failback="FAILBACK_READY_FOR_LAUNCH",
    total=40 << 30,
    replicated=3 << 30,
    lag_seconds=4.0,
    to_original=True,
)
FACTS: dict[str, Any] = {
    "await_approval": {"actor": "ops", "known_by": "IAM", "at": NOON.isoformat(), "why": "tested"},
    "quiesce": {"kind": "ssm", "said": "stopped"},
    "await_launch": {"job": "drsjob-1", "at": LAUNCHED.isoformat(), "remarks": ["no launch status"]},
    "cut_over": {"machine": "web-18", "started": (NOON + timedelta(minutes=14)).isoformat()},
    "verify_server": {"verified": True, "signal": "agent", "said": "Ready", "seconds": 60.0},
    "await_commit": {"accepted": True, "actor": "ops", "at": NOON.isoformat()},
}


def stages(**changed: Any) -> tuple[StageEntry, ...]:  # noqa: ANN401
    facts = {name: given for name, given in {**FACTS, **changed}.items() if given is not None}
    return tuple(
        StageEntry(stage=name, status="done", facts=given,
                   began=NOON + timedelta(minutes=nth), updated=NOON + timedelta(minutes=nth + 1))
        for nth, (name, given) in enumerate(facts.items())
    )  # fmt: skip


def record(**changed: Any) -> ServerRecord:  # noqa: ANN401
    fields = {
        "plan": plan_of(), "progress": PROGRESS, "milestones": Milestones(fenced=NOON, launched=LAUNCHED),
        "outcome": ServerOutcome(outcome="home", at=NOON, ending=Ending(protected=True, advice=("end the instance",))),
    }  # fmt: skip
    return ServerRecord(id=SERVER, request=ServerRequest(recovery_instance=SERVER), **{**fields, **changed})


def decision(scope: str) -> Decision:
    return Decision(subject="approval", scope=scope, verdict="approve", actor="ops", known_by="IAM", at=NOON)


def report(of: ServerRecord, entries: tuple[StageEntry, ...], *batches: LaunchBatch) -> ServerReport:
    opened = RunRecord(run=RUN, execution="arn", goal="failback", target="t", home="azure", started=NOON)
    scopes = (SERVER, OTHER, "run", "wave:first", "wave:second")
    history = RunHistory(record=opened, decisions=tuple(map(decision, scopes)), batches=batches)
    made_of = Provenance(key="5b1d7c0e9a42f86310de")
    return server_report(ServerHistory(record=of, stages=entries), history, made_of)


def test_a_server_that_came_home_says_how_long_and_with_what() -> None:
    told = report(record(), stages())
    assert (told.measured.rto_seconds, told.measured.rpo_seconds) == (15 * 60, 0.0)
    assert "from the approval by ops to the first sign of life (agent)" in told.measured.rto_by
    assert "(ssm)" in told.measured.rpo_by
    assert (told.measured.copied, told.measured.total, told.measured.to_original) == (3 << 30, 40 << 30, True)
    assert told.approval is not None
    assert (told.approval.actor, told.approval.why) == ("ops", "tested")
    assert told.commitment is not None
    assert told.commitment.accepted
    assert told.verified is not None
    assert told.protected is True
    assert told.findings == ("no launch status",)
    assert told.advice == ("end the instance",)
    assert [each.scope for each in told.decisions] == [SERVER, "run", "wave:first"]
    assert (told.began, told.seconds) == (NOON, 360)


def test_what_it_is_made_of_is_named() -> None:
    made = report(record(), stages()).made
    assert made is not None
    assert (made.image_key, made.client_machine, made.client_disk) == ("5b1d7c0e9a42f86310de", "web-18", "web-18-disk")
    assert (made.machine, made.disks) == ("web-18", ("web-18-data-0", "web-18-data-1"))
    original = report(record(plan=plan_of(way="original", original="web-18")), stages()).made
    assert original is not None
    assert original.client_disk == f"{client_machine_name(RUN, SERVER)}-disk"
    assert report(record(plan=None), stages()).made is None


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"await_approval": None}, "wasn't approved"),
        ({"verify_server": None}, "no sign"),
        ({"verify_server": {"verified": False}}, "no sign"),
        ({"cut_over": None}, "no sign"),
        ({"cut_over": {"started": "some day"}}, "no sign"),
    ],
    ids=["not-approved", "not-verified", "not-proven", "not-changed", "unreadable"],
)
def test_a_time_that_is_not_known_is_none(changed: dict[str, Any], why: str) -> None:
    told = report(record(), stages(**changed)).measured
    assert told.rto_seconds is None
    assert why in told.rto_by


OPEN: dict[str, Any] = {"quiesce": {"kind": "none"}}


@pytest.mark.parametrize(
    ("fields", "changed", "seconds", "why"),
    [
        ({}, OPEN, 4 + 60, "what was written on AWS after the launch is lost"),
        ({}, {"quiesce": None}, 4 + 60, "nothing stopped the workload"),
        ({"progress": PROGRESS.model_copy(update={"lag_seconds": None})}, OPEN, None, "DRS didn't say"),
        ({"progress": PROGRESS.model_copy(update={"at": LAUNCHED + timedelta(seconds=1)})}, OPEN, None, "didn't say"),
        ({"progress": None}, OPEN, None, "DRS didn't say"),
        ({"milestones": Milestones()}, {}, None, "wasn't launched"),
        ({}, {"await_launch": None}, None, "wasn't launched"),
    ],
    ids=["lag", "no-fence", "no-lag", "too-late", "no-progress", "no-launch", "not-completed"],
)
def test_how_old_the_data_is_is_said_as_far_as_it_is_known(
    fields: dict[str, Any], changed: dict[str, Any], seconds: float | None, why: str
) -> None:
    told = report(record(**fields), stages(**changed)).measured
    assert told.rpo_seconds == seconds
    assert why in told.rpo_by


def test_the_batch_that_counted_is_the_newest_that_was_not_split() -> None:
    batches = [
        LaunchBatch(id="1", run=RUN, servers=(SERVER, OTHER), at=NOON, split=True),
        LaunchBatch(id="2", run=RUN, servers=(SERVER,), at=NOON, job="drsjob-2"),
        LaunchBatch(id="3", run=RUN, servers=(OTHER,), at=NOON),
    ]
    batch = report(record(), stages(), *batches).batch
    assert batch is not None
    assert batch.id == "2"
    assert report(record(), stages()).batch is None


def test_a_full_copy_where_a_difference_was_promised_is_a_finding() -> None:
    plan, seen = plan_of(way="original", original="web-18"), PROGRESS.model_copy(update={"to_original": False})
    found = report(record(plan=plan, progress=seen, milestones=Milestones(launched=LAUNCHED)), stages()).findings
    assert any("all of its data was sent" in each for each in found)
    assert any("nothing stopped the workload" in each for each in found)


@pytest.mark.parametrize(
    ("outcome", "part"),
    [
        (ServerOutcome(outcome="launched", at=NOON), "nobody has accepted it"),
        (ServerOutcome(outcome="home", at=NOON), "DRS doesn't protect it yet"),
        (ServerOutcome(outcome="home", at=NOON, ending=Ending(protected=False)), "DRS doesn't protect it yet"),
    ],
    ids=["launched", "unknown", "unprotected"],
)
def test_what_is_left_to_a_person_is_said(outcome: ServerOutcome, part: str) -> None:
    assert part in " ".join(report(record(outcome=outcome), stages()).advice)


def test_what_could_not_be_undone_comes_with_its_command() -> None:
    left = {"belonging": {"cloud": "aws", "kind": "tag", "id": SERVER}, "why": "no right", "command": "aws drs untag"}
    told = report(record(outcome=None), stages(give_back={"left": [left]}))
    assert [each.command for each in told.left] == ["aws drs untag"]
    assert told.advice == (f"tag {SERVER}: aws drs untag",)
    assert told.protected is None


def test_a_server_that_nothing_was_done_for_has_no_times() -> None:
    told = report(ServerRecord(id=SERVER, request=ServerRequest(recovery_instance=SERVER)), ())
    assert (told.began, told.ended, told.seconds, told.decisions[0].scope) == (None, None, 0.0, SERVER)
    assert told.measured.copied is None
