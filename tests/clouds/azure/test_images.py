"""Uploads to the embedded Azure: what goes wrong on the way, and that no access outlives it."""

from __future__ import annotations

import hashlib
import logging
import traceback
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.azure import disk_access, images
from failback.clouds.azure.images import TESTED_TAG, WHOLE_TAG, AzureImages, Slice
from failback.clouds.azure.pages import PageWriter
from failback.clouds.azure.place import settled
from failback.clouds.azure.variants import make_disk
from failback.errors import CloudBusy, FailbackError, ImportFailed
from failback.naming import IMAGE_TAG, RUN_TAG, image_name
from localcloud.azure.operations import Fault
from localcloud.faults import FaultPlan, FaultRule, Lose, Status, Throttle
from tests.clouds.azure.embedded import GIB, MIB, EmbeddedHome, client_image, embedded_home, small_image
from tests.home.memory import MemoryContent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from failback.home_ports import ImageContent, ImageImport

pytestmark = pytest.mark.embedded

KEY = "0123456789abcdef0123"
NAME = image_name(KEY)
TAGS = {RUN_TAG: "run-1", IMAGE_TAG: KEY}


def advance(azure: EmbeddedHome, content: ImageContent, **cursor: int) -> ImageImport:
    """One call; an error comes out as the doorway would tell it."""
    try:
        return impatient(azure).advance(KEY, content, cursor=cursor, tags=TAGS)
    except azure.home.foreign as error:
        raise azure.home.translate(error) from None


def impatient(azure: EmbeddedHome) -> AzureImages:
    """The same images, without waits between attempts."""
    return replace(azure.home.images, backoff=lambda attempt: 0.001)


def sliced(azure: EmbeddedHome, size: int) -> AzureImages:
    return replace(azure.home.images, slice=Slice(size=size))


@dataclass(frozen=True)
class Failing:
    """Content whose reads fail from `after` on."""

    inner: MemoryContent
    after: int
    error: Exception = field(default_factory=lambda: FailbackError("the bucket is gone"))

    @property
    def size(self) -> int:
        return self.inner.size

    def ranges(self, first: int = 0) -> Iterator[tuple[int, int]]:
        return self.inner.ranges(first)

    def read(self, offset: int, length: int) -> bytes:
        if offset >= self.after:
            raise self.error
        return self.inner.read(offset, length)


