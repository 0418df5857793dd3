"""Servers of runs as the run log has them: on their way, waiting for a person, home with all that's told of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from failback.model.decision import Decision, LaunchBatch
from failback.model.ending import Outcome
from failback.model.record import RunHistory, ServerHistory
from failback.model.request import ServerRequest
from failback.model.server import (
    Ending,
    Milestones,
    PlannedDisk,
    ReplicationProgress,
    ServerOutcome,
    ServerPlan,
    ServerRecord,
)
from failback.model.stage import Progress
from failback.model.way_home import Approval, Commitment, CutOver, Fenced, Launched, Verified
from tests.cli.histories import MIB, RETURNED, at, done, noted, record

GIB = 1024 * MIB
IDS = tuple(f"i-{number:017x}" for number in range(1, 5))
DISKS = (
    PlannedDisk(device="/dev/xvda", bytes=8 * GIB, size_gib=8, lun=0, name="web-data-0", sku="", boot=True),
    PlannedDisk(device="/dev/xvdb", bytes=9 * GIB + GIB // 4, size_gib=10, lun=1, name="web-data-1", sku="Premium_LRS"),
)
PLAN = ServerPlan(
    id=IDS[0], source_server="s-1", hostname="web", os="linux", way="helper", firmware="uefi", client_firmware="bios",
    machine="client-1", size="Standard_B2ms", disks=DISKS, excluded=("/dev/xvdc",), group="sg-1", private_ip=True,
    bandwidth_mbps=100, to_copy=3 * GIB, home_machine="web", home_size="Standard_D2s_v5",
    hints=("port 1500 is open to everybody",),
)  # fmt: skip


def replication(done: int, **more: Any) -> ReplicationProgress:  # noqa: ANN401 - any field of it
    fields = {"at": at(60), "verdict": "waiting", "state": "INITIAL_SYNC", "failback": "FAILBACK_IN_PROGRESS"}
    return ReplicationProgress.model_validate({**fields, "total": 1000 * MIB, "replicated": done * MIB, **more})


def server(number: int, *stages: str, **more: Any) -> ServerHistory:  # noqa: ANN401 - any field of its record
    request = ServerRequest(recovery_instance=IDS[number])
    entries = tuple(noted(stage, began=10 * nth, updated=10 * nth + 9) for nth, stage in enumerate(stages))
    return ServerHistory(record=ServerRecord(id=IDS[number], request=request, **more), stages=entries)


def waiting(number: int, stage: str, note: str = "", **more: Any) -> ServerHistory:  # noqa: ANN401 - any field
    """One that waits in a stage, after one that failed if it's held."""
    before = "cut_over" if stage == "hold_server" else "boot_client"
    failed = {"status": "failed", "error": "CutOverFailed", "advice": "the disk is locked"}
    known = server(number, before, **more)
    stages = tuple(each.model_copy(update=failed) if stage == "hold_server" else each for each in known.stages)
    progress = Progress(done=0, total=0, note=note)
    return known.model_copy(
        update={"stages": (*stages, noted(stage, "pending", began=20, updated=30, progress=progress))}
    )


def home() -> RunHistory:
    """One server home after two minutes, with everything that a report tells; another one failed."""
    decided = {
        "actor": "arn:aws:iam::1:user/eve",
        "known_by": "CloudTrail says who",
        "at": at(50),
        "why": "window is open",
    }
    facts = {
        "await_approval": Approval(actor=decided["actor"], known_by=decided["known_by"], at=at(50), to_copy=3 * MIB),
        "quiesce": Fenced(kind="none"),
        "await_launch": Launched(job="fbjob-1", at=at(80), remarks=("DRS doesn't say LAUNCHED",)),
        "cut_over": CutOver(machine="web", started=at(90)),
        "verify_server": Verified(
            verified=True, signal="serial", said="web login:", seconds=15, console="boot\nlogin:"
        ),
        "await_commit": Commitment(accepted=True, actor="policy", known_by="the request", at=at(110)),
        "close_server": RETURNED,
    }
    stages = tuple(
        noted(stage, began=50 + 10 * nth, updated=59 + 10 * nth, facts=fact.model_dump(mode="json"))
        for nth, (stage, fact) in enumerate(facts.items())
    )
    ending = Ending(protected=True, advice=("End the recovery instance.",))
    outcome = ServerOutcome(outcome="home", at=at(118), ending=ending)
    through = replication(990, lag_seconds=4.0, at=at(78))
    milestones = Milestones(launched=at(79), started=at(90))
    first = server(0, plan=PLAN, progress=through, outcome=outcome, milestones=milestones)
    copied = noted("await_replication", began=10, updated=49, progress=Progress(done=990 * MIB, total=1000 * MIB))
    failed = ServerOutcome(outcome="failed", at=at(60), stage="boot_client", error="ClientBootFailed", cause="no quota")
    ended = Outcome(outcome="failed", stage="servers", error="ServersFailed", cause="1 of 2 servers aren't home.")
    return RunHistory(
        record=record(goal="failback", status="failed", ended=at(0) + timedelta(minutes=2), outcome=ended),
        stages=(*done().stages, noted("write_report", began=119, updated=120)),
        servers=(first.model_copy(update={"stages": (copied, *stages)}), server(1, "boot_client", outcome=failed)),
        decisions=(Decision(subject="approval", scope=IDS[0], verdict="approve", **decided),),
        batches=(LaunchBatch(id="b-1", run="r1", servers=(IDS[0],), at=at(79), job="fbjob-1"),),
    )
