"""Managed disks and snapshots through the SDK: creation, states, uploads, copies, and what's refused."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient

from failback.sinks.vhd import vhd_footer
from tests.localcloud.azure.clients import (
    GROUP,
    LOCATION,
    Azure,
    empty_disk,
    made,
    refused,
    upload_disk,
    uploaded_disk,
    write_access,
)

if TYPE_CHECKING:
    from azure.mgmt.compute import ComputeManagementClient

MIB = 1 << 20


def file_of(azure: Azure, compute: ComputeManagementClient, name: str) -> os.PathLike[str]:
    return azure.settings.folder / "disks" / f"{compute.disks.get(GROUP, name).unique_id}.raw"


def test_an_upload_goes_through_its_states_and_ends_as_a_raw_file(
    azure: Azure, compute: ComputeManagementClient
) -> None:
    upload_disk(compute, "client")
    assert compute.disks.get(GROUP, "client").disk_state == "ReadyToUpload"
    path = file_of(azure, compute, "client")
    with write_access(compute, "client") as blob:
        assert compute.disks.get(GROUP, "client").disk_state == "ActiveUpload"
        blob.upload_page(b"boot" * 128, 0, 512)
        blob.upload_page(vhd_footer(20 * MIB, uuid.UUID(int=1)), 20 * MIB, 512)
        compute.disks.begin_revoke_access(GROUP, "client").result()
        with refused("AuthenticationFailed", status=403):
            blob.upload_page(b"late" * 128, 0, 512)
    disk = compute.disks.get(GROUP, "client")
    assert (disk.disk_state, disk.disk_size_bytes, disk.disk_size_gb) == ("Unattached", 20 * MIB, 1)
    with open(path, "rb") as file:  # noqa: PTH123 - a path-like
        data = file.read()
    assert len(data) == 20 * MIB
    assert data.startswith(b"boot" * 128)
    assert not data[512:].strip(b"\0")


@pytest.mark.parametrize("fault", ["none", "cookie", "checksum", "size", "kind"])
def test_an_upload_without_a_good_footer_ends_as_a_failed_disk(compute: ComputeManagementClient, fault: str) -> None:
    upload_disk(compute, "client")
    footer = bytearray(vhd_footer((40 if fault == "size" else 20) * MIB, uuid.UUID(int=1)))
    if fault == "cookie":
        footer[:8] = b"qonectix"
    if fault == "checksum":
        footer[64] ^= 1
    if fault == "kind":
        footer[63], footer[67] = 3, footer[67] - 1
    if fault != "none":
        with write_access(compute, "client") as blob:
            blob.upload_page(bytes(footer), 20 * MIB, 512)
    with refused("InvalidVhd", "VHD"):
        compute.disks.begin_revoke_access(GROUP, "client").result()
    assert compute.disks.get(GROUP, "client").provisioning_state == "Failed"
    with refused("OperationNotAllowed"):
        write_access(compute, "client")
    compute.disks.begin_delete(GROUP, "client").result()


@pytest.mark.parametrize("size", [20972032 - 512, 20972033, 20 * MIB, 35183298347520 + MIB])
def test_upload_sizes_that_azure_does_not_take(compute: ComputeManagementClient, size: int) -> None:
    with refused("InvalidParameter", "uploadSizeBytes", status=400):
        upload_disk(compute, "client", size - 512)


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"creationData": {"createOption": "Empty"}, "diskSizeGB": 0}, "InvalidParameter"),
        ({"creationData": {"createOption": "Empty"}, "diskSizeGB": 40000}, "InvalidParameter"),
        ({"creationData": {"createOption": "FromImage"}}, "NotEmulated"),
        ({"creationData": {"createOption": "Copy"}, "diskSizeGB": 1}, "InvalidParameter"),
        ({"creationData": {"createOption": "Copy", "sourceResourceId": "/x"}}, "NotFound"),
        ({"securityProfile": {"securityType": "TrustedLaunch"}, "hyperVGeneration": "V1"}, "InvalidParameter"),
        ({"networkAccessPolicy": "AllowPrivate"}, "NotEmulated"),
    ],
)
def test_disks_that_cannot_be_created(
    compute: ComputeManagementClient, properties: dict[str, object], code: str
) -> None:
    with refused(code):
        empty_disk(compute, "one", **properties)
    assert list(compute.disks.list()) == []


def test_what_is_fixed_at_creation_stays(compute: ComputeManagementClient) -> None:
    empty_disk(compute, "one", osType="Linux", hyperVGeneration="V1")
    empty_disk(compute, "one", osType="Linux", hyperVGeneration="V1")
    for change in ({"osType": "Windows"}, {"hyperVGeneration": "V2"}, {"creationData": {"createOption": "Upload"}}):
        with refused("PropertyChangeNotAllowed", status=409):
            empty_disk(compute, "one", **change)
    with refused("PropertyChangeNotAllowed"):
        compute.disks.begin_update(GROUP, "one", {"properties": {"osType": "Windows"}})
    body: Any = {"location": "northeurope", "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 1}}
    with refused("InvalidResourceLocation"):
        compute.disks.begin_create_or_update(GROUP, "one", body)


def test_a_disk_grows_but_does_not_shrink(azure: Azure, compute: ComputeManagementClient) -> None:
    empty_disk(compute, "one")
    assert (
        compute.disks.begin_update(GROUP, "one", {"properties": {"diskSizeGB": 3}}).result().disk_size_bytes == 3 << 30
    )
    assert os.stat(file_of(azure, compute, "one")).st_size == 3 << 30  # noqa: PTH116 - a path-like
    with refused("InvalidParameter", "larger"):
        compute.disks.begin_update(GROUP, "one", {"properties": {"diskSizeGB": 2}})
    upload_disk(compute, "client")
    with refused("OperationNotAllowed", "resized"):
        compute.disks.begin_update(GROUP, "client", {"properties": {"diskSizeGB": 2}})


def test_access_is_for_what_the_disk_is_for(azure: Azure, compute: ComputeManagementClient) -> None:
    upload_disk(compute, "client")
    empty_disk(compute, "one")
    for name, access in (("client", "Read"), ("one", "Write")):
        with refused("OperationNotAllowed"):
            compute.disks.begin_grant_access(GROUP, name, {"access": access, "durationInSeconds": 60})
    data: Any
    for data in ({"access": "None", "durationInSeconds": 60}, {"access": "Read", "durationInSeconds": 0}):
        with refused("InvalidParameter"):
            compute.disks.begin_grant_access(GROUP, "one", data)
    empty_disk(compute, "closed", networkAccessPolicy="DenyAll")
    with refused("OperationNotAllowed", "denied"):
        compute.disks.begin_grant_access(GROUP, "closed", {"access": "Read", "durationInSeconds": 60})


def test_a_signature_ends_with_its_time_and_keeps_the_disk_from_deletion(
    azure: Azure, compute: ComputeManagementClient
) -> None:
    uploaded_disk(compute, "client", b"data" * 128)
    data: Any = {"access": "Read", "durationInSeconds": 60}
    sas = compute.disks.begin_grant_access(GROUP, "client", data).result().access_sas
    assert compute.disks.get(GROUP, "client").disk_state == "ActiveSAS"
    with refused("OperationNotAllowed", "signature"):
        compute.disks.begin_delete(GROUP, "client")
    with BlobClient.from_blob_url(made(sas)) as blob:
        content = blob.download_blob().readall()
        assert content[:512] == b"data" * 128
        assert content[-512:-504] == b"conectix"
        with refused("AuthorizationPermissionMismatch", status=403):
            blob.upload_page(b"x" * 512, 0, 512)
        azure.clock.advance(61)
        with refused("AuthenticationFailed", status=403):
            blob.get_blob_properties()
    path = file_of(azure, compute, "client")
    compute.disks.begin_delete(GROUP, "client").result()
    assert not os.path.exists(path)  # noqa: PTH110 - a path-like
    with pytest.raises(ResourceNotFoundError):
        compute.disks.get(GROUP, "client")


@pytest.mark.parametrize("incremental", [True, False])
def test_a_snapshot_keeps_the_moment_and_becomes_disks(
    azure: Azure, compute: ComputeManagementClient, incremental: bool
) -> None:
    disk_id = uploaded_disk(compute, "original", b"then" * 128)
    creation: Any = {"createOption": "Copy", "sourceResourceId": disk_id}
    body: Any = {"location": LOCATION, "properties": {"creationData": creation, "incremental": incremental}}
    snapshot = compute.snapshots.begin_create_or_update(GROUP, "moment", body).result()
    assert (snapshot.incremental, snapshot.hyper_v_generation, snapshot.os_type) == (incremental, "V1", "Linux")
    with open(file_of(azure, compute, "original"), "r+b") as file:  # noqa: PTH123 - a path-like
        file.write(b"then, later")
    compute.disks.begin_delete(GROUP, "original").result()
    creation = {"createOption": "Copy", "sourceResourceId": made(snapshot.id)}
    body = {"location": LOCATION, "properties": {"creationData": creation, "diskSizeGB": 2}}
    clone = compute.disks.begin_create_or_update(GROUP, "clone", body).result()
    assert (clone.disk_size_bytes, clone.hyper_v_generation, clone.os_type) == (2 << 30, "V1", "Linux")
    with open(file_of(azure, compute, "clone"), "rb") as file:  # noqa: PTH123 - a path-like
        assert file.read(1024) == b"then" * 128 + bytes(512)
        assert os.fstat(file.fileno()).st_blocks * 512 < MIB
    sas = compute.snapshots.begin_grant_access(GROUP, "moment", {"access": "Read", "durationInSeconds": 60}).result()
    with refused("OperationNotAllowed"):
        compute.snapshots.begin_delete(GROUP, "moment")
    with BlobClient.from_blob_url(made(sas.access_sas)) as blob:
        assert blob.download_blob(0, 512).readall() == b"then" * 128
    compute.snapshots.begin_revoke_access(GROUP, "moment").result()
    compute.snapshots.begin_delete(GROUP, "moment").result()
    assert [each.name for each in compute.snapshots.list()] == []


def test_a_disk_that_awaits_its_upload_cannot_be_copied(compute: ComputeManagementClient) -> None:
    creation: Any = {"createOption": "Copy", "sourceResourceId": upload_disk(compute, "client")}
    body: Any = {"location": LOCATION, "properties": {"creationData": creation}}
    with refused("OperationNotAllowed"):
        compute.snapshots.begin_create_or_update(GROUP, "moment", body)
    with refused("OperationNotAllowed"):
        compute.disks.begin_create_or_update(GROUP, "copy", body)


OTHERWISE = [{"hyperVGeneration": "V2"}, {"osType": "Windows"}]


def other_copy(compute: ComputeManagementClient, change: dict[str, str]) -> Any:  # noqa: ANN401 - any model
    creation = {"createOption": "Copy", "sourceResourceId": uploaded_disk(compute, "whole")}
    body: Any = {"location": LOCATION, "properties": {"creationData": creation} | change}
    return compute.disks.begin_create_or_update(GROUP, "copy", body).result()


@pytest.mark.parametrize("change", OTHERWISE, ids=["generation", "system"])
def test_a_copy_may_state_another_generation_or_system(
    compute: ComputeManagementClient, change: dict[str, str]
) -> None:
    copied = other_copy(compute, change)
    stated = {"osType": "Linux", "hyperVGeneration": "V1"} | change
    assert (copied.os_type, copied.hyper_v_generation) == (stated["osType"], stated["hyperVGeneration"])


@pytest.mark.parametrize("settings_changes", [{"copy_keeps_generation": True}], ids=["strict"])
@pytest.mark.parametrize("change", OTHERWISE, ids=["generation", "system"])
def test_a_strict_cloud_refuses_a_copy_of_another_kind(
    compute: ComputeManagementClient, change: dict[str, str]
) -> None:
    with refused("InvalidParameter", "of its source"):
        other_copy(compute, change)
    assert [each.name for each in compute.disks.list()] == ["whole"]