def test_the_disk_is_made_as_its_target_says(azure: EmbeddedHome) -> None:
    step = advance(azure, small_image())
    assert step.image is not None
    disk = azure.document(NAME)
    assert disk["tags"] == TAGS | {WHOLE_TAG: str(20 * MIB)}
    assert disk["sku"]["name"] == "StandardSSD_LRS"
    properties = disk["properties"]
    assert (properties["osType"], properties["hyperVGeneration"]) == ("Linux", "V1")
    assert properties["networkAccessPolicy"] == "AllowAll"
    assert properties["diskState"] == "Unattached"
    assert azure.active_access() == 0
    tested = azure.home.images.note_test(step.image, "ready " + "x" * 400)
    note = azure.document(NAME)["tags"][TESTED_TAG]
    assert note.startswith(azure.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ ready x"))
    assert len(note) == 256
    assert azure.home.images.find(KEY) == tested


def test_a_call_that_was_killed_costs_its_slice_and_nothing_else(azure: EmbeddedHome) -> None:
    """The killed call left its access open and pages written that nobody knows of; the next one ends all of that."""
    content, some = client_image(), sliced(azure, 3 * MIB)
    first = some.advance(KEY, content, cursor={}, tags=TAGS)
    place = azure.home.place
    # What a call does before it's killed.
    data: Any = {"access": "Write", "durationInSeconds": 600}
    url = place.compute.disks.begin_grant_access("home", NAME, data).result().access_sas
    with PageWriter(str(url), connections=1) as pages:
        pages.write(4 * MIB, content.read(4 * MIB, MIB))
    assert azure.active_access() == 1
    step = first
    while step.image is None:
        step = some.advance(KEY, content, cursor=step.cursor, tags=TAGS)
    assert azure.active_access() == 0
    assert hashlib.sha256(azure.disk_bytes(NAME)).digest() == hashlib.sha256(content.whole()[:-512]).digest()


def test_between_slices_the_access_runs_out_by_itself_and_the_upload_goes_on(azure: EmbeddedHome) -> None:
    content, some = client_image(), sliced(azure, 3 * MIB)
    first = some.advance(KEY, content, cursor={}, tags=TAGS)
    assert set(first.cursor) == {"next"}
    azure.clock.advance(disk_access.ACCESS_SECONDS + 1)
    assert azure.active_access() == 0
    assert azure.document(NAME)["properties"]["diskState"] in images.AWAITING
    step = first
    while step.image is None:
        step = some.advance(KEY, content, cursor=step.cursor, tags=TAGS)
    assert azure.disk_bytes(NAME) == content.whole()[:-512]
    assert azure.active_access() == 0


def test_a_slice_ends_by_the_clock_too(azure: EmbeddedHome) -> None:
    content = client_image()

    class Slow(MemoryContent):
        def ranges(self, first: int = 0) -> Iterator[tuple[int, int]]:
            for piece in super().ranges(first):
                yield piece
                azure.clock.advance(59)

    step = advance(azure, Slow(content.size, content.parts))
    assert step.image is None
    assert 0 < step.sent < step.total


@pytest.mark.parametrize(
    "error", [FailbackError("the bucket is gone"), KeyboardInterrupt()], ids=["error", "interrupt"]
)
def test_whatever_ends_a_call_ends_the_access_and_the_next_call_begins_over(
    azure: EmbeddedHome, error: Exception
) -> None:
    content = client_image()
    with pytest.raises(type(error)):
        advance(azure, Failing(content, 4 * MIB, error))
    assert azure.active_access() == 0
    assert azure.home.images.find(KEY) is None
    # Ended halfway the disk can't be written to any more: it goes, and another one comes.
    step = advance(azure, content)
    assert (step.image, step.cursor, step.wait_seconds > 0) == (None, {}, True)
    assert advance(azure, content, next=4 * MIB).image is not None
    assert azure.disk_bytes(NAME) == content.whole()[:-512]


def test_an_image_with_a_bad_footer_is_refused_and_goes_with_the_next_call(azure: EmbeddedHome) -> None:
    with pytest.raises(ImportFailed, match="footer"):
        advance(azure, client_image(good_footer=False))
    assert azure.active_access() == 0
    assert azure.home.images.find(KEY) is None
    assert advance(azure, client_image()).wait_seconds > 0
    assert azure.names() == set()


def test_a_refused_access_is_told_with_advice(azure: EmbeddedHome) -> None:
    azure.cloud.fail_next(Fault("disks/beginGetAccess", 409, "OperationNotAllowed", "networkAccessPolicy is DenyAll."))
    with pytest.raises(FailbackError, match="uploads need AllowAll"):
        advance(azure, small_image())
    assert azure.active_access() == 0


def test_where_azure_gives_no_second_access_the_upload_begins_over(azure: EmbeddedHome) -> None:
    content = client_image()
    first = sliced(azure, 3 * MIB).advance(KEY, content, cursor={}, tags=TAGS)
    azure.cloud.fail_next(Fault("disks/beginGetAccess", 409, "OperationNotAllowed", "There's an active one."))
    with pytest.raises(CloudBusy, match="begins over"):
        advance(azure, content, **first.cursor)  # type: ignore[arg-type]
    assert azure.active_access() == 0
    assert advance(azure, content, **first.cursor).wait_seconds > 0  # type: ignore[arg-type]
    assert advance(azure, content).image is not None
    assert azure.disk_bytes(NAME) == content.whole()[:-512]


@pytest.mark.parametrize("size", [20 * MIB, 20 * MIB + 1024, 10 * MIB + 512, 33 * 1024 * GIB + 512], ids=str)
def test_sizes_that_azure_does_not_take_are_refused_before_anything_is_made(azure: EmbeddedHome, size: int) -> None:
    with pytest.raises(ImportFailed, match="vhd"):
        advance(azure, MemoryContent(size, {}))
    assert azure.names() == set()


def test_an_upload_of_another_size_is_begun_again(azure: EmbeddedHome) -> None:
    sliced(azure, 1).advance(KEY, client_image(), cursor={}, tags=TAGS)
    assert advance(azure, small_image()).wait_seconds > 0
    assert advance(azure, small_image()).image is not None
    assert azure.disk_bytes(NAME) == small_image().whole()[:-512]


def test_a_disk_of_somebody_else_and_an_image_in_use_stay(azure: EmbeddedHome) -> None:
    properties = {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}}
    disks, body = azure.home.place.compute.disks, {"location": "westeurope", "properties": properties}
    disks.begin_create_or_update("home", NAME, body).result()  # type: ignore[call-overload]
    with pytest.raises(ImportFailed, match="in the way"):
        advance(azure, small_image())
    assert azure.names() == {NAME}
    disks.begin_delete("home", NAME).result()
    advance(azure, small_image())
    disks.begin_grant_access("home", NAME, {"access": "Read", "durationInSeconds": 60}).result()
    assert azure.home.images.find(KEY) is None
    with pytest.raises(ImportFailed, match="in use"):
        advance(azure, small_image())
    assert azure.names() == {NAME}


