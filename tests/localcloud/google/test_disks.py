"""Disks and snapshots by the real SDK: sizes, sources, labels, use, and what they pass on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from google.cloud import compute_v1

from tests.localcloud.google.clients import FEATURES, ZONE, TestedGoogle, refused

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.embedded


def get(google: TestedGoogle, name: str = "data") -> compute_v1.Disk:
    return google.disks.get(project=google.project, zone=ZONE, disk=name)


def snapshot(google: TestedGoogle, name: str = "snap", disk: str = "data", **fields: object) -> compute_v1.Operation:
    resource = compute_v1.Snapshot(name=name, **fields)
    return google.disks.create_snapshot_unary(project=google.project, zone=ZONE, disk=disk, snapshot_resource=resource)


def file_of(google: TestedGoogle, disk: str) -> Path:
    path = f"projects/{google.project}/zones/{ZONE}/disks/{disk}"
    with google.cloud._state.lock:
        found = google.cloud._state.find(path)
        assert found is not None
        return google.cloud.settings.folder / str(found.hidden["file"])


def test_a_disk_has_what_was_asked_for_and_what_google_fills_in(google: TestedGoogle) -> None:
    kind = f"projects/{google.project}/zones/{ZONE}/diskTypes/pd-balanced"
    google.disk("data", size_gb=12, type_=kind, labels={"run": "1"}, architecture="X86_64", description="mine")
    disk = get(google)
    assert (disk.size_gb, disk.status, disk.architecture, disk.description) == (12, "READY", "X86_64", "mine")
    assert disk.type_.endswith("/diskTypes/pd-balanced")
    assert tuple(each.type_ for each in disk.guest_os_features) == FEATURES
    assert disk.self_link == f"https://www.googleapis.com/compute/v1/{kind.partition('/diskTypes')[0]}/disks/data"
    assert len(str(disk.id)) == 19
    assert file_of(google, "data").stat().st_size == 12 << 30
    google.disk("plain", size_gb=None)
    assert get(google, "plain").size_gb == 500
    assert get(google, "plain").type_.endswith("/pd-standard")
    google.zonal(google.disks.delete_unary, disk="data")
    with refused("notFound", "disks/data' was not found", status=404):
        get(google)
    with refused("notFound", status=404):
        google.disks.delete_unary(project=google.project, zone=ZONE, disk="data")


@pytest.mark.parametrize(
    ("fields", "reason", "text"),
    [
        ({"size_gb": 9}, "invalid", "resource.sizeGb"),
        ({"size_gb": 70000}, "invalid", "resource.sizeGb"),
        ({"type_": "pd-ssd"}, "invalid", "malformed"),
        ({"type_": f"zones/{ZONE}/diskTypes/pd-none"}, "notFound", "pd-none"),
        ({"type_": "zones/europe-west4-b/diskTypes/pd-ssd"}, "notFound", "europe-west4-b"),
        ({"labels": {"drs-failback:run": "1"}}, "invalid", "Label key"),
        ({"labels": {"run": "Big"}}, "invalid", "Label value"),
        ({"source_image": "global/images/none"}, "notFound", "images/none"),
        ({"source_image": "global/snapshots/none"}, "invalid", "malformed"),
        ({"provisioned_iops": 3}, "notEmulated", "provisionedIops"),
        ({"architecture": "arm"}, "invalid", "architecture"),
        ({"name": "1disk"}, "invalid", "resource.name"),
        ({"name": "a" * 64}, "invalid", "resource.name"),
        ({"name": "data-"}, "invalid", "resource.name"),
    ],
    ids=str,
)
def test_disks_that_are_refused_leave_nothing(
    google: TestedGoogle, fields: dict[str, Any], reason: str, text: str
) -> None:
    before = google.cloud.listing()
    disk = compute_v1.Disk(**({"name": "data", "size_gb": 10} | fields))
    with refused(reason, text):
        google.disks.insert_unary(project=google.project, zone=ZONE, disk_resource=disk)
    assert google.cloud.listing() == before
    assert list((google.cloud.settings.folder / "disks").glob("*")) == []


def test_snapshots_keep_a_moment_and_pass_on_what_a_disk_is(google: TestedGoogle) -> None:
    google.disk("data", architecture="X86_64")
    with file_of(google, "data").open("r+b") as file:
        file.write(b"first")
    operation = snapshot(google, labels={"run": "1"})
    assert operation.zone.endswith(ZONE)
    assert operation.target_link == get(google).self_link
    with file_of(google, "data").open("r+b") as file:
        file.write(b"later")
    google.good(operation)
    found = google.snapshots.get(project=google.project, snapshot="snap")
    assert (found.status, found.disk_size_gb, found.source_disk) == ("READY", 10, get(google).self_link)
    google.zonal(google.disks.delete_unary, disk="data")
    google.disk("copy", source_snapshot=found.self_link, guest_os_features=[{"type_": "WINDOWS"}], size_gb=None)
    assert [each.type_ for each in get(google, "copy").guest_os_features] == [*FEATURES, "WINDOWS"]
    assert get(google, "copy").architecture == "X86_64"
    with file_of(google, "copy").open("rb") as file:
        assert os.pread(file.fileno(), 5, 0) == b"first"
    with refused("invalid", "The source is X86_64"):
        google.disk("other", source_snapshot=found.self_link, architecture="ARM64")
    google.disk("clone", source_disk=f"zones/{ZONE}/disks/copy", size_gb=None)
    assert get(google, "clone").source_disk_id == str(get(google, "copy").id)
    google.good(google.snapshots.delete_unary(project=google.project, snapshot="snap"))
    assert list(google.snapshots.list(project=google.project)) == []


def test_snapshots_by_their_own_insert_are_global(google: TestedGoogle) -> None:
    source = google.disk("data")
    resource = compute_v1.Snapshot(name="snap", source_disk=source)
    operation = google.snapshots.insert_unary(project=google.project, snapshot_resource=resource)
    assert not operation.zone
    google.good(operation)
    with refused("alreadyExists", status=409):
        google.snapshots.insert_unary(project=google.project, snapshot_resource=resource)
    google.disk("large", size_gb=20)
    google.good(snapshot(google, "big", "large"))
    with refused("invalid", "cannot be smaller than the snapshot size"):
        google.disk("small", source_snapshot="global/snapshots/big")


def test_a_disk_only_grows(google: TestedGoogle) -> None:
    google.disk("data")
    for size in (10, 9):
        body = compute_v1.DisksResizeRequest(size_gb=size)
        with refused("invalid", "must be larger than existing size '10' GB"):
            google.disks.resize_unary(
                project=google.project, zone=ZONE, disk="data", disks_resize_request_resource=body
            )
    body = compute_v1.DisksResizeRequest(size_gb=11)
    google.zonal(google.disks.resize_unary, disk="data", disks_resize_request_resource=body)
    assert get(google).size_gb == 11
    assert file_of(google, "data").stat().st_size == 11 << 30


def test_labels_need_the_present_fingerprint(google: TestedGoogle) -> None:
    google.disk("data", labels={"run": "1"})
    before = get(google).label_fingerprint

    def set_to(value: str, fingerprint: str) -> None:
        body = compute_v1.ZoneSetLabelsRequest(labels={"run": value}, label_fingerprint=fingerprint)
        google.zonal(google.disks.set_labels_unary, resource="data", zone_set_labels_request_resource=body)

    set_to("2", before)
    assert dict(get(google).labels) == {"run": "2"}
    for stale in (before, ""):
        with refused("conditionNotMet", "fingerprint", status=412):
            set_to("3", stale)
    set_to("3", get(google).label_fingerprint)


def test_lists_are_filtered_and_paged(google: TestedGoogle) -> None:
    for number in range(5):
        google.disk(f"data-{number}", labels={"drs-failback-run": "odd" if number % 2 else "even", "n": str(number)})

    def names(text: str, most: int = 500) -> list[str]:
        request = compute_v1.ListDisksRequest(project=google.project, zone=ZONE, filter=text, max_results=most)
        return [each.name for each in google.disks.list(request=request)]

    assert names("labels.drs-failback-run=odd") == ["data-1", "data-3"]
    assert names('(labels.drs-failback-run = "even") (labels.n != 0)', most=1) == ["data-2", "data-4"]
    assert names("labels.n:* AND name eq data-[12]") == ["data-1", "data-2"]
    assert names("labels.none:*") == []
    assert names("", most=2) == [f"data-{number}" for number in range(5)]
    assert names("sizeGb=10 AND status != READY") == []
    for bad, reason in (("labels", "invalid"), ("(name=a", "invalid"), ("name=a OR name=b", "notEmulated")):
        with refused(reason):
            names(bad)


@pytest.mark.parametrize("settings_changes", [{"quotas": {"DISKS_TOTAL_GB": 100}}], ids=["100"])
def test_quotas_are_kept(google: TestedGoogle) -> None:
    google.disk("data", size_gb=90)
    with refused("quotaExceeded", "DISKS_TOTAL_GB", status=403):
        google.disk("more", size_gb=11)
    google.disk("other", size_gb=600, type_=f"zones/{ZONE}/diskTypes/pd-ssd")
