"""Client machines on the embedded Azure: how their disks are made and attached, and which refusals can be read."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.azure import parts
from failback.clouds.azure.disks import MACHINE_TAG
from failback.clouds.azure.machines import AzureMachines
from failback.errors import CloudBusy, CloudRefused
from failback.home_ports import DataDisk, MachineToBuild
from failback.naming import RUN_TAG, SERVER_TAG
from localcloud.azure.operations import Fault
from tests.clouds.azure.embedded import IDENTITY, SUBSCRIPTION, TARGET, EmbeddedHome, embedded_home, small_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localcloud.azure.refusals import Json

TAGS = {RUN_TAG: "run-1", SERVER_TAG: "i-1"}
NAME = "web-1"
IDENTITY_ID = IDENTITY.resource_id(SUBSCRIPTION)
DISKS = (
    DataDisk("web-boot", 30, 0, os="windows", firmware="uefi"),
    DataDisk("web-data", 2, 7, sku="Premium_LRS"),
)


def machine_of(azure: EmbeddedHome, **changes: Any) -> MachineToBuild:  # noqa: ANN401 - any field
    image = azure.home.images.advance("0" * 20, small_image(), cursor={}, tags=TAGS).image
    assert image is not None
    machine = MachineToBuild(NAME, image, "uefi", "version=1\n", TAGS, disks=DISKS, os="windows", identity=IDENTITY_ID)
    return replace(machine, **changes)


def built(azure: EmbeddedHome, machine: MachineToBuild) -> None:
    for _ in range(10):
        if azure.home.machines.build(machine) == "running":
            return
    raise AssertionError


def refused(azure: EmbeddedHome, call: Callable[[], object]) -> str:
    """The call's refusal, as the doorway tells it."""
    with pytest.raises(azure.home.foreign) as caught:
        call()
    error = azure.home.translate(caught.value)
    assert type(error) is CloudRefused, error
    return str(error)


def attachments(azure: EmbeddedHome) -> list[Json]:
    """The machine's data disks in its document."""
    found: list[Json] = azure.document(NAME)["properties"]["storageProfile"]["dataDisks"]
    return found


def test_the_disks_are_blank_tagged_and_know_what_they_will_hold(azure: EmbeddedHome) -> None:
    built(azure, machine_of(azure))
    boot, data = azure.document("web-boot"), azure.document("web-data")
    kinds = [(each["properties"].get("osType"), each["properties"].get("hyperVGeneration")) for each in (boot, data)]
    assert kinds == [("Windows", "V2"), (None, None)]
    assert [each["sku"]["name"] for each in (boot, data)] == [TARGET.disk_sku, "Premium_LRS"]
    assert [each["properties"]["diskSizeGB"] for each in (boot, data)] == [30, 2]
    assert boot["properties"]["creationData"] == {"createOption": "Empty"}
    assert boot["tags"] == data["tags"] == TAGS | {MACHINE_TAG: NAME}
    expected = {"createOption": "Attach", "caching": "None", "deleteOption": "Detach"}
    assert [{name: each[name] for name in expected} for each in attachments(azure)] == [expected, expected]
    assert [each["lun"] for each in attachments(azure)] == [0, 7]
    client = azure.document(f"{NAME}-disk")
    assert (client["properties"]["osType"], client["properties"]["hyperVGeneration"]) == ("Windows", "V2")
    assert azure.document(f"{NAME}-nic")["properties"]["enableAcceleratedNetworking"] is False
    assert azure.document(NAME)["identity"]["userAssignedIdentities"][IDENTITY_ID] == {
        "principalId": IDENTITY.principal_id,
        "clientId": IDENTITY.client_id,
    }


@pytest.mark.embedded
def test_all_disks_are_begun_before_any_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "SETTLE_SECONDS", 0.5)
    latency: dict[str, float] = {}
    with embedded_home(tmp_path / "azure", monkeypatch, latency=latency) as azure:
        machine = machine_of(azure, disks=tuple(DataDisk(f"d{lun}", 1, lun) for lun in range(4)))
        latency["disks/write"] = 60
        began = time.monotonic()
        assert azure.home.machines.build(machine) == "building"
        assert time.monotonic() - began < 10
        assert {f"d{lun}" for lun in range(4)} | {f"{NAME}-disk", f"{NAME}-nic"} < azure.names()
        assert azure.home.machines.build(machine) == "building"
        assert NAME not in azure.names()
        azure.clock.advance(61)
        assert azure.home.machines.build(machine) == "running"
        # The SDK's own watchers look every two seconds: they end before the cloud does.
        for thread in threading.enumerate():
            if thread.name.startswith("LROPoller"):
                thread.join(10)


