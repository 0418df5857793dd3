"""What an adapter does that no other test does: nobody waits, tags change, lists are read, everything goes again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError

from tests.localcloud.azure.clients import GROUP, LOCATION, Azure, empty_disk, refused, uploaded_disk
from tests.localcloud.azure.test_arm import slow
from tests.localcloud.azure.test_machines import create, interface, machine, power, serial_log

if TYPE_CHECKING:
    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.network import NetworkManagementClient

TAGS = {"drs-failback:run": "run-1", "drs-failback:server": "web-1"}


def test_a_machine_is_removed_while_it_is_being_made(
    azure: Azure, compute: ComputeManagementClient, network: NetworkManagementClient
) -> None:
    before = azure.cloud.listing()
    slow(azure, virtualMachines_write=300)
    body = machine(uploaded_disk(compute, "client"), interface(network, "nic"))
    making: Any = compute.virtual_machines.begin_create_or_update(GROUP, "server", body)
    assert compute.virtual_machines.get(GROUP, "server").provisioning_state == "Creating"
    change: Any = {"tags": TAGS}
    with refused("Conflict"):
        compute.virtual_machines.begin_update(GROUP, "server", change)
    compute.virtual_machines.begin_delete(GROUP, "server", polling=False)
    with pytest.raises(HttpResponseError, match="OperationPreempted"):
        making.result()
    assert azure.driver.machines == []
    network.network_interfaces.begin_delete(GROUP, "nic", polling=False)
    compute.disks.begin_delete(GROUP, "client", polling=False)
    assert azure.cloud.listing() == before


def test_a_machine_that_nobody_waits_for_starts_in_its_time(
    azure: Azure, compute: ComputeManagementClient, network: NetworkManagementClient
) -> None:
    slow(azure, virtualMachines_write=60)
    body = machine(uploaded_disk(compute, "client"), interface(network, "nic"))
    compute.virtual_machines.begin_create_or_update(GROUP, "server", body, polling=False)
    assert azure.driver.machines == []
    azure.clock.advance(61)
    assert compute.virtual_machines.get(GROUP, "server").provisioning_state == "Succeeded"
    assert power(compute) == "PowerState/running"


def test_a_serial_log_grows_and_stays_behind_one_signature(
    azure: Azure, compute: ComputeManagementClient, network: NetworkManagementClient
) -> None:
    create(compute, machine(uploaded_disk(compute, "client"), interface(network, "nic")))
    guest = azure.driver.machines[0]
    assert serial_log(compute) == b"boot 1\n"
    guest.text += b"more\n"
    assert serial_log(compute) == b"boot 1\nmore\n"
    guest.is_running = False
    assert power(compute) == "PowerState/stopped"
    assert serial_log(compute) == b"boot 1\nmore\n"
    compute.virtual_machines.begin_start(GROUP, "server").result()
    compute.virtual_machines.begin_deallocate(GROUP, "server").result()
    assert serial_log(compute) == b"boot 1\nmore\nboot 2\n"


def test_tags_are_patched_and_lists_of_a_group_show_them(
    azure: Azure, compute: ComputeManagementClient, network: NetworkManagementClient
) -> None:
    disk, nic = uploaded_disk(compute, "client"), interface(network, "nic")
    compute.disks.begin_update(GROUP, "client", {"tags": TAGS}).result()
    network.network_interfaces.update_tags(GROUP, "nic", {"tags": TAGS})
    creation = {"createOption": "Copy", "sourceResourceId": disk}
    body: Any = {"location": LOCATION, "tags": TAGS, "properties": {"creationData": creation}}
    compute.snapshots.begin_create_or_update(GROUP, "moment", body).result()
    create(compute, machine(disk, nic) | {"tags": TAGS})
    lists: Any = (
        compute.disks.list_by_resource_group(GROUP),
        compute.snapshots.list_by_resource_group(GROUP),
        compute.virtual_machines.list(GROUP),
        network.network_interfaces.list(GROUP),
    )
    assert [[(each.name, each.tags) for each in found] for found in lists] == [
        *([("client", TAGS)], [("moment", TAGS)], [("server", TAGS)], [("nic", TAGS)])
    ]
    compute.snapshots.begin_update(GROUP, "moment", {"tags": {}}).result()
    assert not compute.snapshots.get(GROUP, "moment").tags
    for found in (compute.disks.list_by_resource_group("none"), network.network_interfaces.list("none")):
        with refused("ResourceGroupNotFound"):
            list(found)


def test_sizes_say_what_can_boot_where_and_what_is_not_for_this_subscription(
    compute: ComputeManagementClient, network: NetworkManagementClient
) -> None:
    found = {each.name: each for each in compute.resource_skus.list(filter=f"location eq '{LOCATION}'")}
    wanted = {"HyperVGenerations", "DiskControllerTypes", "MemoryGB", "vCPUs", "CpuArchitectureType"}
    for each in found.values():
        assert wanted <= {capability.name for capability in each.capabilities or []}
        assert each.resource_type == "virtualMachines"
    assert not found["Standard_D2s_v5"].restrictions
    (restriction,) = found["Standard_D2s_v4"].restrictions or []
    assert restriction.reason_code == "NotAvailableForSubscription"
    body = machine(
        uploaded_disk(compute, "client"), interface(network, "nic"), hardwareProfile={"vmSize": "Standard_D2s_v4"}
    )
    with refused("SkuNotAvailable", status=409):
        create(compute, body)


def test_a_listing_compares_and_counts_what_is_open(azure: Azure, compute: ComputeManagementClient) -> None:
    disk = empty_disk(compute, "one")
    before = azure.cloud.listing()
    assert (before[disk]["activeAccess"], before[disk]["properties"]["diskState"]) == (0, "Unattached")
    compute.disks.begin_grant_access(GROUP, "one", {"access": "Read", "durationInSeconds": 60}).result()
    during = azure.cloud.listing()
    assert (during[disk]["activeAccess"], during[disk]["properties"]["diskState"]) == (1, "ActiveSAS")
    compute.disks.get(GROUP, "one")
    assert azure.cloud.listing() == during
    compute.disks.begin_revoke_access(GROUP, "one").result()
    assert azure.cloud.listing() == before
