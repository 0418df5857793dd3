"""Buckets, objects and upload sessions in a folder that outlives the process; only records are held in memory.

An object is a list of segments, files that never change once they're written. `<bucket>/objects`, `sessions` and
`multiparts` hold records, `data` the segments and what has come of uploads that aren't finished.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import secrets
import threading
from typing import TYPE_CHECKING

from localcloud.google_storage.record import BucketRecord, MultipartRecord, ObjectRecord, SessionRecord
from localcloud.objects.record import Segment
from localcloud.objects.store import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path


_PARTS = ("objects", "sessions", "multiparts", "data")


class Bucket:
    """One bucket's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.lock = folder, threading.RLock()
        self.record = BucketRecord.model_validate_json((folder / "bucket.json").read_bytes())
        for name in _PARTS:
            (folder / name).mkdir(exist_ok=True)
        stored = (ObjectRecord.model_validate_json(path.read_bytes()) for path in (folder / "objects").glob("*.json"))
        self._objects = {record.name: record for record in stored}
        # Names are listed in the order of their UTF-8 bytes, which is that of their code points.
        self._names = sorted(self._objects)
        self._last = max((each.generation for each in self._objects.values()), default=self.record.generation)

    def find(self, name: str) -> ObjectRecord | None:
        """What is known of an object."""
        return self._objects.get(name)

    def names_from(self, start: str) -> Iterator[str]:
        """Names from `start` on, in order, as they stood when asked."""
        with self.lock:
            names = self._names[bisect.bisect_left(self._names, start) :]
        return iter(names)

    def next_generation(self, moment: datetime) -> int:
        """A number that no object of this bucket had: microseconds since 1970, as Google's look."""
        with self.lock:
            self._last = max(self._last + 1, int(moment.timestamp() * 1_000_000))
            return self._last

    def keep(self, record: ObjectRecord) -> None:
        """Make an object, in place of the one of that name."""
        with self.lock:
            old = self._objects.get(record.name)
            record.save(self._object_file(record.name))
            self._objects[record.name] = record
            if old is None:
                bisect.insort(self._names, record.name)
            else:
                kept = {each.file for each in record.segments}
                self.drop(each.file for each in old.segments if each.file not in kept)

    def delete(self, name: str) -> None:
        """Remove an object; readers under way read on."""
        with self.lock:
            old = self._objects.pop(name)
            self._names.remove(name)
            self._object_file(name).unlink()
            self.drop(each.file for each in old.segments)

    def new_file(self) -> Path:
        """A path for bytes."""
        return self.data(secrets.token_hex(16))

    def data(self, file: str) -> Path:
        """Where a segment's bytes are."""
        return self._folder / "data" / file

    def drop(self, files: Iterable[str]) -> None:
        """Remove bytes that nothing names any more."""
        for each in files:
            self.data(each).unlink(missing_ok=True)

    def link(self, segments: Iterable[Segment]) -> tuple[Segment, ...]:
        """The same segments once more for another object, without copying their bytes."""
        fresh = []
        for each in segments:
            path = self.new_file()
            path.hardlink_to(self.data(each.file))
            fresh.append(Segment(file=path.name, size=each.size))
        return tuple(fresh)

    def read(self, record: ObjectRecord, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, in chunks; the files are opened before the first is asked for."""
        pieces, begin = [], 0
        with self.lock:
            for each in record.segments:
                low, high = max(start - begin, 0), min(end - begin, each.size)
                if low < high:
                    pieces.append((os.open(self.data(each.file), os.O_RDONLY), low, high))
                begin += each.size
        return _chunks(pieces)

    def find_session(self, session: str) -> SessionRecord | None:
        """An upload by its id."""
        path = self._folder / "sessions" / f"{session}.json"
        if not session.isalnum() or not path.exists():
            return None
        return SessionRecord.model_validate_json(path.read_bytes())

    def sessions(self) -> list[SessionRecord]:
        """All uploads that are known, also those that are over."""
        found = sorted((self._folder / "sessions").glob("*.json"))
        return [SessionRecord.model_validate_json(path.read_bytes()) for path in found]

    def keep_session(self, session: SessionRecord) -> None:
        """Begin or change an upload."""
        session.save(self._folder / "sessions" / f"{session.id}.json")

    def forget_session(self, session: str) -> None:
        """Know nothing of an upload any more; its bytes are the caller's business."""
        (self._folder / "sessions" / f"{session}.json").unlink(missing_ok=True)

    def find_multipart(self, upload: str) -> MultipartRecord | None:
        """A multipart upload by its id."""
        path = self._multipart_file(upload)
        return MultipartRecord.model_validate_json(path.read_bytes()) if path.exists() else None

    def multiparts(self) -> int:
        """How many multipart uploads are under way."""
        return sum(1 for _ in (self._folder / "multiparts").glob("*.json"))

    def keep_multipart(self, upload: MultipartRecord) -> None:
        """Begin or change a multipart upload."""
        upload.save(self._multipart_file(upload.id))

    def forget_multipart(self, upload: str) -> None:
        """Know nothing of a multipart upload any more; its parts are the caller's business."""
        self._multipart_file(upload).unlink(missing_ok=True)

    def _multipart_file(self, upload: str) -> Path:
        return self._folder / "multiparts" / f"{hashlib.sha256(upload.encode()).hexdigest()}.json"

    def _object_file(self, name: str) -> Path:
        # A name may be longer than a file's, and hold any character.
        return self._folder / "objects" / f"{hashlib.sha256(name.encode()).hexdigest()}.json"


def _chunks(pieces: list[tuple[int, int, int]]) -> Iterator[bytes]:
    try:
        while pieces:
            file, position, end = pieces[0]
            while position < end and (chunk := os.pread(file, min(CHUNK, end - position), position)):
                yield chunk
                position += len(chunk)
            os.close(pieces.pop(0)[0])
    finally:
        for file, _, _ in pieces:
            os.close(file)


class BucketStore:
    """All buckets under a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.lock = folder / "buckets", threading.RLock()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._buckets = {path.parent.name: Bucket(path.parent) for path in self._folder.glob("*/bucket.json")}

    def find(self, name: str) -> Bucket | None:
        """A bucket by its name."""
        return self._buckets.get(name)

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
        """Remove a bucket without objects, and the uploads that were under way in it."""
        with self.lock:
            del self._buckets[name]
            folder = self._folder / name
            (folder / "bucket.json").unlink()
            for part in _PARTS:
                for path in (folder / part).iterdir():
                    path.unlink()
                (folder / part).rmdir()
            folder.rmdir()
