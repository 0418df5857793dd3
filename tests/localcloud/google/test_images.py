"""Images of real archives: what's taken, what it becomes, and what Google refuses."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from google.cloud import compute_v1

from tests.localcloud.google.clients import GIB, OLD_GNU, ZONE, TestedGoogle, archive, archive_of, refused, same_content

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.embedded
MIB = 1 << 20


def insert(google: TestedGoogle, source: str, name: str = "client", **fields: object) -> compute_v1.Operation:
    image = compute_v1.Image(name=name, raw_disk={"source": source, "container_type": "TAR"}, **fields)
    return google.images.insert_unary(project=google.project, image_resource=image)


def file_of(google: TestedGoogle, kind: str) -> Path:
    (found,) = (google.cloud.settings.folder / kind).iterdir()
    return found


@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "plain"])
def test_an_archive_of_gnu_tar_becomes_an_image_and_a_disk_of_it(
    google: TestedGoogle, tmp_path: Path, sparse: bool
) -> None:
    pieces = [(at, b"data at %d" % at) for at in (0, 5 * MIB, 900 * MIB + 512, GIB - 512)]
    data = archive(tmp_path / "raw", *pieces, options=OLD_GNU if sparse else ["--format=gnu"])
    source, raw = google.bucket.put("a.tar.gz", data), tmp_path / "raw" / "disk.raw"
    features: Any = [{"type_": "UEFI_COMPATIBLE"}]
    google.good(insert(google, source, guest_os_features=features, architecture="X86_64", labels={"run": "1"}))
    image = google.images.get(project=google.project, image="client")
    assert (image.status, image.disk_size_gb, image.source_type) == ("READY", 1, "RAW")
    assert file_of(google, "images").stat().st_size == GIB
    assert same_content(file_of(google, "images"), raw)
    assert file_of(google, "images").stat().st_blocks * 512 < 4 * MIB
    google.disk("boot", source_image="global/images/client", guest_os_features=[])
    disk = google.disks.get(project=google.project, zone=ZONE, disk="boot")
    assert (disk.size_gb, disk.architecture) == (10, "X86_64")
    assert [each.type_ for each in disk.guest_os_features] == ["UEFI_COMPATIBLE"]
    assert (disk.source_image, disk.source_image_id) == (image.self_link, str(image.id))
    assert file_of(google, "disks").stat().st_size == 10 * GIB
    assert same_content(raw, file_of(google, "disks"))


BAD = "The tar archive is not a valid image."


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"no gzip at all", BAD),
        (archive_of({"disk.raw": b""}), "isn't a multiple of 1 GB"),
        (archive_of({"disk.raw": bytes(MIB)}), "isn't a multiple of 1 GB"),
        (archive_of({"image/disk.raw": bytes(512)}), "named ''image/disk.raw''"),
        (archive_of({"manifest.json": b"{}", "disk.raw": b""}), "named ''manifest.json''"),
        (archive_of({"disk.raw": bytes(512)}, form=tarfile.USTAR_FORMAT), BAD),
        (archive_of({"disk.raw": bytes(512)}, form=tarfile.PAX_FORMAT), BAD),
        (archive_of({}), BAD),
    ],
    ids=["gzip", "empty", "size", "name", "manifest", "ustar", "pax", "nothing"],
)
def test_archives_that_google_refuses_leave_nothing(google: TestedGoogle, data: bytes, text: str) -> None:
    before = google.cloud.listing()
    google.failed(insert(google, google.bucket.put("a", data)), "INVALID", text)
    assert google.cloud.listing() == before
    assert list((google.cloud.settings.folder / "images").glob("*")) == []


def test_an_archive_that_is_cut_or_changed_or_has_a_second_file_is_refused(
    google: TestedGoogle, tmp_path: Path
) -> None:
    folder = tmp_path / "raw"
    whole = archive(folder, (MIB, b"content" * 1000))
    for bad in (whole[: len(whole) // 2], whole[:-6] + bytes(6)):
        google.failed(insert(google, google.bucket.put("a", bad)), "INVALID", BAD)
    (folder / "notes").write_text("x")
    two = archive(folder, more=["notes"])
    google.failed(insert(google, google.bucket.put("a", two)), "INVALID", "more than one file")
    assert list(google.images.list(project=google.project)) == []


def test_sources_and_fields_that_are_refused_at_once(google: TestedGoogle) -> None:
    for source in ("gs://images/a", "https://example.test/images/a", "https://storage.googleapis.com/images"):
        with refused("invalid", "rawDisk.source", status=400):
            insert(google, source)
    for source in ("https://storage.googleapis.com/images/none", "https://storage.googleapis.com/others/a"):
        with refused("notFound", status=404):
            insert(google, source)
    good = google.bucket.put("a", b"")
    with refused("invalid", "guestOsFeatures[0].type"):
        insert(google, good, guest_os_features=[{"type_": "uefi"}])
    with refused("invalid", "resource.name"):
        insert(google, good, name="Client")
    with refused("notEmulated", "sourceDisk"):
        insert(google, good, source_disk="zones/z/disks/d")
    with refused("required", "rawDisk.source"):
        google.images.insert_unary(project=google.project, image_resource=compute_v1.Image(name="client"))


def test_an_image_that_is_being_made_cannot_be_used(google: TestedGoogle, tmp_path: Path) -> None:
    google.cloud.settings.latency["images.insert"] = 60  # type: ignore[index]
    operation = insert(google, google.bucket.put("a", archive(tmp_path / "raw")))
    assert google.images.get(project=google.project, image="client").status == "PENDING"
    with refused("resourceNotReady", "projects/embedded-home/global/images/client"):
        google.disk("boot", source_image="global/images/client")
    with refused("resourceNotReady"):
        google.images.delete_unary(project=google.project, image="client")
    with refused("alreadyExists", status=409):
        insert(google, google.bucket.put("b", b""))
    google.clock.advance(60)
    google.good(operation)
    google.good(google.images.delete_unary(project=google.project, image="client"))
    with refused("notFound", status=404):
        google.images.get(project=google.project, image="client")
