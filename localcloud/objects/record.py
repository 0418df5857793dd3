"""What is known of a bucket, an object, an upload and a part, as it's kept beside their bytes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

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
    """A bucket; anyone may read from a public one."""

    name: str
    owner: str
    created: datetime
    region: str
    public: bool = False


class Segment(_Record):
    """A run of an object's bytes: a file of the bucket's data folder that never changes, and its size."""

    file: str
    size: int


class Properties(_Record):
    """What a writer says of an object and a reader gets back; `headers` by their names in lower case."""

    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}


class ObjectRecord(_Record):
    """An object; `checksums` are base64 by algorithm, of parts' checksums where `composite` says so."""

    key: str
    etag: str
    modified: datetime
    segments: tuple[Segment, ...]
    properties: Properties = Properties()
    checksums: dict[str, str] = {}
    composite: bool = False

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(each.size for each in self.segments)


class UploadRecord(_Record):
    """A multipart upload under way; `algorithm` is the checksum that its parts come with."""

    id: str
    key: str
    owner: str
    started: datetime
    properties: Properties
    algorithm: str | None = None


class PartRecord(_Record):
    """A part of an upload."""

    number: int
    etag: str
    modified: datetime
    segments: tuple[Segment, ...]
    checksums: dict[str, str] = {}

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(each.size for each in self.segments)