@pytest.mark.embedded
def test_a_lost_call_costs_nothing(azure: EmbeddedHome) -> None:
    machine = machine_of(azure)
    azure.cloud.fail_next(Fault("networkInterfaces/write", 400, "SubnetIsFull", "Subnet servers has no address left"))
    assert "SubnetIsFull" in refused(azure, lambda: azure.home.machines.build(machine))
    made = {name: azure.document(name)["properties"]["uniqueId"] for name in ("web-boot", "web-data")}
    assert azure.home.machines.state(NAME) == "building"
    built(azure, machine)
    assert {name: azure.document(name)["properties"]["uniqueId"] for name in made} == made
    again = AzureMachines(azure.home.place)
    assert again.build(machine) == "running"
    assert len(azure.driver.machines) == 1


@pytest.mark.embedded
def test_a_disk_whose_creation_failed_is_made_again(azure: EmbeddedHome) -> None:
    machine = machine_of(azure)
    azure.cloud.fail_next(Fault("disks/write", 500, "InternalExecutionError", "it broke", at_once=False))
    with pytest.raises(azure.home.foreign, match="it broke"):
        azure.home.machines.build(machine)
    states = {azure.document(name)["properties"]["provisioningState"] for name in (f"{NAME}-disk", "web-boot")}
    assert "Failed" in states
    built(azure, machine)


def test_settings_wait_while_the_machine_is_being_changed(azure: EmbeddedHome) -> None:
    built(azure, machine_of(azure))
    azure.cloud.fail_next(Fault("virtualMachines/write", 409, "Conflict", "another change is under way"))
    with pytest.raises(CloudBusy, match="its settings have to wait"):
        azure.home.machines.tell(NAME, "version=1\nkey=1\n")
    azure.home.machines.tell(NAME, "version=1\nkey=1\n")
    azure.cloud.fail_next(Fault("virtualMachines/write", 403, "AuthorizationFailed", "no"))
    assert "AuthorizationFailed" in refused(azure, lambda: azure.home.machines.tell(NAME, ""))


@pytest.mark.embedded
def test_an_address_that_is_not_there_yet_is_empty(azure: EmbeddedHome) -> None:
    azure.cloud.fail_next(Fault("networkInterfaces/write", 500, "InternalExecutionError", "it broke", at_once=False))
    with pytest.raises(azure.home.foreign):
        azure.home.machines.address(NAME, tags=TAGS)
    assert azure.document(f"{NAME}-nic")["properties"]["provisioningState"] == "Failed"
    assert azure.home.machines.address(NAME, tags=TAGS).startswith("10.20.0.")


LINKED = (
    "The client 'c' with object id 'o' has permission to perform action 'Microsoft.Compute/virtualMachines/write' on "
    "scope 's'; however, it does not have permission to perform action(s) "
    "'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action' on the linked scope(s) 'i' (respectively) or the "
    "linked scope(s) are invalid."
)


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (("virtualMachines/write", 409, "OperationNotAllowed", "exceeding approved Cores quota"), ["quota", "Cores"]),
        (("disks/write", 409, "QuotaExceeded", "50000 disks"), ["westeurope", "Quotas"]),
        (("virtualMachines/write", 409, "SkuNotAvailable", "no capacity"), ["doesn't offer that size", "`size`"]),
        (
            ("virtualMachines/write", 403, "LinkedAuthorizationFailed", LINKED),
            ["isn't allowed to do Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
             "Managed Identity Operator"],
        ),
    ],
    ids=["cores", "disks", "sku", "assign"],
)  # fmt: skip
def test_refusals_say_what_to_do(azure: EmbeddedHome, fault: Any, words: list[str]) -> None:  # noqa: ANN401
    machine = machine_of(azure)
    azure.cloud.fail_next(Fault(*fault))
    text = refused(azure, lambda: built(azure, machine))
    assert [word for word in words if word not in text] == []
    while not azure.home.machines.remove(NAME):
        pass
    assert azure.names() == {"drs-failback-client-" + "0" * 20}


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": "Standard_D2_v3"}, ["Standard_D2_v3", "Premium_LRS", "web-data", "an s behind"]),
        ({"identity": f"{IDENTITY_ID}-2"}, ["FailedIdentityOperation", f"{IDENTITY_ID}-2", "`identity_id`"]),
    ],
    ids=["premium", "identity"],
)
def test_what_azure_itself_refuses_says_what_to_do(
    azure: EmbeddedHome, changes: dict[str, Any], words: list[str]
) -> None:
    machine = machine_of(azure, **changes)
    text = refused(azure, lambda: built(azure, machine))
    assert [word for word in words if word not in text] == []