def test_lost_answers_and_bursts_of_busy_ones_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither do they bring the signature into the log, the result or the error."""
    caplog.set_level(logging.DEBUG)
    rules = (
        FaultRule(service="blob", operation="PutPage", nth=(2,), action=Lose()),
        FaultRule(service="blob", operation="PutPage", nth=(3, 4), action=Throttle()),
        FaultRule(service="arm", operation="disks/write", nth=(1,), action=Throttle()),
    )
    with embedded_home(tmp_path / "azure", monkeypatch, faults=FaultPlan(rules=rules)) as azure:
        content = client_image()
        step = advance(azure, content)
        assert step.image is not None
        assert azure.disk_bytes(NAME) == content.whole()[:-512]
        assert azure.active_access() == 0
        said = caplog.text + repr(step)
        assert "comp=page" in said, "the log doesn't show the requests, so it proves nothing"
        assert "sig=***" in said
        assert not [word for word in said.split("sig=")[1:] if not word.startswith(("***", "REDACTED"))]


@pytest.mark.parametrize(
    ("service", "operation", "times"),
    [("blob", "PutPage", 11), ("arm", "disks/beginGetAccess", 6)],
    ids=["pages", "access"],
)
def test_a_service_that_stays_busy_ends_the_call_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str, operation: str, times: int
) -> None:
    """With the same disk: what has been written before isn't lost, and busy for ever isn't begun over for ever."""
    busy = Status(code=503, wait_ms=10)
    rules = (FaultRule(service=service, operation=operation, nth=tuple(range(1, times + 1)), action=busy),)
    with embedded_home(tmp_path / "azure", monkeypatch, faults=FaultPlan(rules=rules)) as azure:
        with pytest.raises(CloudBusy) as caught:
            advance(azure, small_image())
        assert "sig=" not in "".join(traceback.format_exception(caught.value))
        made = azure.document(NAME)["properties"]["uniqueId"]
        assert advance(azure, small_image()).image is not None
        assert azure.document(NAME)["properties"]["uniqueId"] == made
        assert azure.active_access() == 0


def test_variants_are_made_from_one_upload(azure: EmbeddedHome) -> None:
    image = advance(azure, small_image()).image
    assert image is not None
    for os_type, generation in (("Linux", "V1"), ("Linux", "V2"), ("Windows", "V1"), ("Windows", "V2")):
        name = f"{os_type}-{generation}"
        poller = make_disk(azure.home.place, image.id, name=name, os_type=os_type, generation=generation, tags=TAGS)  # type: ignore[arg-type]
        assert settled(poller)
        properties = azure.document(name)["properties"]
        assert (properties["osType"], properties["hyperVGeneration"]) == (os_type, generation)
        assert azure.disk_bytes(name) == azure.disk_bytes(NAME)


def test_where_copies_keep_their_generation_a_second_upload_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded_home(tmp_path / "azure", monkeypatch, copy_keeps_generation=True) as azure:
        image = advance(azure, small_image()).image
        assert image is not None
        with pytest.raises(ImportFailed, match="second upload of the image with hyperVGeneration V2"):
            make_disk(azure.home.place, image.id, name="v2", os_type="Linux", generation="V2", tags=TAGS)
        assert azure.names() == {NAME}
