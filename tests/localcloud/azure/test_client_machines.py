"""What client machines take of the embedded Azure through the SDK: data disks, and identities made before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.localcloud.azure.clients import GROUP, IDENTITY, LOCATION, Azure, empty_disk, made, refused, uploaded_disk
from tests.localcloud.azure.test_machines import create, interface, machine

if TYPE_CHECKING:
    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.network import NetworkManagementClient


@pytest.fixture
def nic(network: NetworkManagementClient) -> str:
    return interface(network, "nic")


def test_data_disks_that_do_not_go_with_the_machine(compute: ComputeManagementClient, nic: str) -> None:
    good = uploaded_disk(compute, "good")
    several = tuple(empty_disk(compute, f"data-{number}") for number in range(5))
    with refused("OperationNotAllowed", "at most 4 data disks"):
        create(compute, machine(good, nic, data=several))
    for lun in (0, 64, None):
        body = machine(good, nic, data=several[:2])
        body["properties"]["storageProfile"]["dataDisks"][1]["lun"] = lun
        with refused("InvalidParameter", "lun"):
            create(compute, body)
    body = machine(good, nic, data=several[:1])
    body["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"] = several[0]
    with refused("InvalidParameter", "osType"):
        create(compute, body)
    common: Any = {"location": LOCATION, "sku": {"name": "Premium_LRS"}}
    values = {"diskSizeGB": 4, "creationData": {"createOption": "Empty"}}
    common["properties"] = values
    made_disk = compute.disks.begin_create_or_update(GROUP, "premium", common).result()
    body = machine(good, nic, data=(made(made_disk.id),), hardwareProfile={"vmSize": "Standard_D2_v3"})
    with refused("InvalidParameter", "does not support the storage account type Premium_LRS of disk 'premium'"):
        create(compute, body)
    body["properties"]["hardwareProfile"]["vmSize"] = "Standard_D2s_v3"
    create(compute, body)


def test_identities_that_were_made_before_can_be_assigned_and_no_others(
    azure: Azure, compute: ComputeManagementClient, nic: str
) -> None:
    known = IDENTITY.resource_id(azure.settings.subscription)
    assigned: Any = {"type": "UserAssigned", "userAssignedIdentities": {known: {}}}
    body = machine(uploaded_disk(compute, "client"), nic)
    for wrong, code in (
        ({"type": "UserAssigned", "userAssignedIdentities": {f"{known}-2": {}}}, "FailedIdentityOperation"),
        ({"type": "UserAssigned"}, "InvalidParameter"),
        ({"type": "SystemAssigned", "userAssignedIdentities": {known: {}}}, "InvalidParameter"),
    ):
        with refused(code):
            create(compute, body | {"identity": wrong})
    assert list(compute.virtual_machines.list(GROUP)) == []
    result = create(compute, body | {"identity": assigned})
    shown = result.identity.user_assigned_identities[known]
    assert (shown.principal_id, shown.client_id) == (IDENTITY.principal_id, IDENTITY.client_id)
    (found,) = azure.driver.machines[0].spec.identities
    assert (found.resource_id, found.principal_id, found.client_id) == (
        known, IDENTITY.principal_id, IDENTITY.client_id
    )  # fmt: skip
    none: Any = {"identity": {"type": "None"}}
    compute.virtual_machines.begin_update(GROUP, "server", none).result()
    assert azure.driver.machines[0].spec.identities == ()
