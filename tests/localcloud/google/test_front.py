"""The front: who may, which paths and parameters there are, request ids, operations, faults, and a restart."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from google.cloud import compute_v1

from localcloud.faults import Deny, FaultPlan, FaultRule, Throttle
from localcloud.google.cloud import GoogleCompute
from localcloud.google.schema import checked_answer
from tests.localcloud.google.clients import (
    ACCOUNT,
    REGION,
    SUBNETWORK,
    TOKEN,
    ZONE,
    RecordingDriver,
    TestedGoogle,
    refused,
    request_id,
)

pytestmark = pytest.mark.embedded
DISKS = f"/zones/{ZONE}/disks"


def reason(answer: tuple[int, dict[str, object]]) -> tuple[int, str]:
    status, body = answer
    error = body["error"]
    assert isinstance(error, dict)
    return status, error["errors"][0]["reason"]


def insert(google: TestedGoogle, number: int, **fields: object) -> compute_v1.Operation:
    disk = compute_v1.Disk(**({"name": "data", "size_gb": 10} | fields))
    request = compute_v1.InsertDiskRequest(
        project=google.project, zone=ZONE, disk_resource=disk, request_id=request_id(number)
    )
    return google.disks.insert_unary(request=request)


def test_nobody_gets_in_without_a_good_token_and_the_permission(google: TestedGoogle) -> None:
    assert reason(google.raw("GET", DISKS, token="other")) == (401, "authError")
    request = urllib.request.Request(f"{google.url}/compute/v1/projects/{google.project}{DISKS}")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value as error:
        assert (error.code, json.load(error)["error"]["errors"][0]["reason"]) == (401, "required")
    google.gate.denied.update({"compute.disks.create", "iam.serviceAccounts.actAs", "storage.objects.get"})
    with refused("forbidden", "Required 'compute.disks.create' permission", status=403):
        google.disk("data")
    image = compute_v1.Image(name="client", raw_disk={"source": google.bucket.put("a", b"")})
    with refused("forbidden", "storage.objects.get", status=403):
        google.images.insert_unary(project=google.project, image_resource=image)
    google.gate.denied.remove("compute.disks.create")
    boot = google.disk("boot")
    with refused("serviceAccountAccessDenied", ACCOUNT):
        google.create(google.machine("server", boot, service_accounts=[{"email": ACCOUNT}]))


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/zones/europe-west4-z/disks", None, (400, "invalid")),
        ("GET", f"{DISKS}?color=red", None, (400, "badRequest")),
        ("POST", f"{DISKS}?requestId=1", {"name": "a"}, (400, "invalid")),
        ("POST", f"{DISKS}?requestId=00000000-0000-0000-0000-000000000000", {"name": "a"}, (400, "invalid")),
        ("POST", DISKS, b"{", (400, "parseError")),
        ("POST", DISKS, None, (400, "invalid")),
        ("POST", DISKS, {"name": "a", "colour": 1}, (400, "badRequest")),
        ("POST", DISKS, {"name": "a", "sizeGb": "ten"}, (400, "invalid")),
        ("POST", f"{DISKS}/a/paint", {}, (404, "notFound")),
        ("GET", f"{DISKS}/a/setLabels", {}, (404, "notFound")),
        ("PUT", f"{DISKS}/a", {}, (404, "notFound")),
        ("GET", "/global/disks", None, (404, "notFound")),
        ("GET", "/zones/europe-west4-a/paintings", None, (404, "notFound")),
        ("GET", f"/zones/{ZONE}/operations/none", None, (404, "notFound")),
        ("DELETE", f"/zones/{ZONE}/machineTypes/e2-medium", None, (404, "notFound")),
    ],
    ids=str,
)
def test_requests_that_no_sdk_would_send(
    google: TestedGoogle, method: str, path: str, body: object, expected: tuple[int, str]
) -> None:
    assert reason(google.raw(method, path, body)) == expected


def test_another_project_is_not_there(google: TestedGoogle) -> None:
    with refused("notFound", "Failed to find project other", status=404):
        google.client(compute_v1.ProjectsClient).get(project="other")


def test_the_same_request_id_is_the_same_operation(google: TestedGoogle) -> None:
    first, again = insert(google, 1), insert(google, 1)
    assert first.name == again.name
    assert first.client_operation_id == request_id(1)
    google.good(first)
    assert insert(google, 1).name == first.name
    with refused("conflict", request_id(1), status=409):
        insert(google, 1, size_gb=11)
    with refused("alreadyExists", status=409):
        insert(google, 2)
    google.zonal(google.disks.delete_unary, disk="data")
    assert insert(google, 1).name == first.name
    with refused("notFound"):
        google.disks.get(project=google.project, zone=ZONE, disk="data")
    google.good(insert(google, 2))


@pytest.mark.parametrize("settings_changes", [{"latency": {"disks.insert": 10.0}}], ids=["slow"])
def test_an_operation_is_pending_then_running_then_done(google: TestedGoogle) -> None:
    status = compute_v1.Operation.Status
    operation = insert(google, 1)
    assert (operation.status, operation.progress, operation.operation_type) == (status.PENDING, 0, "insert")
    assert operation.user
    assert operation.target_link.endswith(f"{DISKS}/data")
    assert google.look(operation).status == status.RUNNING
    with refused("resourceNotReady"):
        google.zonal(google.disks.delete_unary, disk="data")
    google.clock.advance(10)
    client = google.client(compute_v1.ZoneOperationsClient)
    done = client.wait(project=google.project, zone=ZONE, operation=operation.name)
    assert (done.status, done.progress) == (status.DONE, 100)
    assert done.end_time
    with refused("notFound"):
        google.client(compute_v1.GlobalOperationsClient).get(project=google.project, operation=operation.name)


def test_the_places_and_tables(google: TestedGoogle) -> None:
    project = google.client(compute_v1.ProjectsClient).get(project=google.project)
    assert project.default_service_account == google.cloud.settings.default_account
    zones = google.client(compute_v1.ZonesClient)
    assert [each.name for each in zones.list(project=google.project)] == ["europe-west4-a", "europe-west4-b"]
    assert zones.get(project=google.project, zone=ZONE).region.endswith(REGION)
    region = google.client(compute_v1.RegionsClient).get(project=google.project, region=REGION)
    google.disk("data", size_gb=30)
    region = google.client(compute_v1.RegionsClient).get(project=google.project, region=REGION)
    assert {each.metric: each.usage for each in region.quotas}["DISKS_TOTAL_GB"] == 30
    types = google.client(compute_v1.MachineTypesClient)
    listed = {each.name: each for each in types.list(project=google.project, zone=ZONE)}
    assert types.get(project=google.project, zone=ZONE, machine_type="n2-standard-4") == listed["n2-standard-4"]
    assert (listed["t2a-standard-1"].architecture, listed["e2-medium"].maximum_persistent_disks) == ("ARM64", 16)
    with refused("notFound"):
        types.get(project=google.project, zone=ZONE, machine_type="n9-standard-4")
    kinds = google.client(compute_v1.DiskTypesClient).list(project=google.project, zone=ZONE)
    assert [each.name for each in kinds] == ["pd-balanced", "pd-ssd", "pd-standard"]
    subnetworks = google.client(compute_v1.SubnetworksClient)
    found = subnetworks.get(project=google.project, region=REGION, subnetwork="servers")
    assert (found.ip_cidr_range, found.gateway_address) == ("10.30.0.0/24", "10.30.0.1")
    networks = google.client(compute_v1.NetworksClient)
    assert networks.get(project=google.project, network="net").self_link == found.network


def test_every_answer_is_one_of_the_sdk(google: TestedGoogle) -> None:
    boot = google.disk("boot", labels={"run": "1"})
    resource = compute_v1.Snapshot(name="snap", source_disk=boot)
    google.good(google.snapshots.insert_unary(project=google.project, snapshot_resource=resource))
    address = compute_v1.Address(name="ip", address_type="INTERNAL", subnetwork=SUBNETWORK)
    google.good(google.addresses.insert_unary(project=google.project, region=REGION, address_resource=address))
    nics = [{"subnetwork": SUBNETWORK, "access_configs": [{"type_": "ONE_TO_ONE_NAT"}]}]
    google.create(google.machine("server", boot, network_interfaces=nics, service_accounts=[{"email": ACCOUNT}]))
    messages = {"disks": "Disk", "snapshots": "Snapshot", "addresses": "Address", "instances": "Instance",
                "networks": "Network", "subnetworks": "Subnetwork"}  # fmt: skip
    listing = google.cloud.listing()
    assert {name.split("/")[-2] for name in listing} == set(messages)
    for name, document in listing.items():
        assert checked_answer(messages[name.split("/")[-2]], document) == document
        status, shown = google.raw("GET", f"/{name.partition(google.project + '/')[2]}")
        assert (status, shown) == (200, document)
    tables = {"machineTypes": "MachineType", "diskTypes": "DiskType", "operations": "Operation"}
    lists = {"zones": "Zone", "regions": "Region"} | {f"zones/{ZONE}/{name}": each for name, each in tables.items()}
    for place, message in lists.items():
        for item in google.raw("GET", f"/{place}")[1]["items"]:
            assert checked_answer(message, item)
    assert checked_answer("Project", google.raw("GET", "")[1])


FAULTS = FaultPlan(
    rules=(
        FaultRule(service="compute", operation="instances.stop", nth=(1,), action=Throttle()),
        FaultRule(service="compute", operation="operations.get", nth=(1,), action=Deny()),
    )
)


@pytest.mark.parametrize("settings_changes", [{"faults": FAULTS}], ids=["faults"])
def test_faults_by_a_plan(google: TestedGoogle) -> None:
    with refused("forbidden", "Required 'compute.operations.get' permission", status=403):
        google.disk("boot")
    boot = f"zones/{ZONE}/disks/boot"
    google.create(google.machine("server", boot))
    with refused("rateLimitExceeded", status=403):
        google.stop("server")
    google.stop("server")
    assert [each.call.operation for each in google.cloud.fault_records] == ["operations.get", "instances.stop"]


def test_a_restart_finds_everything_and_ends_what_was_under_way(google: TestedGoogle) -> None:
    google.create(google.machine("server", google.disk("boot")))
    google.cloud.settings.latency["disks.insert"] = 60  # type: ignore[index]
    insert(google, 1)
    cloud = GoogleCompute(
        google.cloud.settings, driver=RecordingDriver(), verify={TOKEN: "me"}.get, objects=google.bucket
    )
    with cloud.serve() as url:
        again = TestedGoogle(cloud, url, google.bucket, clock=google.clock, driver=RecordingDriver(), gate=google.gate)
        assert again.get("server").status == "TERMINATED"
        assert again.disks.get(project=again.project, zone=ZONE, disk="data").status == "FAILED"
        again.zonal(again.disks.delete_unary, disk="data")
        again.zonal(again.instances.start_unary, instance="server")
