"""Client images on an embedded Google Cloud: sent in slices, made, found, marked; and what's in the way."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.google.images import WAIT, GoogleImages
from failback.clouds.google.upload import Slice
from failback.errors import CloudBusy, CloudRefused, FailbackError, ImportFailed
from failback.naming import RUN_TAG, image_name
from localcloud.google.operations import Fault
from localcloud.google.state import ResourceId
from tests.clouds.google.services import BUCKET, client_image, services
from tests.home.memory import MemoryContent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from failback.clouds.google.connection import GoogleHome
    from failback.home_ports import ImageImport
    from failback.model.run import HomeImage
    from tests.clouds.google.services import Services

KEY, TAGS = "0123456789abcdef0123", {RUN_TAG: "run-1"}
NAME = image_name(KEY)


@pytest.fixture
def google(tmp_path: Path) -> Iterator[Services]:
    """All services."""
    with services(tmp_path) as embedded:
        yield embedded


def images_of(home: GoogleHome) -> GoogleImages:
    """With slices of two parts of 256 KiB each."""
    limits = Slice(size=512 << 10, part=256 << 10)
    return replace(home.images, slice=limits, backoff=lambda _: 0.0)


def brought(images: GoogleImages, content: MemoryContent, cursor: Mapping[str, Any] | None = None) -> HomeImage:
    """Brought home, in as many calls as it takes: Compute reads the archive beside, in its own time."""
    step = images.advance(KEY, content, cursor=cursor or {}, tags=TAGS)
    for _ in looks():
        if step.image is not None:
            return step.image
        step = images.advance(KEY, content, cursor=step.cursor, tags=TAGS)
    raise AssertionError(step)


def looks() -> Iterator[None]:
    """A look each hundredth of a second, for ten seconds at most."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        yield
        time.sleep(0.01)


def until(images: GoogleImages, content: MemoryContent, word: str) -> ImageImport:
    """Brought as far as that the cursor has a word."""
    step = images.advance(KEY, content, cursor={}, tags=TAGS)
    while word not in step.cursor:
        step = images.advance(KEY, content, cursor=step.cursor, tags=TAGS)
    return step


def translated(home: GoogleHome, call: Any) -> Exception:  # noqa: ANN401 - any call
    """What a call ends with, in our words."""
    with pytest.raises((FailbackError, *home.foreign)) as caught:
        call()
    error = caught.value
    assert isinstance(error, Exception)
    return home.translate(error) if isinstance(error, home.foreign) else error


def test_an_image_is_brought_home(google: Services) -> None:
    home, content = google.connect(), client_image()
    images = images_of(home)
    assert images.format() == "gce"
    assert images.find(KEY) is None
    first = images.advance(KEY, content, cursor={}, tags=TAGS)
    assert (first.image, first.cursor, first.sent, first.total) == (None, {"next": 512 << 10}, 512 << 10, content.size)
    image = brought(images, content, first.cursor)
    assert image.id == f"projects/office-home/global/images/{NAME}"
    assert (image.name, image.key, image.tested) == (NAME, KEY, False)
    assert images.find(KEY) == image
    assert google.names() == []
    made = home.place.image(NAME)
    assert made is not None
    assert [each.type_ for each in made.guest_os_features] == ["VIRTIO_SCSI_MULTIQUEUE"]
    assert (made.architecture, made.storage_locations, made.disk_size_gb) == ("X86_64", ["europe-west3"], 1)
    assert dict(made.labels) == {"drs-failback-run": "run-1", "drs-failback-image": KEY}
    assert images.advance(KEY, content, cursor={}, tags=TAGS).image == image


def test_a_boot_test_is_noted_once_and_for_all(google: Services) -> None:
    images = images_of(google.connect())
    image = brought(images, client_image())
    assert images.note_test(image, "AGENT READY 1.0").tested
    found = images.find(KEY)
    assert found is not None
    assert found.tested
    label = google.compute.listing()[f"projects/office-home/global/images/{NAME}"]["labels"]["drs-failback-tested"]
    assert "agent_ready_1_0" in label
    google.compute.administrator.act("DELETE", f"projects/office-home/global/images/{NAME}")
    with pytest.raises(ImportFailed, match="isn't in the project"):
        images.note_test(image, "again")


def test_labels_that_change_meanwhile_are_busy(google: Services) -> None:
    images = images_of(google.connect())
    image = brought(images, client_image())
    google.compute.fail_next(Fault("images.setLabels", 412, "conditionNotMet", "Labels fingerprint"))
    with pytest.raises(CloudBusy):
        images.note_test(image, "mark")


def test_one_that_s_being_made_is_waited_for(tmp_path: Path) -> None:
    content = client_image()
    with services(tmp_path, latency={"images.insert": 60}) as google:
        images = images_of(google.connect())
        step = until(images, content, "operation")
        assert step.wait_seconds == WAIT
        assert images.find(KEY) is None
        assert f"images/{KEY}/part-00000" in google.names()
        again = images.advance(KEY, content, cursor=step.cursor, tags=TAGS)
        assert (again.image, again.cursor, again.wait_seconds) == (None, step.cursor, WAIT)
        assert google.names() == [f"images/{KEY}/client.tar.gz"]
        before = {key: value for key, value in step.cursor.items() if key != "operation"}
        repeated = images.advance(KEY, content, cursor=before, tags=TAGS)
        assert (repeated.image, repeated.cursor, repeated.wait_seconds) == (None, before, WAIT)
        google.clock.advance(61)
        assert brought(images, content, step.cursor) == images.find(KEY)


