"""Functions that die in mid-copy: a run goes on with what was done, and loses one slice for each."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from localcloud.faults import Delay, FaultPlan, FaultRule
from tests.localcloud.runs.image_bytes import MIB, check_bytes, weighted_iso

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.faults import FaultRecord
    from tests.localcloud.runs.place import Place

SLICE = 32
VARIABLES = {"FAILBACK_SLICE_MIB": str(SLICE)}
BLOCKS, PARTS = SLICE * 2, SLICE // 16
BALLAST = 80
# A call that's held up for so long is under way when its function is killed.
HELD = Delay(seconds=2.5)
LIMIT, BEYOND_IT = 6, Delay(seconds=8.0)
NOTED = Delay(seconds=0)
WATCHED = [("s3", "UploadPart"), ("ebs", "PutSnapshotBlock"), ("ebs", "GetSnapshotBlock"), ("blob", "PutPage")]
# Which call of which stage is held up: one of its second slice, or of the first that has more than zeros to export.
STAGES = {
    "fetch_iso": FaultRule(service="s3", operation="UploadPart", path="/iso/", nth=(PARTS + 2,), action=HELD),
    "build_image": FaultRule(service="ebs", operation="PutSnapshotBlock", nth=(BLOCKS + 20,), action=HELD),
    "export_image": FaultRule(service="s3", operation="UploadPart", path="/images/", nth=(3 * PARTS + 2,), action=HELD),
    "import_image": FaultRule(service="blob", operation="PutPage", nth=(12,), action=HELD),
}
SPAN = re.compile(r"bytes=(\d+)-(\d+)")


@pytest.fixture(scope="module")
def iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weighted_iso(tmp_path_factory.mktemp("iso"), mib=BALLAST, seed=1)


def test_a_killed_function_costs_one_slice(place: Place, iso: Path, tmp_path: Path) -> None:
    """Each of the four that copy is killed once; the last one is then held up beyond its time-out too."""
    home = place.function("import_image")
    place.clouds.client("lambda").update_function_configuration(FunctionName=home, Timeout=LIMIT)
    noted = [FaultRule(service=service, operation=name, action=NOTED) for service, name in WATCHED]
    overdue = FaultRule(service="blob", operation="PutPage", nth=(24,), action=BEYOND_IT)
    place.clouds.faults.use(FaultPlan(rules=(*noted, *STAGES.values(), overdue)))
    execution = place.start("killed")
    for number, stage in enumerate(STAGES):
        kill_when_held(place, execution, stage, number + 1)
    told = place.finish(execution)
    place.clouds.faults.use(FaultPlan())
    assert told["status"] == "SUCCEEDED", told
    for stage in STAGES:
        assert "signal: killed" in place.clouds.aws.runner.logs(place.function(stage)), stage
    assert "Task timed out" in place.clouds.aws.runner.logs(home)
    check_bytes(place, json.loads(told["output"]), iso, tmp_path)
    check_cost(place, iso.stat().st_size)


def kill_when_held(place: Place, execution: str, stage: str, held: int) -> None:
    """Kill the stage's function while its call is held up, the `held`th one of the run."""
    states = place.clouds.client("stepfunctions")
    while sum(record.action == HELD for record in place.clouds.faults.records) < held:
        assert states.describe_execution(executionArn=execution)["status"] == "RUNNING", stage
        time.sleep(0.05)
    assert place.clouds.aws.runner.kill(place.function(stage)) == 1, stage


def check_cost(place: Place, iso_size: int) -> None:
    """What was done twice: parts, blocks and bytes."""
    noted = [record for record in place.clouds.faults.records if record.action == NOTED]

    def calls(operation: str, path: str = "") -> list[FaultRecord]:
        return [record for record in noted if record.call.operation == operation and path in record.path]

    twice = {
        "parts fetched": len(calls("UploadPart", "/iso/")) - -(-iso_size // (16 * MIB)),
        "parts exported": len(calls("UploadPart", "/images/")) - (64 * gib(iso_size) + 1),
        "blocks put": again([record.path for record in calls("PutSnapshotBlock")]),
        "blocks read": again([record.path for record in calls("GetSnapshotBlock")]),
    }
    pages = [SPAN.fullmatch(record.span) for record in calls("PutPage")]
    spans = [(int(page[1]), int(page[2]) + 1) for page in pages if page]
    sent, needed = (sum(end - start for start, end in each) for each in (spans, set(spans)))
    print(f"\ndone twice: {twice}, {(sent - needed) / MIB:.1f} of {needed / MIB:.1f} MiB of pages")
    assert 0 < twice["parts fetched"] <= PARTS
    assert 0 < twice["blocks put"] <= BLOCKS
    assert 0 < twice["parts exported"] <= PARTS
    assert 0 < twice["blocks read"] <= BLOCKS
    # Killed once and timed out once.
    assert 0 < sent - needed <= 2 * SLICE * MIB


def again(things: list[str]) -> int:
    """How many of them are there a second time."""
    return len(things) - len(set(things))


def gib(iso_size: int) -> int:
    """The size of the image's disk."""
    from failback.image.layout import disk_size

    return disk_size(iso_size) >> 30
