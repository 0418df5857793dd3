"""Client images in Azure: each a managed disk, uploaded straight from the image's content, named and tagged by its key.

Source: the SDK's models of Microsoft.Compute/disks 2026-03-02 (createOption Upload, disk states, sizes).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from failback.clouds.azure.disk_access import write_access
from failback.clouds.azure.pages import PageWriter, page_runs
from failback.clouds.azure.place import settled
from failback.clouds.azure.removal import remove_disk
from failback.errors import ImportFailed
from failback.home_ports import ImageImport
from failback.model.run import HomeImage
from failback.naming import IMAGE_TAG, PREFIX, image_name
from failback.transfer import AdaptiveGate, jittered, run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from azure.mgmt.compute.models import Disk
    from pydantic import JsonValue

    from failback.clouds.azure.place import AzurePlace
    from failback.home_ports import ImageContent
    from failback.ports import Clock

WHOLE_TAG = f"{PREFIX}:whole"
"""Set last: its disk has every byte of the image. Its value is the size in bytes."""
TESTED_TAG = f"{PREFIX}:tested"
"""Set after a boot test: when, and the agent's mark."""
LONGEST_TAG = 256
"""Characters of a tag's value in Azure."""

MIB, FOOTER = 1 << 20, 512
SMALLEST, LARGEST = 20 * MIB + FOOTER, (32 << 40) + FOOTER
AWAITING = ("ReadyToUpload", "ActiveUpload")
CHANGING = ("Creating", "Updating", "Deleting")

START, MOST = 8, 16
"""Writes at once. 60 MiB/s with answers after 100 ms take two of 4 MiB; 16 fill a line of ten times that. Each holds
what it read and what it writes of it, 8 MiB: 128 MiB at most."""
ATTEMPTS = 6
WAIT = 5
"""Seconds until a disk that takes longer to be made or removed is looked at again."""


@dataclass(frozen=True, slots=True)
class Slice:
    """How much one call uploads: until `seconds` have gone by or `size` bytes that may hold data were taken.

    Twenty seconds are enough for most images, 1.2 GiB at 60 MiB/s; whoever watches sees a longer one go on, asking for
    access again costs each call two or three, and little is lost with one. Faster than that, 2 GiB are.
    """

    seconds: int = 20
    size: int = 2 << 30


@dataclass(frozen=True, slots=True)
class AzureImages:
    """A HomeImages."""

    place: AzurePlace
    clock: Clock
    slice: Slice = Slice()
    backoff: Callable[[int], float] = jittered

    def format(self) -> Literal["vhd"]:
        return "vhd"

    def find(self, key: str) -> HomeImage | None:
        disk = self.place.disk(image_name(key))
        return _image(disk, key) if disk and _is_whole(disk, key) else None

    def advance(
        self, key: str, content: ImageContent, *, cursor: Mapping[str, JsonValue], tags: Mapping[str, str]
    ) -> ImageImport:
        """Create the disk, write a slice of its pages, or both; the cursor has the offset to go on from."""
        _check_size(content.size)
        name = image_name(key)
        disk = self.place.disk(name)
        if disk is None:
            cursor = {}
            if not self._created(name, content.size, {**tags, IMAGE_TAG: key}):
                return _later(0, content.size)
        elif _is_whole(disk, key):
            return ImageImport(_image(disk, key), {}, content.size, content.size)
        elif not _is_ours(disk, key) or WHOLE_TAG in (disk.tags or {}):
            raise ImportFailed(_not_to_be_used(disk))
        elif disk.provisioning_state in CHANGING:
            return _later(0, content.size)
        elif not _takes_pages(disk, content.size):
            # An upload that ended before its end, or of another size: not to be gone on with.
            remove_disk(self.place, name)
            return _later(0, content.size)
        again = disk is not None and (bool(cursor) or disk.disk_state == "ActiveUpload")
        reached = self._written(name, content, cursor, again=again)
        if reached < content.size:
            return ImageImport(None, {"next": reached}, reached, content.size)
        return ImageImport(self._finished(name, key), {}, content.size, content.size)

    def note_test(self, image: HomeImage, mark: str) -> HomeImage:
        when = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        self._tag(image.name, {TESTED_TAG: f"{when} {mark}"[:LONGEST_TAG]})
        return image.model_copy(update={"tested": True})

    def _created(self, name: str, size: int, tags: Mapping[str, str]) -> bool:
        # Uploads from AWS come over the public network: other policies than AllowAll keep them out.
        properties = {
            "osType": "Linux",
            "hyperVGeneration": "V1",
            "networkAccessPolicy": "AllowAll",
            "creationData": {"createOption": "Upload", "uploadSizeBytes": size},
        }
        target = self.place.target
        body: Any = {"location": target.location, "tags": dict(tags), "sku": {"name": target.disk_sku},
                     "properties": properties}  # fmt: skip
        return settled(self.place.compute.disks.begin_create_or_update(self.place.group, name, body))

    def _written(self, name: str, content: ImageContent, cursor: Mapping[str, JsonValue], *, again: bool) -> int:
        """Write a slice, and give how far the disk is written."""
        first = cursor.get("next", 0)
        work = _Work(content, first if isinstance(first, int) else 0, clock=self.clock, limits=self.slice)
        access = write_access(self.place, name, again=again)
        with access as (url, keep_open), PageWriter(url, connections=MOST) as pages:

            def write(piece: tuple[int, int]) -> None:
                offset, length = piece
                data = content.read(offset, length)
                for start, end in page_runs(data):
                    pages.write(offset + start, data[start:end])

            run_all(work.pieces(), write, gate=AdaptiveGate(START, most=MOST), attempts=ATTEMPTS, backoff=self.backoff)
            if work.reached < content.size:
                keep_open()
        return work.reached

    def _finished(self, name: str, key: str) -> HomeImage:
        disk = self.place.disk(name)
        if disk is None or disk.disk_state != "Unattached" or disk.provisioning_state != "Succeeded":
            state = f"{disk.disk_state} / {disk.provisioning_state}" if disk else "gone"
            message = (
                f"After its upload the disk {name} is {state}, not Unattached. Usually somebody took or removed it "
                "meanwhile, or Azure didn't like the upload; look at it in the portal, and start again."
            )
            raise ImportFailed(message)
        return _image(self._tag(name, {WHOLE_TAG: str(disk.disk_size_bytes)}), key)

    def _tag(self, name: str, more: Mapping[str, str]) -> Disk:
        """Add tags; an update takes all of them or none."""
        disk = self.place.disk(name)
        if disk is None:
            message = f"The disk {name} isn't in the resource group {self.place.group} any more. Start the run again."
            raise ImportFailed(message)
        body: Any = {"tags": {**(disk.tags or {}), **more}}
        updated: Disk = self.place.compute.disks.begin_update(self.place.group, name, body).result()
        return updated


