"""Runs with a client ISO that can't be used: the fault is told by its name, and nothing stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localcloud.embedded.iso_bucket import HASH_KEY, ISO_KEY, iso_buckets
from tests.client_iso import DRIVERS, NETWORK, ClientIso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.localcloud.runs.place import Place

ISOS, HASHES = iso_buckets("us-east-1")
UNSUITABLE = {
    "NoLiveImage": ClientIso(without=("LiveOS/squashfs.img",)),
    "BootFileMissing": ClientIso(without=("isolinux/vmlinuz",)),
    "DriverMissing": ClientIso(
        drivers=tuple(each for each in DRIVERS if each != "hv_storvsc"),
        root_drivers=tuple(each for each in (*DRIVERS, *NETWORK) if each != "hv_storvsc"),
    ),
    "ClientStartUnknown": ClientIso(start_script=""),
    "AgentToolsMissing": ClientIso(tools=()),
    "InitrdUnsuitable": ClientIso(live_module=False),
    "ClientUnsuitable": ClientIso(start_script="", tools=()),
}


@pytest.fixture(autouse=True)
def _published_again(place: Place, iso: Path) -> Iterator[None]:
    yield
    place.publish(iso)


@pytest.mark.parametrize("error", UNSUITABLE, ids=list(UNSUITABLE))
def test_an_iso_that_cannot_become_a_client_image_is_refused_by_name(place: Place, error: str, tmp_path: Path) -> None:
    place.publish(UNSUITABLE[error].write(tmp_path))
    assert_failed(place, f"iso-{error}", "build_image", error)


def test_what_is_no_iso_at_all_is_refused(place: Place, tmp_path: Path) -> None:
    image = tmp_path / "not.iso"
    image.write_bytes(b"not an ISO " * 40_000)
    place.publish(image)
    assert_failed(place, "no-iso", "build_image", "NotAnIso")


def test_a_cut_off_iso_is_refused(place: Place, iso: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.iso"
    content = iso.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    place.publish(cut)
    assert_failed(place, "cut-iso", "build_image", "IsoTruncated")


def test_a_hash_that_does_not_fit_is_seen_after_the_copy(place: Place, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.sha512"
    wrong.write_text("0" * 128, encoding="ascii")
    put(place, HASHES, HASH_KEY, wrong)
    cause = assert_failed(place, "wrong-hash", "fetch_iso", "HashMismatch")
    assert place.clouds.iso_sha512 in cause


@pytest.mark.parametrize(("bucket", "key"), [(ISOS, ISO_KEY), (HASHES, HASH_KEY)], ids=["iso", "hash"])
def test_an_iso_that_is_not_published_is_named(place: Place, bucket: str, key: str) -> None:
    found = place.clouds.object_store.find(bucket)
    assert found is not None
    found.delete(key)
    cause = assert_failed(place, f"absent-{key.rpartition('.')[2]}", "find_client_image", "IsoNotPublished")
    assert f"s3://{bucket}/{key}" in cause


def put(place: Place, bucket: str, key: str, content: Path) -> None:
    """Publish another object under that key."""
    from localcloud.objects.store import put_file

    found = place.clouds.object_store.find(bucket)
    assert found is not None
    put_file(found, key, content)


def assert_failed(place: Place, name: str, stage: str, error: str) -> str:
    """The run fails there by that error and leaves nothing; gives the cause."""
    before = place.listing()
    told = place.run(name)
    assert (told["status"], told["error"]) == ("FAILED", error), told
    cause: str = told["cause"]
    assert cause.startswith(f"{stage}: ")
    assert place.listing() == before
    report = place.report(name)
    assert report["given_back"]["left"] == []
    return cause
