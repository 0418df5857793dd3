"""Buckets, objects and uploads in a folder that outlives the process; only records are held in memory.

An object is a list of segments, files that never change once they're written: completing an upload and copying an
object only make new lists and hard links. `<bucket>/objects` and `uploads` hold records, `data` the segments.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import secrets
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from localcloud.objects.record import BucketRecord, ObjectRecord, PartRecord, Segment, UploadRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

CHUNK = 1024 * 1024
"""Bytes read and written at a time; what a request holds in memory."""


def now() -> datetime:
    """To the second, as S3's dates are."""
    return datetime.now(UTC).replace(microsecond=0)


class Bucket:
    """One bucket's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.lock = folder, threading.RLock()
        self.record = BucketRecord.model_validate_json((folder / "bucket.json").read_bytes())
        for name in ("objects", "uploads", "data"):
            (folder / name).mkdir(exist_ok=True)
        stored = (ObjectRecord.model_validate_json(path.read_bytes()) for path in (folder / "objects").glob("*.json"))
        self._objects = {record.key: record for record in stored}
        # S3 lists keys in the order of their UTF-8 bytes, which is that of their code points.
        self._keys = sorted(self._objects)

    def find(self, key: str) -> ObjectRecord | None:
        """What is known of an object."""
        return self._objects.get(key)

    def keys_from(self, start: str) -> Iterator[str]:
        """Keys from `start` on, in order, as they stood when asked."""
        with self.lock:
            keys = self._keys[bisect.bisect_left(self._keys, start) :]
        return iter(keys)

    def keep(self, record: ObjectRecord) -> None:
        """Make an object, in place of the one of that key."""
        with self.lock:
            old = self._objects.get(record.key)
            record.save(self._object_file(record.key))
            self._objects[record.key] = record
            if old is None:
                bisect.insort(self._keys, record.key)
            else:
                kept = {each.file for each in record.segments}
                self.drop(each for each in old.segments if each.file not in kept)

    def delete(self, key: str) -> None:
        """Remove an object; readers under way read on."""
        with self.lock:
            old = self._objects.pop(key, None)
            if old is not None:
                self._keys.remove(key)
                self._object_file(key).unlink()
                self.drop(old.segments)

    def new_file(self) -> Path:
        """A path for a segment."""
        return self._folder / "data" / secrets.token_hex(16)

    def data(self, segment: Segment) -> Path:
        """Where a segment's bytes are."""
        return self._folder / "data" / segment.file

    def drop(self, segments: Iterable[Segment]) -> None:
        """Remove segments that nothing names any more."""
        for each in segments:
            self.data(each).unlink(missing_ok=True)

    def link(self, source: Bucket, segments: Iterable[Segment]) -> tuple[Segment, ...]:
        """The segments of another bucket or object as ones of this bucket, without copying their bytes."""
        fresh = []
        for each in segments:
            path = self.new_file()
            path.hardlink_to(source.data(each))
            fresh.append(Segment(file=path.name, size=each.size))
        return tuple(fresh)

    def read(self, record: ObjectRecord, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, in chunks; the files are opened before the first is asked for."""
        pieces = []
        begin = 0
        with self.lock:
            for each in record.segments:
                low, high = max(start - begin, 0), min(end - begin, each.size)
                if low < high:
                    pieces.append((os.open(self.data(each), os.O_RDONLY), low, high))
                begin += each.size
        return _chunks(pieces)

    def open_upload(self, upload: UploadRecord) -> None:
        """Begin a multipart upload."""
        folder = self._folder / "uploads" / upload.id
        folder.mkdir()
        upload.save(folder / "upload.json")

    def uploads(self) -> list[UploadRecord]:
        """Those under way."""
        found = (self._folder / "uploads").glob("*/upload.json")
        return [UploadRecord.model_validate_json(path.read_bytes()) for path in sorted(found)]

    def find_upload(self, upload: str, key: str) -> UploadRecord | None:
        """An upload of that id and key."""
        path = self._folder / "uploads" / upload / "upload.json"
        if not upload.isalnum() or not path.exists():
            return None
        record = UploadRecord.model_validate_json(path.read_bytes())
        return record if record.key == key else None

    def keep_part(self, upload: str, part: PartRecord) -> bool:
        """Add a part, in place of the one of that number; false where the upload has ended meanwhile."""
        with self.lock:
            path = self._folder / "uploads" / upload / f"{part.number}.json"
            if not path.parent.exists():
                return False
            old = PartRecord.model_validate_json(path.read_bytes()) if path.exists() else None
            part.save(path)
            if old is not None:
                self.drop(old.segments)
            return True

    def parts(self, upload: str) -> dict[int, PartRecord]:
        """An upload's parts by number."""
        found = (self._folder / "uploads" / upload).glob("[0-9]*.json")
        parts = (PartRecord.model_validate_json(path.read_bytes()) for path in found)
        return {part.number: part for part in sorted(parts, key=lambda part: part.number)}

    def close_upload(self, upload: str, used: Iterable[int] = ()) -> None:
        """End an upload; the segments of parts that aren't used are removed."""
        with self.lock:
            kept = set(used)
            for number, part in self.parts(upload).items():
                if number not in kept:
                    self.drop(part.segments)
            folder = self._folder / "uploads" / upload
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()

    def _object_file(self, key: str) -> Path:
        # A key may be longer than a file's name, and hold any character.
        return self._folder / "objects" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def _chunks(pieces: list[tuple[int, int, int]]) -> Iterator[bytes]:
    try:
        while pieces:
            file, position, end = pieces[0]
            while position < end:
                chunk = os.pread(file, min(CHUNK, end - position), position)
                if not chunk:
                    return
                yield chunk
                position += len(chunk)
            os.close(pieces.pop(0)[0])
    finally:
        for file, _, _ in pieces:
            os.close(file)


class ObjectStore:
    """All buckets under a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.lock = folder / "buckets", threading.RLock()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._buckets = {path.parent.name: Bucket(path.parent) for path in self._folder.glob("*/bucket.json")}

    def find(self, bucket: str) -> Bucket | None:
        """A bucket by its name."""
        return self._buckets.get(bucket)

    def buckets(self) -> list[Bucket]:
        """All, by name."""
        with self.lock:
            return [self._buckets[name] for name in sorted(self._buckets)]

    def create(self, record: BucketRecord) -> Bucket:
        """Make a bucket; the caller has looked that there is none of that name."""
        with self.lock:
            folder = self._folder / record.name
            folder.mkdir(exist_ok=True)
            record.save(folder / "bucket.json")
            bucket = self._buckets[record.name] = Bucket(folder)
            return bucket

    def delete(self, name: str) -> None:
        """Remove an empty bucket."""
        with self.lock:
            del self._buckets[name]
            folder = self._folder / name
            (folder / "bucket.json").unlink()
            for part in ("objects", "uploads", "data"):
                (folder / part).rmdir()
            folder.rmdir()


def put_file(bucket: Bucket, key: str, path: Path) -> ObjectRecord:
    """Make an object of a copy of a file."""
    target = bucket.new_file()
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as source, target.open("xb") as out:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    segments = (Segment(file=target.name, size=target.stat().st_size),)
    record = ObjectRecord(key=key, etag=digest.hexdigest(), modified=now(), segments=segments)
    bucket.keep(record)
    return record
