"""The hashes of an image's places: sparse blocks are zeros, a footer isn't counted, a disk is known by its id."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.aws.snapshots import EbsSnapshots
from failback.errors import LocalCloudError
from failback.model.report import Provenance
from failback.sinks.ebs import BLOCK
from localcloud.embedded.clouds import CloudSettings, run_clouds
from localcloud.embedded.image_hashes import GIB, disk_file, hash_file, hash_object, hash_snapshot, image_hashes
from tests.localcloud.azure.clients import RecordingDriver

if TYPE_CHECKING:
    from pathlib import Path

DISK = "/subscriptions/s/resourceGroups/home/providers/Microsoft.Compute/disks/client"


def test_a_snapshot_and_an_object_by_the_services_own_calls(tmp_path: Path) -> None:
    """Blocks at the beginning, in the middle and at the end; all between them was never written."""
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as disk:
        disk.truncate(GIB)
        for index in (0, 7, GIB // BLOCK - 1):
            disk.seek(index * BLOCK)
            disk.write(bytes([index % 251 + 1]) * BLOCK)
    iso = tmp_path / "client.iso"
    iso.write_bytes(b"an ISO")
    with run_clouds(CloudSettings(tmp_path / "clouds", iso, RecordingDriver())) as clouds:
        ebs, ec2, s3 = (clouds.client(name, s3={"addressing_style": "path"}) for name in ("ebs", "ec2", "s3"))
        snapshots: Any = EbsSnapshots(ebs, ec2)
        name = snapshots.start(size_gib=1, token="t", tags={})
        with raw.open("rb") as disk:
            for index in (0, 7, GIB // BLOCK - 1):
                disk.seek(index * BLOCK)
                snapshots.put(name, index, disk.read(BLOCK))
        snapshots.complete(name, blocks=3)
        assert hash_snapshot(ebs, ec2, name) == hash_file(raw)
        s3.create_bucket(Bucket="images")
        s3.put_object(Bucket="images", Key="client.vhd", Body=b"disk" * 1000 + b"footer")
        assert hash_object(s3, "images", "client.vhd", size=4000) == hashlib.sha256(b"disk" * 1000).hexdigest()


def test_a_disk_is_found_by_its_id_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        disk_file(tmp_path, DISK)
    resources = [{"document": {"id": DISK}, "hidden": {"file": "disks/one.raw"}}]
    (tmp_path / "resources.json").write_text(json.dumps(resources))
    assert disk_file(tmp_path, DISK.upper()) == tmp_path / "disks/one.raw"
    with pytest.raises(LocalCloudError, match=r"no disk .*/other"):
        disk_file(tmp_path, "/other")


def test_a_run_that_made_nothing_has_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match="has made no image"):
        image_hashes(Provenance(key="k"), lambda _service: None, bucket="images", azure=tmp_path)
