"""Runs that meet: one works, the others wait for it; a run that was stopped is waited for until its lease is over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from failback.client_image import LEASE
from tests.localcloud.runs.image_bytes import check_bytes, weighted_iso

if TYPE_CHECKING:
    from pathlib import Path

    from tests.localcloud.runs.place import Place


def test_two_prepares_at_once_make_one_image(place: Place) -> None:
    names = ["one", "two"]
    executions = [place.start(name) for name in names]
    for told in map(place.finish, executions):
        assert told["status"] == "SUCCEEDED", told
    found = place.listing()
    assert len(found["images"]) == len(found["snapshots"]) == 1
    assert [each["type"] for each in found["azure"].values()].count("Microsoft.Compute/disks") == 1
    assert found["leases"] == {}
    stages = {}
    for name, execution in zip(names, executions, strict=True):
        history = place.history(execution)
        assert history is not None
        stages[name] = {each.stage: each for each in history.stages}
    waited, worked = sorted(names, key=lambda name: len(stages[name]))
    assert set(stages[waited]) == {"find_client_image", "write_report"}
    assert stages[waited]["find_client_image"].calls > 1
    assert len(stages[worked]) == 7


def test_a_run_that_was_stopped_keeps_the_next_one_waiting_until_its_lease_is_over(
    place: Place, tmp_path: Path
) -> None:
    iso = weighted_iso(tmp_path, mib=1, seed=3)
    place.publish(iso)
    stopped = place.start("stopped")
    place.wait_for(stopped, "export_image")
    place.clouds.client("stepfunctions").stop_execution(executionArn=stopped)
    assert list(place.listing()["leases"].values()) == ["stopped"]
    following = place.start("following")
    place.wait_for(following, "find_client_image_waits")
    end_lease(place)
    told = place.finish(following)
    assert told["status"] == "SUCCEEDED", told
    output = json.loads(told["output"])
    assert output["find_client_image"]["facts"]["next"] in {"export_image", "import_image"}
    assert place.listing()["leases"] == {}
    # What the stopped run had made is used, whoever made it.
    output["build_image"] = {"facts": output["find_client_image"]["facts"]["found"]["ami"]}
    if output["export_image"] is None:
        output["export_image"] = {"facts": output["find_client_image"]["facts"]["found"]["export"]}
    check_bytes(place, output, iso, tmp_path)


def end_lease(place: Place) -> None:
    """As if its time were over."""
    place.clouds.client("dynamodb").update_item(
        TableName=place.deployed.outputs["RunLogTable"],
        Key={"pk": {"S": f"lease#{LEASE}"}, "sk": {"S": "lease"}},
        UpdateExpression="SET #until = :past",
        ExpressionAttributeNames={"#until": "until"},
        ExpressionAttributeValues={":past": {"N": "0"}},
    )
