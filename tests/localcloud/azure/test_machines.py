"""Virtual machines through the SDK: the whole way home, and every refusal on it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient

from tests.localcloud.azure.clients import (
    GROUP,
    LOCATION,
    Azure,
    empty_disk,
    made,
    refused,
    upload_disk,
    uploaded_disk,
)

if TYPE_CHECKING:
    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.network import NetworkManagementClient


@pytest.fixture
def nic(network: NetworkManagementClient) -> str:
    return interface(network, "nic")


def interface(network: NetworkManagementClient, name: str) -> str:
    subnet = network.subnets.get(GROUP, "net", "servers")
    configuration = {"name": "ip", "properties": {"subnet": {"id": subnet.id}}}
    body: Any = {"location": LOCATION, "properties": {"ipConfigurations": [configuration]}}
    return made(network.network_interfaces.begin_create_or_update(GROUP, name, body).result().id)


def machine(disk: str, nic: str, *, data: tuple[str, ...] = (), **properties: object) -> Any:  # noqa: ANN401 - any body
    disks = [{"lun": lun, "createOption": "Attach", "managedDisk": {"id": each}} for lun, each in enumerate(data)]
    os_disk = {"createOption": "Attach", "osType": "Linux", "managedDisk": {"id": disk}}
    values = {
        "hardwareProfile": {"vmSize": "Standard_B2ms"},
        "storageProfile": {"osDisk": os_disk, "dataDisks": disks},
        "networkProfile": {"networkInterfaces": [{"id": nic}]},
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
    }
    return {"location": LOCATION, "properties": values | properties}


def create(compute: ComputeManagementClient, body: Any, name: str = "server") -> Any:  # noqa: ANN401 - any body
    return compute.virtual_machines.begin_create_or_update(GROUP, name, body).result()


def power(compute: ComputeManagementClient, name: str = "server") -> str:
    view = compute.virtual_machines.instance_view(GROUP, name)
    return made((view.statuses or [])[1].code)


def swap(disk: str) -> Any:  # noqa: ANN401 - any body
    return {"properties": {"storageProfile": {"osDisk": {"managedDisk": {"id": disk}}}}}


def serial_log(compute: ComputeManagementClient) -> bytes:
    found = compute.virtual_machines.retrieve_boot_diagnostics_data(GROUP, "server")
    with BlobClient.from_blob_url(made(found.serial_console_log_blob_uri)) as blob:
        return bytes(blob.download_blob().readall())


def test_the_whole_way_home(azure: Azure, compute: ComputeManagementClient, nic: str) -> None:
    client = uploaded_disk(compute, "client", b"boot" * 128)
    data = empty_disk(compute, "data", osType="Linux", hyperVGeneration="V1")
    user_data = base64.b64encode(b"settings").decode()
    create(compute, machine(client, nic, data=(data,), userData=user_data))
    spec = azure.driver.machines[0].spec
    assert spec.os_disk.path.read_bytes()[:512] == b"boot" * 128
    assert (spec.firmware, spec.controller, spec.memory_mib, spec.user_data) == ("bios", "SCSI", 8192, user_data)
    assert [(each.lun, each.size) for each in spec.data_disks] == [(0, 1 << 30)]
    assert spec.nics[0].private_address == "10.20.0.4"
    assert power(compute) == "PowerState/running"
    assert compute.disks.get(GROUP, "client").disk_state == "Attached"
    body = swap(data)
    body["properties"]["storageProfile"]["dataDisks"] = []
    with refused("OperationNotAllowed", "running"):
        compute.virtual_machines.begin_update(GROUP, "server", body)
    azure.driver.machines[0].is_running = False
    assert power(compute) == "PowerState/stopped"
    compute.virtual_machines.begin_power_off(GROUP, "server").result()
    with refused("OperationNotAllowed", "stopped"):
        compute.virtual_machines.begin_update(GROUP, "server", body)
    compute.virtual_machines.begin_deallocate(GROUP, "server").result()
    compute.virtual_machines.begin_update(GROUP, "server", body).result()
    assert compute.disks.get(GROUP, "client").disk_state == "Unattached"
    compute.virtual_machines.begin_start(GROUP, "server").result()
    assert azure.driver.machines[1].spec.os_disk.resource_id == data
    assert azure.driver.machines[1].spec.vm_id == spec.vm_id
    assert serial_log(compute) == b"boot 1\nboot 2\n"
    compute.virtual_machines.begin_deallocate(GROUP, "server").result()
    assert power(compute) == "PowerState/deallocated"
    assert compute.disks.get(GROUP, "data").disk_state == "Reserved"
    compute.virtual_machines.begin_delete(GROUP, "server").result()
    assert compute.disks.get(GROUP, "data").disk_state == "Unattached"
    with pytest.raises(ResourceNotFoundError):
        compute.virtual_machines.get(GROUP, "server")


def test_the_document_before_is_the_document_after(azure: Azure, compute: ComputeManagementClient, nic: str) -> None:
    original, client = (uploaded_disk(compute, each) for each in ("original", "client"))
    create(compute, machine(original, nic))
    before = azure.cloud.everything()
    compute.virtual_machines.begin_deallocate(GROUP, "server").result()
    for disk in (client, original):
        compute.virtual_machines.begin_update(GROUP, "server", swap(disk)).result()
    compute.virtual_machines.begin_start(GROUP, "server").result()
    assert compute.disks.get(GROUP, "original").disk_state == "Attached"
    assert {name: value for name, value in azure.cloud.everything().items() if "/disks/" not in name} == {
        name: value for name, value in before.items() if "/disks/" not in name
    }


def test_user_data_identity_and_tags_change_while_it_runs(
    azure: Azure, compute: ComputeManagementClient, nic: str
) -> None:
    create(compute, machine(uploaded_disk(compute, "client"), nic))
    user_data = base64.b64encode(b"new").decode()
    change: Any = {"tags": {"run": "1"}, "identity": {"type": "SystemAssigned"}, "properties": {"userData": user_data}}
    result: Any = compute.virtual_machines.begin_update(GROUP, "server", change).result()
    spec = azure.driver.machines[0].spec
    assert (spec.user_data, dict(spec.tags)) == (user_data, {"run": "1"})
    assert spec.identities[0].principal_id == result.identity.principal_id
    assert spec.identities[0].tenant == azure.settings.tenant
    assert compute.virtual_machines.get(GROUP, "server").user_data is None
    found = compute.virtual_machines.get(GROUP, "server", expand="userData")
    assert found.user_data == user_data
    compute.virtual_machines.begin_create_or_update(
        GROUP, "server", compute.virtual_machines.get(GROUP, "server")
    ).result()
    assert compute.virtual_machines.get(GROUP, "server", expand="userData").user_data == user_data
    with refused("InvalidParameter", "base64"):
        compute.virtual_machines.begin_update(GROUP, "server", change | {"properties": {"userData": "%%"}})
    with refused("OperationNotAllowed", "hardwareProfile"):
        change = {"properties": {"hardwareProfile": {"vmSize": "Standard_D2s_v5"}}}
        compute.virtual_machines.begin_update(GROUP, "server", change)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"hardwareProfile": {"vmSize": "Standard_Huge"}}, "InvalidParameter"),
        ({"hardwareProfile": {"vmSize": "Standard_DC2s_v3"}}, "BadRequest"),
        ({"hardwareProfile": {"vmSize": "Standard_D2s_v6"}}, "BadRequest"),
        ({"hardwareProfile": {"vmSize": "Standard_D2s_v4"}}, "SkuNotAvailable"),
        ({"securityProfile": {"uefiSettings": {"secureBootEnabled": True}}}, "BadRequest"),
        ({"securityProfile": {"securityType": "TrustedLaunch"}}, "BadRequest"),
        ({"securityProfile": {"securityType": "ConfidentialVM"}}, "NotEmulated"),
        ({"osProfile": {"computerName": "server"}}, "NotEmulated"),
        ({"networkProfile": {"networkInterfaces": []}}, "InvalidParameter"),
        ({"userData": "no base64!"}, "InvalidParameter"),
    ],
)
def test_machines_that_cannot_be_created(
    compute: ComputeManagementClient, nic: str, changes: dict[str, Any], code: str
) -> None:
    disk = uploaded_disk(compute, "client")
    with refused(code):
        create(compute, machine(disk, nic, **changes))
    assert list(compute.virtual_machines.list(GROUP)) == []
    assert compute.disks.get(GROUP, "client").disk_state == "Unattached"


def test_disks_that_cannot_be_attached(
    compute: ComputeManagementClient, network: NetworkManagementClient, nic: str
) -> None:
    read: Any = {"access": "Read", "durationInSeconds": 60}
    uploading, good = upload_disk(compute, "uploading"), uploaded_disk(compute, "good")
    with refused("OperationNotAllowed", "ReadyToUpload"):
        create(compute, machine(uploading, nic))
    compute.disks.begin_grant_access(GROUP, "good", read).result()
    with refused("OperationNotAllowed", "ActiveSAS"):
        create(compute, machine(good, nic))
    compute.disks.begin_revoke_access(GROUP, "good").result()
    with refused("AttachDiskWhileAlreadyAttached"):
        create(compute, machine(good, nic, data=(good,)))
    body = machine(good, nic)
    body["properties"]["storageProfile"]["osDisk"]["osType"] = "Windows"
    with refused("InvalidParameter", "osType"):
        create(compute, body)
    create(compute, machine(good, nic))
    with refused("AttachDiskWhileAlreadyAttached"):
        create(compute, machine(good, interface(network, "other")), "second")
    with refused("NicInUse"):
        create(compute, machine(uploaded_disk(compute, "free"), nic), "second")
    with refused("NicInUse"):
        network.network_interfaces.begin_delete(GROUP, "nic")
    with refused("OperationNotAllowed", "attached"):
        compute.disks.begin_delete(GROUP, "good")
    with refused("OperationNotAllowed", "running"):
        compute.disks.begin_grant_access(GROUP, "good", read)


def test_disks_that_cannot_be_swapped_in(compute: ComputeManagementClient, nic: str) -> None:
    create(compute, machine(uploaded_disk(compute, "client"), nic))
    compute.virtual_machines.begin_deallocate(GROUP, "server").result()
    cases = (
        (empty_disk(compute, "windows", osType="Windows", hyperVGeneration="V1"), "InvalidParameter"),
        (empty_disk(compute, "uefi", osType="Linux", hyperVGeneration="V2"), "BadRequest"),
        (upload_disk(compute, "uploading"), "OperationNotAllowed"),
        ("/subscriptions/x/resourceGroups/home/providers/Microsoft.Compute/disks/none", "NotFound"),
    )
    for disk, code in cases:
        with refused(code):
            compute.virtual_machines.begin_update(GROUP, "server", swap(disk))
    named = swap(uploaded_disk(compute, "other"))
    named["properties"]["storageProfile"]["osDisk"]["name"] = "client"
    with refused("PropertyChangeNotAllowed"):
        compute.virtual_machines.begin_update(GROUP, "server", named)
    with refused("OperationNotAllowed", "restarted"):
        compute.virtual_machines.begin_restart(GROUP, "server")


def test_a_trusted_machine_boots_by_uefi_and_keeps_its_type(
    azure: Azure, compute: ComputeManagementClient, nic: str
) -> None:
    trusted = {"securityProfile": {"securityType": "TrustedLaunch"}, "osType": "Linux", "hyperVGeneration": "V2"}
    create(
        compute,
        machine(empty_disk(compute, "client", **trusted), nic, securityProfile={"securityType": "TrustedLaunch"}),
    )
    assert azure.driver.machines[0].spec.firmware == "uefi"
    found: Any = compute.virtual_machines.get(GROUP, "server")
    assert found.security_profile.uefi_settings.v_tpm_enabled
    compute.virtual_machines.begin_deallocate(GROUP, "server").result()
    plain = empty_disk(compute, "plain", osType="Linux", hyperVGeneration="V2")
    with refused("BadRequest", "security type"):
        compute.virtual_machines.begin_update(GROUP, "server", swap(plain))


def test_what_goes_with_a_machine_and_a_start_that_fails(
    azure: Azure, compute: ComputeManagementClient, network: NetworkManagementClient, nic: str
) -> None:
    body = machine(uploaded_disk(compute, "client"), nic)
    body["properties"]["storageProfile"]["osDisk"]["deleteOption"] = "Delete"
    body["properties"]["networkProfile"]["networkInterfaces"][0]["properties"] = {"deleteOption": "Delete"}
    azure.driver.fault = "no room"
    with pytest.raises(HttpResponseError, match="VMStartFailed"):
        create(compute, body)
    azure.driver.fault = ""
    compute.virtual_machines.begin_start(GROUP, "server").result()
    compute.virtual_machines.begin_delete(GROUP, "server").result()
    assert list(compute.disks.list()) == []
    assert list(network.network_interfaces.list(GROUP)) == []


def test_the_sizes_on_offer(compute: ComputeManagementClient) -> None:
    sizes = {each.name: each for each in compute.resource_skus.list(filter=f"location eq '{LOCATION}'")}
    values = {each.name: each.value for each in sizes["Standard_D2s_v6"].capabilities or []}
    assert values["HyperVGenerations"] == "V2"
    assert values["DiskControllerTypes"] == "NVMe"
    temporary = {each.name: each.value for each in sizes["Standard_B2ms"].capabilities or []}
    assert (temporary["MaxResourceVolumeMB"], values["MaxResourceVolumeMB"]) == ("16384", "0")
    plain = {each.name: each.value for each in sizes["Standard_D2_v3"].capabilities or []}
    assert (plain["PremiumIO"], plain["MaxDataDiskCount"], plain["vCPUs"]) == ("False", "4", "2")
    assert list(compute.resource_skus.list(filter="location eq 'nowhere'")) == []
    with refused("InvalidFilter"):
        list(compute.resource_skus.list(filter="name eq 'x'"))
