"""A bucket in memory, and uploads to it: as strict as S3, and sparse, since images are mostly zeros."""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.errors import ObjectChanged, ObjectMissing
from failback.ports import StoredObject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.pieces import Pieces

SMALLEST_PART = 5 * 1024 * 1024
MOST_PARTS = 10_000
_ZEROS: dict[int, bytes] = {}


@dataclass(frozen=True)
class Content:
    """An object's pieces, its ETag, and its tags."""

    pieces: Sequence[bytes]
    etag: str
    tags: Mapping[str, str]

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))

    def read(self, offset: int, length: int) -> bytes:
        found, begin = [], 0
        for piece in self.pieces:
            first, last = max(offset - begin, 0), min(offset + length - begin, len(piece))
            if first < last:
                found.append(piece[first:last])
            begin += len(piece)
        return b"".join(found)


class MemoryObjects:
    """An ObjectStore. `contents` is what's there; `fail` holds errors that the next reads raise, one each."""

    def __init__(self) -> None:
        self.contents: dict[str, Content] = {}
        self.fail: list[Exception] = []
        self.reads: list[tuple[str, int, int]] = []
        self._lock = threading.Lock()

    def find(self, key: str) -> StoredObject | None:
        content = self.contents.get(key)
        return StoredObject(key, content.size, content.etag) if content else None

    def read(self, key: str, offset: int, length: int, *, etag: str = "") -> bytes:
        with self._lock:
            self.reads.append((key, offset, length))
            if self.fail:
                raise self.fail.pop(0)
        if not length:
            return b""
        content = self.contents.get(key)
        if content is None:
            raise ObjectMissing(key)
        if etag not in ("", content.etag):
            raise ObjectChanged(key)
        data = content.read(offset, length)
        if len(data) != length:
            raise ObjectChanged(key)
        return data

    def write(self, key: str, data: bytes, *, tags: Mapping[str, str]) -> None:
        check_tags(tags)
        self.contents[key] = Content([data], _etag(data), dict(tags))

    def remove(self, key: str) -> None:
        self.contents.pop(key, None)


@dataclass
class _Upload:
    key: str
    tags: Mapping[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


class MemoryUploads:
    """An UploadStore into `objects`. `fail_at` is the number of the put that breaks off; `puts` are all, in order."""

    def __init__(self, objects: MemoryObjects, *, smallest_part: int = SMALLEST_PART) -> None:
        self._objects, self._smallest = objects, smallest_part
        self.open: dict[str, _Upload] = {}
        self.puts: list[int] = []
        self.fail_at = -1
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def begin(self, key: str, *, tags: Mapping[str, str]) -> str:
        check_tags(tags)
        upload = f"upload-{next(self._numbers)}"
        self.open[upload] = _Upload(key, dict(tags))
        return upload

    def put(self, key: str, upload: str, number: int, data: bytes | Pieces) -> None:
        assert 1 <= number <= MOST_PARTS
        with self._lock:
            self.puts.append(number)
            if len(self.puts) == self.fail_at:
                raise ConnectionError
        self._found(key, upload).parts[number] = _sparse(data if isinstance(data, bytes) else data.read())

    def finish(self, key: str, upload: str) -> StoredObject:
        try:
            found = self._found(key, upload)
        except ObjectMissing:
            made = self._objects.find(key)
            if made is None:
                raise
            return made
        assert found.parts, "an upload without parts can't be finished"
        parts = [found.parts[number] for number in sorted(found.parts)]
        assert all(len(part) >= self._smallest for part in parts[:-1]), "a part is too small"
        digests = "".join(_etag(part) for part in parts)
        self._objects.contents[key] = Content(parts, f"{_etag(digests.encode())}-{len(parts)}", found.tags)
        del self.open[upload]
        stored = self._objects.find(key)
        assert stored is not None
        return stored

    def abort(self, key: str, upload: str) -> None:
        self.open.pop(upload, None)

    def _found(self, key: str, upload: str) -> _Upload:
        found = self.open.get(upload)
        if found is None or found.key != key:
            raise ObjectMissing(key)
        return found


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse what S3 refuses: more than ten tags, keys of more than 128 and values of more than 256 characters."""
    assert len(tags) <= 10
    assert all(1 <= len(key) <= 128 and len(value) <= 256 for key, value in tags.items())


def _etag(data: bytes) -> str:
    if data is _ZEROS.get(len(data)):
        return f"zeros-{len(data)}"
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _sparse(data: bytes) -> bytes:
    """The bytes; all zeros of one length are the same ones."""
    zeros = _ZEROS.setdefault(len(data), bytes(len(data)))
    return zeros if data == zeros else data
