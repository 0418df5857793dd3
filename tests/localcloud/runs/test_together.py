"""Runs that meet: one works, the others wait for it; a run that was stopped is cleaned up after first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.localcloud.runs.ends import cleaned_up
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


def test_a_run_that_was_stopped_is_cleaned_up_after_and_the_next_one_waits_for_that(
    place: Place, tmp_path: Path
) -> None:
    iso = weighted_iso(tmp_path, mib=1, seed=3)
    place.publish(iso)
    stopped = place.start("stopped")
    place.wait_for(stopped, "export_image")
    place.clouds.client("stepfunctions").stop_execution(executionArn=stopped)
    following = place.start("following")
    told = place.finish(following)
    assert told["status"] == "SUCCEEDED", told
    assert cleaned_up(place, stopped)["status"] == "SUCCEEDED"
    assert place.listing()["leases"] == {}
    check_bytes(place, json.loads(told["output"]), iso, tmp_path)
    assert place.report("stopped")["outcome"]["error"] == "Aborted"
