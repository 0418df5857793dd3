"""The hashes of an image's places: sparse blocks are zeros, what's around a disk isn't counted, ids name disks."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.aws.snapshots import EbsSnapshots
from failback.errors import LocalCloudError
from failback.model.report import Provenance
from failback.model.run import Ami, ExportedImage, HomeImage
from failback.sinks.ebs import BLOCK
from localcloud.embedded.clouds import CloudSettings, run_clouds
from localcloud.embedded.image_hashes import (
    GIB,
    disk_file,
    hash_archived,
    hash_file,
    hash_object,
    hash_snapshot,
    image_hashes,
)
from tests.localcloud.azure.clients import RecordingDriver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.embedded.clouds import Client

DISK = "/subscriptions/s/resourceGroups/home/providers/Microsoft.Compute/disks/client"
IMAGE = "projects/p/global/images/client"
WRITTEN = (0, 7, GIB // BLOCK - 1)
"""Blocks at the beginning, in the middle and at the end; all between them was never written."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """What makes a client of a service of AWS, where there's a bucket."""
    folder = tmp_path_factory.mktemp("clouds")
    iso = folder / "client.iso"
    iso.write_bytes(b"an ISO")
    with run_clouds(CloudSettings(folder / "clouds", iso, RecordingDriver())) as clouds:

        def make(name: str) -> Client:
            return clouds.client(name, s3={"addressing_style": "path"})

        make("s3").create_bucket(Bucket="images")
        yield make


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk."""
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    with path.open("wb") as disk:
        disk.truncate(GIB)
        for index in WRITTEN:
            disk.seek(index * BLOCK)
            disk.write(bytes([index % 251 + 1]) * BLOCK)
    return path


@pytest.fixture(scope="module")
def snapshot(client: Client, raw: Path) -> str:
    """A snapshot with what's on the disk."""
    snapshots: Any = EbsSnapshots(client("ebs"), client("ec2"))
    name: str = snapshots.start(size_gib=1, token="t", tags={})
    with raw.open("rb") as disk:
        for index in WRITTEN:
            disk.seek(index * BLOCK)
            snapshots.put(name, index, disk.read(BLOCK))
    snapshots.complete(name, blocks=len(WRITTEN))
    return name


def archive(disk: Path, target: Path, *more: str) -> bytes:
    """What GNU tar makes of it: sparse; with other files of the same content behind it, if there are names for them."""
    for name in more:
        disk.with_name(name).hardlink_to(disk)
    command = ["tar", "--format=oldgnu", "--hard-dereference", "-Sczf", str(target), "-C", str(disk.parent), disk.name]
    subprocess.run([*command, *more], check=True, timeout=120)
    return target.read_bytes()


def test_a_snapshot_and_an_object_by_the_services_own_calls(client: Client, raw: Path, snapshot: str) -> None:
    assert hash_snapshot(client("ebs"), client("ec2"), snapshot) == hash_file(raw)
    client("s3").put_object(Bucket="images", Key="client.vhd", Body=b"disk" * 1000 + b"footer")
    wanted = hashlib.sha256(b"disk" * 1000).hexdigest()
    assert hash_object(client("s3"), "images", "client.vhd", size=4000) == wanted


def test_a_runs_image_at_google_is_the_same_in_every_place(
    client: Client, raw: Path, snapshot: str, tmp_path: Path
) -> None:
    stored = archive(raw, tmp_path / "made.tar.gz")
    client("s3").put_object(Bucket="images", Key="client.tar.gz", Body=stored)
    (tmp_path / "resources.json").write_text(json.dumps([{"id": IMAGE, "document": {}, "hidden": {"file": "1.raw"}}]))
    (tmp_path / "1.raw").write_bytes(b"another")
    found = image_hashes(provenance(snapshot, size=len(stored)), client, bucket="images", google=tmp_path)
    assert found == {
        f"snapshot {snapshot} of ami-1": hash_file(raw),
        "object client.tar.gz": hash_file(raw),
        "image client": hashlib.sha256(b"another").hexdigest(),
    }


def provenance(snapshot: str, *, size: int) -> Provenance:
    return Provenance(
        key="k",
        ami=Ami(id="ami-1", name="client", snapshot=snapshot, size_gib=1),
        export=ExportedImage(key="client.tar.gz", format="gce", size=size, disk_size=GIB, data_blocks=""),
        image=HomeImage(id=IMAGE, name="client", key="k"),
    )


def test_an_archive_of_something_else_is_refused(client: Client, raw: Path, tmp_path: Path) -> None:
    s3 = client("s3")
    s3.put_object(Bucket="images", Key="small", Body=archive(raw, tmp_path / "small"))
    with pytest.raises(LocalCloudError, match=r"The archive small should hold disk\.raw of 4,000 bytes"):
        hash_archived(s3, "images", "small", size=4000)
    s3.put_object(Bucket="images", Key="two", Body=archive(raw, tmp_path / "two", "more"))
    with pytest.raises(LocalCloudError, match=r"nothing else; it holds .*'more', 1073741824"):
        hash_archived(s3, "images", "two", size=GIB)


@pytest.mark.parametrize(
    ("disk", "record"),
    [
        (DISK, {"id": ["s", "home"], "document": {"id": DISK.lower()}}),
        (IMAGE, {"id": IMAGE, "document": {"id": "4711"}}),
    ],
    ids=["azure", "google"],
)
def test_a_disk_is_found_by_its_id_alone(tmp_path: Path, disk: str, record: dict[str, Any]) -> None:
    with pytest.raises(FileNotFoundError):
        disk_file(tmp_path, disk)
    (tmp_path / "resources.json").write_text(json.dumps([{**record, "hidden": {"file": "disks/one.raw"}}]))
    assert disk_file(tmp_path, disk) == tmp_path / "disks/one.raw"
    with pytest.raises(LocalCloudError, match=r"no disk .*/other"):
        disk_file(tmp_path, "/other")


def test_a_run_that_made_nothing_has_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="has made no image"):
        image_hashes(Provenance(key="k"), lambda _service: None, bucket="images", azure=tmp_path)