def test_every_call_may_be_lost(google: Services) -> None:
    images, content = images_of(google.connect()), client_image()
    cursor: Mapping[str, Any] = {}
    for _ in looks():
        images.advance(KEY, content, cursor=cursor, tags=TAGS)
        step = images.advance(KEY, content, cursor=cursor, tags=TAGS)
        if step.image is not None:
            break
        cursor = step.cursor
    assert images.find(KEY) is not None
    assert google.names() == []


def test_a_lost_part_or_whole_begins_over(google: Services) -> None:
    home, content = google.connect(), client_image()
    images, bucket = images_of(home), home.place.clients.storage.bucket(BUCKET)
    bucket.delete_blobs(list(bucket.list_blobs()))
    step = images.advance(KEY, content, cursor={"next": content.size}, tags=TAGS)
    assert (step.image, step.cursor, step.sent) == (None, {}, 0)
    step = until(images, content, "whole")
    bucket.delete_blobs(list(bucket.list_blobs()))
    step = images.advance(KEY, content, cursor=step.cursor, tags=TAGS)
    assert (step.image, step.cursor, step.sent) == (None, {}, 0)
    assert brought(images, content, step.cursor)


def test_a_damaged_archive_is_told(google: Services) -> None:
    home = google.connect()
    images, content = images_of(home), MemoryContent(4096, {0: bytes(4096)})
    step = until(images, content, "operation")
    with pytest.raises(ImportFailed, match="export"):
        brought(images, content, step.cursor)
    # Another run isn't kept from trying what's whole.
    assert brought(images, client_image())


def test_a_quota_is_told_as_such(google: Services) -> None:
    home, content = google.connect(), client_image()
    images = images_of(home)
    step = until(images, content, "whole")
    google.compute.fail_next(Fault("images.insert", 403, "QUOTA_EXCEEDED", "Quota 'IMAGES' exceeded.", at_once=False))
    error = translated(home, lambda: brought(images, content, step.cursor))
    assert isinstance(error, CloudRefused)
    assert "machine_type" in str(error)


def test_one_that_failed_is_made_anew(google: Services) -> None:
    images, content = images_of(google.connect()), client_image()
    step = until(images, content, "operation")
    ends = time.monotonic() + 10
    while images.find(KEY) is None:
        assert time.monotonic() < ends
        time.sleep(0.01)
    document = google.compute.administrator.state.get(ResourceId("office-home", "global", "images", NAME)).document
    document["status"] = "FAILED"
    assert images.find(KEY) is None
    again = images.advance(KEY, content, cursor=step.cursor, tags=TAGS)
    assert (again.image, again.cursor, again.wait_seconds) == (None, {}, WAIT)
    assert brought(images, content, again.cursor)


def test_one_that_s_removed_while_it_s_made_is_begun_over(google: Services) -> None:
    images, content = images_of(google.connect()), client_image()
    step = until(images, content, "operation")
    assert images.find(KEY) or brought(images, content, step.cursor)
    google.compute.administrator.act("DELETE", f"projects/office-home/global/images/{NAME}")
    again = images.advance(KEY, content, cursor=step.cursor, tags=TAGS)
    assert (again.image, again.cursor, again.sent) == (None, {}, 0)
    assert brought(images, content, again.cursor)


def test_a_failure_of_one_that_s_left_is_told(google: Services) -> None:
    images, content = images_of(google.connect()), client_image()
    google.compute.fail_next(Fault("images.insert", 400, "INVALID_USAGE", "not a valid image", at_once=False))
    step = until(images, content, "operation")
    place = ResourceId("office-home", "global", "images", NAME)
    state, ends = google.compute.administrator.state, time.monotonic() + 10
    while str(place) in google.compute.listing():
        assert time.monotonic() < ends
        time.sleep(0.01)
    document = {"status": "FAILED", "labels": {"drs-failback-image": KEY, "drs-failback-run": "run-1"}}
    state.add(state.new(place, document, kind="image"))
    with pytest.raises(ImportFailed, match="not a valid image"):
        images.advance(KEY, content, cursor=step.cursor, tags=TAGS)


def test_one_that_another_run_begins_is_looked_at_again(google: Services) -> None:
    images, content = images_of(google.connect()), client_image()
    step = until(images, content, "whole")
    google.compute.fail_next(Fault("images.insert", 409, "alreadyExists", "there"))
    again = images.advance(KEY, content, cursor=step.cursor, tags=TAGS)
    assert (again.image, again.cursor, again.wait_seconds) == (None, step.cursor, WAIT)


def test_somebody_else_s_image_in_the_way_stays(google: Services) -> None:
    home, content = google.connect(), client_image()
    images = images_of(home)
    administrator = google.compute.administrator
    step = until(images, content, "whole")
    bucket = home.place.clients.storage.bucket(BUCKET)
    (blob,) = [each for each in bucket.list_blobs() if each.name.endswith("tar.gz")]
    source = f"https://storage.googleapis.com/{BUCKET}/{blob.name}"
    administrator.insert("global", "images", {"name": NAME, "rawDisk": {"source": source}})
    assert images.find(KEY) is None
    with pytest.raises(ImportFailed, match="in the way"):
        images.advance(KEY, content, cursor=step.cursor, tags=TAGS)
    assert home.place.image(NAME) is not None
