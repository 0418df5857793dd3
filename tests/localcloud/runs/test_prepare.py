"""A whole prepare: the same bytes all the way, nothing done twice, nothing left of what failed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.localcloud.runs.image_bytes import check_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.localcloud.runs.place import Place


@pytest.fixture(scope="module")
def finished(place: Place) -> dict[str, Any]:
    told = place.run("first-run")
    assert told["status"] == "SUCCEEDED", (told, place.history(told["executionArn"]))
    output: dict[str, Any] = json.loads(told["output"])
    return output


def test_the_bytes_are_those_of_an_image_built_by_hand(
    place: Place, finished: dict[str, Any], iso: Path, tmp_path: Path
) -> None:
    check_bytes(place, finished, iso, tmp_path)


def test_the_machine_is_gone_and_the_image_is_marked(place: Place, finished: dict[str, Any]) -> None:
    facts = finished["boot_test"]["facts"]
    assert facts["mark"].startswith("ready")
    kinds = {document["type"] for document in place.clouds.azure.listing().values()}
    assert "Microsoft.Compute/virtualMachines" not in kinds
    assert "Microsoft.Network/networkInterfaces" not in kinds
    disks = [each for each in place.clouds.azure.listing().values() if each["type"] == "Microsoft.Compute/disks"]
    assert [each["name"] for each in disks] == [facts["image"]["name"]]
    assert disks[0]["activeAccess"] == 0


def test_the_report_names_every_step(place: Place, finished: dict[str, Any]) -> None:
    report = place.report("first-run")
    assert report["outcome"]["outcome"] == "done"
    assert report["provenance"]["iso"]["sha512"] == place.clouds.iso_sha512
    assert report["provenance"]["ami"] == finished["build_image"]["facts"]
    stages = [each["stage"] for each in report["history"]["stages"]]
    assert stages[:6] == ["find_client_image", "fetch_iso", "build_image", "export_image", "import_image", "boot_test"]
    assert all(each["status"] == "done" for each in report["history"]["stages"][:6])


@pytest.mark.usefixtures("finished")
def test_a_second_run_does_no_image_work(place: Place) -> None:
    before = place.listing()
    told = place.run("second-run")
    assert told["status"] == "SUCCEEDED"
    history = place.history(told["executionArn"])
    assert history is not None
    assert [each.stage for each in history.stages if each.stage != "write_report"] == ["find_client_image"]
    assert place.listing() == before


def test_a_refused_request_makes_nothing(place: Place) -> None:
    before = place.listing()
    told = place.run("refused-run", goal="fly", target="nowhere", extra=1)
    assert (told["status"], told["error"]) == ("FAILED", "RequestInvalid")
    for part in ("goal: ", "no target 'nowhere'", "extra: "):
        assert part in told["cause"]
    assert place.listing() == before
    assert place.history(told["executionArn"]) is None


def test_no_secret_is_in_any_state_or_log(place: Place, finished: dict[str, Any]) -> None:
    """A SAS holds `sig=`, a token begins with the base64 of `{"`."""
    states = place.clouds.client("stepfunctions")
    pages = states.get_paginator("get_execution_history").paginate(
        executionArn=finished["run"]["execution"], includeExecutionData=True
    )
    text = json.dumps([event for page in pages for event in page["events"]], default=str)
    logs = "".join(place.clouds.aws.runner.logs(name) for name in place.deployed.functions)
    assert "stage called" in logs
    for spoken in (text, logs):
        assert "sig=" not in spoken
        assert "eyJ" not in spoken