@dataclass(slots=True)
class _Work:
    """The pieces of one slice; `reached` is how far the pieces given out go."""

    content: ImageContent
    reached: int
    clock: Clock
    limits: Slice

    def pieces(self) -> Iterator[tuple[int, int]]:
        """(offset, length) of what may hold data, until the slice is full."""
        taken, until = 0, self.clock.now() + timedelta(seconds=self.limits.seconds)
        for offset, length in self.content.ranges(self.reached):
            full = self.clock.now() >= until or taken + length > self.limits.size
            # One piece at least, so that every call gets further.
            if full and taken:
                return
            taken, self.reached = taken + length, offset + length
            yield offset, length
        self.reached = self.content.size


def _check_size(size: int) -> None:
    if (size - FOOTER) % MIB or not SMALLEST <= size <= LARGEST:
        message = (
            f"Azure takes no upload of {size} bytes: a VHD is whole MiB and a footer of {FOOTER} bytes, 20 MiB to 32 "
            "TiB. Usually the image was exported in another format than vhd; remove the export and start again."
        )
        raise ImportFailed(message)


def _is_ours(disk: Disk, key: str) -> bool:
    return (disk.tags or {}).get(IMAGE_TAG) == key


def _is_whole(disk: Disk, key: str) -> bool:
    return _is_ours(disk, key) and WHOLE_TAG in (disk.tags or {}) and disk.disk_state == "Unattached"


def _takes_pages(disk: Disk, size: int) -> bool:
    awaits = disk.disk_state in AWAITING and disk.provisioning_state == "Succeeded"
    return awaits and disk.creation_data.upload_size_bytes == size


def _not_to_be_used(disk: Disk) -> str:
    if WHOLE_TAG not in (disk.tags or {}):
        return (
            f"There's a disk {disk.name} in the way that is no client image with that key (tag {IMAGE_TAG}). Rename or "
            "remove it, and start again."
        )
    return (
        f"The client image {disk.name} is in use: {disk.disk_state}. Usually somebody attached it to a machine or is "
        "downloading it; detach it or end the access (az disk revoke-access), and start again."
    )


def _image(disk: Disk, key: str) -> HomeImage:
    return HomeImage(id=str(disk.id), name=str(disk.name), key=key, tested=TESTED_TAG in (disk.tags or {}))


def _later(sent: int, total: int) -> ImageImport:
    return ImageImport(None, {}, sent, total, wait_seconds=WAIT)
