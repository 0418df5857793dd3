"""Throw-away machines on the embedded Azure: what they're made of, and what goes wrong."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.azure.machines import AzureMachines
from failback.errors import CloudRefused, NotGivenBack
from failback.home_ports import MachineNeeds
from failback.home_ports import MachineToBuild as Machine
from failback.naming import RUN_TAG
from localcloud.azure.operations import Fault
from tests.clouds.azure.embedded import SUBNET, TARGET, EmbeddedHome, small_image

if TYPE_CHECKING:
    from failback.home_ports import MachineState

pytestmark = pytest.mark.embedded

TAGS = {RUN_TAG: "run-1"}
NAME = "drs-failback-test-1"
PARTS = {f"{NAME}-disk", f"{NAME}-nic"}


def machine_of(azure: EmbeddedHome, firmware: Any = "bios") -> Machine:  # noqa: ANN401 - one of two words
    image = azure.home.images.advance("0" * 20, small_image(), cursor={}, tags=TAGS).image
    assert image is not None
    return Machine(NAME, image, firmware, "version=1\nrun=run-1\n", TAGS)


def built(azure: EmbeddedHome, machine: Machine) -> MachineState:
    state = azure.home.machines.build(machine)
    for _ in range(10):
        if state != "building":
            return state
        state = azure.home.machines.build(machine)
    raise AssertionError


def test_a_machine_is_made_of_tagged_parts_without_a_public_address(azure: EmbeddedHome) -> None:
    assert built(azure, machine_of(azure, "uefi")) == "running"
    assert azure.names() == {NAME, *PARTS, "drs-failback-client-" + "0" * 20}
    assert all(azure.document(name)["tags"] == TAGS for name in (NAME, *PARTS))
    properties = azure.document(NAME)["properties"]
    assert properties["hardwareProfile"]["vmSize"] == "Standard_D2s_v5"
    assert properties["securityProfile"] == {"securityType": "Standard"}
    assert properties["diagnosticsProfile"]["bootDiagnostics"] == {"enabled": True}
    (configuration,) = azure.document(f"{NAME}-nic")["properties"]["ipConfigurations"]
    assert configuration["properties"]["subnet"]["id"] == SUBNET
    assert "publicIPAddress" not in configuration["properties"]
    spec = azure.machine(NAME).spec
    assert (spec.firmware, spec.controller, spec.os_type) == ("uefi", "SCSI", "Linux")
    assert base64.b64decode(spec.user_data or "").decode() == "version=1\nrun=run-1\n"


def test_a_machine_that_cannot_be_started_has_failed(azure: EmbeddedHome) -> None:
    azure.driver.fault = "no memory left"
    assert built(azure, machine_of(azure)) == "failed"
    while not azure.home.machines.remove(NAME):
        pass
    assert not azure.names() & {NAME, *PARTS}


def test_a_refused_part_leaves_the_others_to_be_removed(azure: EmbeddedHome) -> None:
    machine = machine_of(azure)
    azure.cloud.fail_next(Fault("virtualMachines/write", 409, "OperationNotAllowed", "approved cores quota exceeded"))
    with pytest.raises(azure.home.foreign) as caught:
        built(azure, machine)
    assert isinstance(azure.home.translate(caught.value), CloudRefused)
    assert "quota" in str(azure.home.translate(caught.value))
    assert azure.home.machines.state(NAME) == "building"
    assert {each.name for each in azure.home.belongings.made_by("run-1")} > PARTS
    while not azure.home.machines.remove(NAME):
        pass
    assert azure.home.machines.state(NAME) == "absent"


def test_what_is_in_use_or_being_changed_is_removed_by_a_later_call(azure: EmbeddedHome) -> None:
    built(azure, machine_of(azure))
    found = {each.kind: each for each in azure.home.belongings.made_by("run-1") if each.name.startswith(NAME)}
    assert not azure.home.belongings.remove(found["interface"])
    assert not azure.home.belongings.remove(found["disk"])
    assert NAME in azure.names()
    for kind in ("machine", "interface", "disk"):
        assert azure.home.belongings.remove(found[kind])
        assert azure.home.belongings.remove(found[kind])


def test_nothing_without_our_tag_is_removed(azure: EmbeddedHome) -> None:
    body: Any = {"location": "westeurope", "properties": {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}}}
    azure.home.place.compute.disks.begin_create_or_update("home", f"{NAME}-disk", body).result()
    with pytest.raises(NotGivenBack, match="something else made it"):
        azure.home.machines.remove(NAME)
    assert azure.names() == {f"{NAME}-disk"}


def test_snapshots_and_half_uploaded_disks_are_given_back(azure: EmbeddedHome) -> None:
    place = azure.home.place
    machine = machine_of(azure)
    creation = {"createOption": "Copy", "sourceResourceId": machine.image.id}
    body: Any = {"location": "westeurope", "tags": TAGS, "properties": {"creationData": creation}}
    place.compute.snapshots.begin_create_or_update("home", "before", body).result()
    access: Any = {"access": "Read", "durationInSeconds": 600}
    place.compute.snapshots.begin_grant_access("home", "before", access).result()
    upload: Any = {"createOption": "Upload", "uploadSizeBytes": small_image().size}
    body = {"location": "westeurope", "tags": TAGS, "properties": {"osType": "Linux", "creationData": upload}}
    place.compute.disks.begin_create_or_update("home", "half", body).result()
    access = {"access": "Write", "durationInSeconds": 600}
    place.compute.disks.begin_grant_access("home", "half", access).result()
    assert azure.active_access() == 2
    made = azure.home.belongings.made_by("run-1")
    assert {each.kind for each in made} == {"disk", "snapshot"}
    for each in made:
        assert azure.home.belongings.command(each).startswith("az ")
        while not azure.home.belongings.remove(each):
            pass
        assert azure.home.belongings.remove(each)
    assert azure.names() == set()


def test_a_machine_takes_the_smallest_size_of_the_location_or_a_named_one(azure: EmbeddedHome) -> None:
    place = azure.home.place
    assert azure.home.machines.offer(MachineNeeds("uefi", disks=4)) == "Standard_D2s_v5"
    own = AzureMachines(replace(place, target=TARGET.model_copy(update={"size": "Standard_D4s_v5"})))
    assert own.build(machine_of(azure)) == "running"
    assert azure.machine(NAME).spec.size == "Standard_D4s_v5"
    with pytest.raises(CloudRefused, match="northeurope offers"):
        AzureMachines(replace(place, target=TARGET.model_copy(update={"location": "northeurope"}))).offer(
            MachineNeeds("bios", disks=0)
        )


def test_a_console_that_is_not_there_yet_is_empty(azure: EmbeddedHome) -> None:
    assert AzureMachines(azure.home.place).console("nobody") == ""
    azure.cloud.fail_next(Fault("virtualMachines/retrieveBootDiagnosticsData", 403, "AuthorizationFailed", "no"))
    built(azure, machine_of(azure))
    with pytest.raises(azure.home.foreign):
        azure.home.machines.console(NAME)
    assert azure.home.machines.console(NAME) == "boot 1\n"
