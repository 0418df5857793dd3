"""Runs that fail for good: the cause is told, and both clouds hold what they held before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localcloud.faults import FaultPlan, FaultRule, Status
from localcloud.guests.scripted import GuestPlan

if TYPE_CHECKING:
    from tests.localcloud.runs.place import Place


@pytest.mark.parametrize(
    ("machine", "said"),
    [(GuestPlan(fails_at="ready"), "failed"), (GuestPlan(behaviour="no-boot"), "No bootable device")],
    ids=["agent-fails", "no-boot"],
)
def test_a_boot_that_fails_leaves_nothing(place: Place, machine: GuestPlan, said: str) -> None:
    before = place.listing()
    place.machines.append(machine)
    name = f"run-{machine.behaviour}"
    told = place.run(name)
    assert (told["status"], told["error"]) == ("FAILED", "BootTestFailed"), told
    assert told["cause"].startswith("boot_test: ")
    assert said in told["cause"]
    assert place.listing() == before
    report = place.report(name)
    assert report["outcome"]["stage"] == "boot_test"
    assert report["given_back"]["left"] == []
    kinds = {each["kind"] for each in report["given_back"]["removed"]}
    assert {"ami", "snapshot", "object", "disk"} <= kinds


@pytest.mark.parametrize(
    ("stage", "service", "operation"),
    [
        ("fetch_iso", "s3", "CompleteMultipartUpload"),
        ("build_image", "ebs", "CompleteSnapshot"),
        ("build_image", "ec2", "RegisterImage"),
        ("export_image", "ebs", "ListSnapshotBlocks"),
        ("import_image", "azure", "disks/beginGetAccess"),
        ("import_image", "azure", "disks/endGetAccess"),
        ("boot_test", "azure", "virtualMachines/write"),
    ],
)
def test_a_call_that_fails_for_good_ends_the_run_and_leaves_nothing(
    place: Place, stage: str, service: str, operation: str
) -> None:
    """The call fails each time until giving back begins."""
    before = place.listing()
    rule = FaultRule(action=Status(code=500), service=service, operation=operation)
    place.clouds.faults.use(FaultPlan(rules=(rule,)))
    name = f"run-{operation.replace('/', '-')}"
    execution = place.start(name)
    try:
        place.wait_for(execution, "give_back")
    finally:
        place.clouds.faults.use(FaultPlan())
    told = place.finish(execution)
    assert (told["status"], told["error"]) == ("FAILED", "CloudBusy"), told
    assert told["cause"].startswith(f"{stage}: ")
    assert place.listing() == before
    assert place.report(name)["given_back"]["left"] == []
