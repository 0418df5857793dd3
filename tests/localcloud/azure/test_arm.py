"""ARM's common rules: versions, groups, unknown fields, long-running operations, faults, restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from localcloud.azure.cloud import AzureCloud, AzureSettings
from localcloud.azure.operations import Fault
from tests.localcloud.azure.clients import (
    AUTHORITY,
    GROUP,
    LOCATION,
    Azure,
    empty_disk,
    refused,
    upload_disk,
    write_access,
)

if TYPE_CHECKING:
    from azure.mgmt.compute import ComputeManagementClient

DISKS = f"/resourceGroups/{GROUP}/providers/Microsoft.Compute/disks"
EMPTY = {"createOption": "Empty"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{DISKS}/a", 400, "MissingApiVersionParameter"),
        (f"{DISKS}/a?api-version=2020-01-01", 400, "NoRegisteredProviderFound"),
        (f"{DISKS}/a?api-version=2026-03-02&x=1", 400, "InvalidQueryParameter"),
        (f"{DISKS}/a?api-version=2026-03-02", 404, "ResourceNotFound"),
        ("/resourceGroups/none/providers/Microsoft.Compute/disks?api-version=2026-03-02", 404, "ResourceGroupNotFound"),
        ("/resourceGroups/home/providers/Microsoft.Web/sites/a?api-version=2026-03-02", 404, "InvalidResourceType"),
        ("/providers/Microsoft.Compute/locations/x/operations/abc?api-version=2026-03-02", 404, "NotFound"),
        ("/nowhere", 404, "NotFound"),
        (f"{DISKS}/-a?api-version=2026-03-02", 400, "InvalidResourceName"),
    ],
)
def test_a_request_that_arm_does_not_know(azure: Azure, path: str, status: int, code: str) -> None:
    found, body = azure.raw("GET", path)
    assert (found, body["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("body", "code", "target"),
    [
        ({"location": LOCATION, "colour": "red"}, "InvalidRequestContent", "colour"),
        (
            {"location": LOCATION, "properties": {"creationData": EMPTY, "x": 1}},
            "InvalidRequestContent",
            "properties.x",
        ),
        ({"location": LOCATION, "properties": {"diskSizeGB": "9"}}, "InvalidParameter", "properties.diskSizeGB"),
        ({"location": LOCATION, "properties": {"osType": "BeOS"}}, "InvalidParameter", "properties.osType"),
        ({"location": LOCATION, "properties": {"tier": "P10"}}, "NotEmulated", "properties.tier"),
        ({"location": LOCATION, "extendedLocation": {"name": "edge"}}, "NotEmulated", "extendedLocation"),
        ([], "InvalidParameter", ""),
    ],
)
def test_a_body_is_judged_by_the_sdks_own_models(azure: Azure, body: object, code: str, target: str) -> None:
    status, answer = azure.raw("PUT", f"{DISKS}/a?api-version=2026-03-02", body=body)
    assert (status, answer["error"]["code"], answer["error"].get("target", "")) == (400, code, target)


def test_what_is_not_there_is_a_not_found_of_the_sdk(compute: ComputeManagementClient) -> None:
    with pytest.raises(ResourceNotFoundError, match="ResourceNotFound"):
        compute.disks.get(GROUP, "none")
    with pytest.raises(ResourceNotFoundError, match="ResourceGroupNotFound"):
        compute.disks.get("elsewhere", "none")
    compute.disks.begin_delete(GROUP, "none").result()


def test_a_disk_lists_with_its_tags_and_read_only_fields_are_ignored(
    azure: Azure, compute: ComputeManagementClient
) -> None:
    empty_disk(compute, "one")
    disk = compute.disks.get(GROUP, "one")
    disk.tags = {"drs-failback:run": "r1"}
    compute.disks.begin_create_or_update(GROUP, "one", disk).result()
    assert [each.tags for each in compute.disks.list_by_resource_group(GROUP)] == [{"drs-failback:run": "r1"}]
    (document,) = (each for each in azure.cloud.everything().values() if each["name"] == "one")
    assert document["tags"] == {"drs-failback:run": "r1"}
    document["tags"].clear()
    assert compute.disks.get(GROUP, "one").tags == {"drs-failback:run": "r1"}


def slow(azure: Azure, **seconds: float) -> None:
    azure.settings.latency.update({name.replace("_", "/"): value for name, value in seconds.items()})  # type: ignore[attr-defined]


def test_an_operation_takes_its_time_and_locks_its_resource(azure: Azure, compute: ComputeManagementClient) -> None:
    slow(azure, disks_write=60)
    body: Any = {"location": LOCATION, "properties": {"diskSizeGB": 1, "creationData": EMPTY}}
    poller = compute.disks.begin_create_or_update(GROUP, "one", body)
    assert compute.disks.get(GROUP, "one").provisioning_state == "Updating"
    assert poller.status() == "InProgress"
    with refused("Conflict", status=409):
        compute.disks.begin_delete(GROUP, "one")
    azure.clock.advance(61)
    assert poller.result().provisioning_state == "Succeeded"


def test_a_restart_amid_an_operation_leaves_it_failed(azure: Azure, compute: ComputeManagementClient) -> None:
    slow(azure, disks_write=60)
    body: Any = {"location": LOCATION, "properties": {"diskSizeGB": 1, "creationData": EMPTY}}
    compute.disks.begin_create_or_update(GROUP, "one", body, polling=False)
    settings = AzureSettings(azure.settings.folder, (), {})
    again = AzureCloud(settings, driver=azure.driver, clock=azure.clock, authority=AUTHORITY)
    (document,) = (each for each in again.everything().values() if each["name"] == "one")
    assert document["properties"]["provisioningState"] == "Failed"


def test_a_fault_at_once_and_one_at_the_end(azure: Azure, compute: ComputeManagementClient) -> None:
    azure.cloud.fail_next(Fault("disks/write", 429, "OperationNotAllowed", "Too many requests"))
    with refused("OperationNotAllowed", status=429):
        empty_disk(compute, "one")
    azure.cloud.fail_next(Fault("disks/write", 500, "InternalOperationError", "It broke", at_once=False))
    with pytest.raises(HttpResponseError, match="InternalOperationError"):
        empty_disk(compute, "one")
    assert compute.disks.get(GROUP, "one").provisioning_state == "Failed"
    compute.disks.begin_delete(GROUP, "one").result()


def test_a_restart_finds_everything_but_signatures(azure: Azure, compute: ComputeManagementClient) -> None:
    upload_disk(compute, "one")
    write_access(compute, "one").close()
    before = azure.cloud.everything()
    again = AzureCloud(
        AzureSettings(azure.settings.folder, (), {}), driver=azure.driver, clock=azure.clock, authority=AUTHORITY
    )
    assert again.everything().keys() == before.keys()
    (document,) = (each for each in again.everything().values() if each["name"] == "one")
    assert document["properties"]["diskState"] in {"ReadyToUpload", "ActiveUpload"}
