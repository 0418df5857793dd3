"""Histories of runs as the run log has them: under way, done, failed with something left behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from failback.model.ending import Belonging, LeftBehind, Outcome, Returned
from failback.model.record import RunHistory, RunRecord, StageEntry
from failback.model.run import Ami, BootTest, ClientImagePlan, ExportedImage, HomeImage, PublishedIso, StoredIso
from failback.model.stage import Progress

if TYPE_CHECKING:
    from failback.model.facts import Facts

MIB = 1024 * 1024
BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHA512 = "ab" * 64
KEY = "0123456789abcdef0123"
MARK = "FAILBACK-AGENT prepared"
DISK = "/subscriptions/s/resourceGroups/home/providers/Microsoft.Compute/disks/drs-failback-client"
ISO = PublishedIso(bucket="aws-drs", key="latest/client.iso", etag="e", size=300 * MIB, sha512=SHA512, owner="1")
IMAGE = HomeImage(id=DISK, name="drs-failback-client", key=KEY)
FACTS: dict[str, Facts] = {
    "find_client_image": ClientImagePlan(key=KEY, format="vhd", next="fetch_iso", published=ISO),
    "fetch_iso": StoredIso(key="iso/client.iso", size=300 * MIB, sha512=SHA512),
    "build_image": Ami(id="ami-0123456789abcdef0", name="client", snapshot="snap-1", size_gib=1),
    "export_image": ExportedImage(
        key="images/client.vhd", format="vhd", size=1024 * MIB, disk_size=1024 * MIB, data_blocks="AA=="
    ),
    "import_image": IMAGE,
    "boot_test": BootTest(image=IMAGE.model_copy(update={"tested": True}), mark=MARK, seconds=80),
}
COPYING = {"fetch_iso", "build_image", "export_image", "import_image"}
MACHINE_LEFT = Belonging(cloud="azure", kind="disk", id="/disks/osdisk", name="test-disk")
RETURNED = Returned(
    removed=(Belonging(cloud="aws", kind="snapshot", id="snap-1"),),
    left=(LeftBehind(belonging=MACHINE_LEFT, why="a lock is on it", command="az disk delete --ids /disks/osdisk"),),
)
FAILURE = Outcome(outcome="failed", stage="build_image", error="CloudRefused", cause="build_image: no right to write")


def at(seconds: float) -> datetime:
    """So many seconds after the run's beginning."""
    return BEGAN + timedelta(seconds=seconds)


def record(run: str = "r1", **more: Any) -> RunRecord:  # noqa: ANN401 - any field of the record
    fields = {"execution": f"arn:{run}", "goal": "prepare", "target": "azure-home", "home": "azure", "started": BEGAN}
    return RunRecord.model_validate({"run": run, **fields, **more})


def noted(
    stage: str,
    status: Literal["done", "more", "pending", "failed"] = "done",
    *,
    began: float = 0.0,
    updated: float = 10.0,
    **more: Any,  # noqa: ANN401 - any field of the entry
) -> StageEntry:
    if status == "done" and stage in FACTS:
        more.setdefault("facts", FACTS[stage].model_dump(mode="json"))
    return StageEntry(stage=stage, status=status, began=at(began), updated=at(updated), **more)


def copied(done: int, total: int = 300) -> Progress:
    """Progress in MiB."""
    return Progress(done=done * MIB, total=total * MIB)


def running() -> RunHistory:
    """The ISO is there, 100 of 300 MiB of the snapshot are written after 10 s."""
    stages = (
        noted("find_client_image", updated=2),
        noted("fetch_iso", began=2, updated=12, calls=2, progress=copied(300)),
        noted("build_image", "more", began=12, updated=22, calls=3, progress=copied(100)),
    )
    return RunHistory(record=record(), stages=stages)


def done() -> RunHistory:
    """Everything made, booted, reported after 100 s."""
    names = list(FACTS)
    stages = tuple(
        noted(name, began=10 * number, updated=10 * number + 10, progress=copied(300) if name in COPYING else None)
        for number, name in enumerate(names)
    )
    outcome = Outcome(outcome="done", report="reports/r1.json")
    return RunHistory(record=record(status="done", ended=at(100), outcome=outcome), stages=stages)


def failed() -> RunHistory:
    """Refused while writing the snapshot; a disk couldn't be given back."""
    stages = (
        noted("find_client_image", updated=2),
        noted("fetch_iso", began=2, updated=12, progress=copied(300)),
        noted(
            "build_image", "failed", began=12, updated=20, error="CloudRefused", advice="Allow ebs:PutSnapshotBlock."
        ),
        noted("give_back", began=20, updated=40, facts=RETURNED.model_dump(mode="json")),
    )
    return RunHistory(record=record(status="failed", ended=at(45), outcome=FAILURE), stages=stages)
