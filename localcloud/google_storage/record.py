"""What is known of a bucket, an object and an upload's session, as it's kept beside their bytes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from localcloud.objects.record import Segment

if TYPE_CHECKING:
    from pathlib import Path


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def save(self, path: Path) -> None:
        """Write it so that a reader, also one after a crash, sees the old one or the new one."""
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(self.model_dump_json(), encoding="utf-8")
        fresh.replace(path)


class BucketRecord(_Record):
    """A bucket; `labels` and `access` (iamConfiguration) are as they were given."""

    name: str
    project: str
    created: datetime
    generation: int
    location: str
    storage_class: str = "STANDARD"
    labels: dict[str, str] = {}
    access: dict[str, object] = {}


class Properties(_Record):
    """What a writer says of an object, by the names of the JSON API, and its own metadata."""

    fields: dict[str, str] = {}
    metadata: dict[str, str] = {}


class ObjectRecord(_Record):
    """An object; `md5` and `crc32c` are base64, an object that was composed has no MD5 but a number of components."""

    name: str
    generation: int
    metageneration: int = 1
    created: datetime
    updated: datetime
    segments: tuple[Segment, ...]
    crc32c: str
    md5: str | None
    components: int | None = None
    properties: Properties = Properties()

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(each.size for each in self.segments)


class Condition(_Record):
    """Generations and metagenerations that must or mustn't hold; generation 0 is "there is none"."""

    generation: int | None = None
    not_generation: int | None = None
    metageneration: int | None = None
    not_metageneration: int | None = None


class Promise(_Record):
    """Checksums that the writer gave, in base64."""

    crc32c: str | None = None
    md5: str | None = None


class PartRecord(_Record):
    """A part of a multipart upload: its file, and its checksums in base64."""

    file: str
    size: int
    md5: str
    crc32c: str


class MultipartRecord(_Record):
    """A multipart upload that's neither complete nor aborted; `parts` by their numbers."""

    id: str
    name: str
    started: datetime
    properties: Properties
    parts: dict[int, PartRecord] = {}


class SessionRecord(_Record):
    """A resumable upload; `total` is known once it was said, `made` is the object that it became."""

    id: str
    name: str
    file: str
    started: datetime
    properties: Properties
    condition: Condition
    promise: Promise
    may_replace: bool
    total: int | None = None
    made: ObjectRecord | None = None
    cancelled: bool = False
