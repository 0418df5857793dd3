"""Reads ISO 9660 file systems: where each file's bytes lie, under the names that GRUB's iso9660 driver sees.

Formats: ECMA-119 (ISO 9660), SUSP and Rock Ridge (IEEE P1281, P1282), Joliet.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from failback.errors import IsoCorrupt, IsoTruncated
from failback.image import iso_susp
from failback.image.iso_descriptors import SECTOR, Descriptor, read_descriptors
from failback.image.iso_records import Entry, Naming, Reader, parse_record
from failback.image.source import SourceSlice, check_range

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from failback.image.source import ByteSource

# A record with Rock Ridge takes about 120 bytes: 8 MiB are 70,000 names in one directory.
MAX_DIRECTORY_BYTES = 8 * 1024 * 1024
# All directories together, so that overlapping ones can't multiply: 64 MiB are parsed in about 2 s.
_MAX_DIRECTORIES_BYTES = 64 * 1024 * 1024
# Fields outside their record, about 100 bytes of each long name; hostile ones of 4 bytes take 3 s to this limit.
_MAX_AREAS_BYTES = 8 * 1024 * 1024
# A live ISO has 30 files, an installer DVD 10,000. At some 500 bytes each in memory this is 50 MB.
MAX_FILES = 100_000
# ISO 9660 allows 8 levels, Rock Ridge any number; a path of 4,096 bytes (Linux PATH_MAX) is the practical limit.
MAX_DEPTH = 128
_MAX_PATH = 4096
# What GRUB follows within one path.
MAX_LINKS = 8


@dataclass(frozen=True, slots=True)
class IsoFile:
    """A file or directory; `path` is absolute and as GRUB sees it, extents are (byte offset, byte length)."""

    path: str
    extents: tuple[tuple[int, int], ...]
    is_directory: bool

    @property
    def size(self) -> int:
        """Length in bytes."""
        return sum(length for _, length in self.extents)


class IsoVolume:
    """An opened ISO 9660 volume. Directories are read once, when first asked for, within limits over all of them."""

    def __init__(self, source: ByteSource, label: str, size: int, created: str) -> None:
        self.label, self.size, self.created = label, size, created
        self._source = source
        self._directories: dict[tuple[int, int], _Directory] = {}
        self._places: dict[int, str] = {}
        self._left = {"directories": _MAX_DIRECTORIES_BYTES, "file attributes": _MAX_AREAS_BYTES, "names": MAX_FILES}
        self._root = IsoFile("/", ((0, 0),), is_directory=True)
        self._reader = Reader("plain", 0, self._read_area)

    @classmethod
    def open(cls, source: ByteSource) -> IsoVolume:
        """Read the descriptors; raises NotAnIso, IsoCorrupt, or IsoTruncated where the file ends too early."""
        found = read_descriptors(source)
        volume = cls(source, found.primary.label, found.primary.size, found.primary.created)
        volume._check_length()
        volume._use_tree(found.primary, "plain")
        # GRUB looks at a Joliet tree only where the primary one has no Rock Ridge.
        if volume.naming == "plain" and found.joliet is not None:
            volume._use_tree(found.joliet, "joliet")
        return volume

    @property
    def naming(self) -> Naming:
        """Which of the volume's name spaces the paths come from: the one that GRUB picks."""
        return self._reader.naming

    def find(self, path: str) -> IsoFile | None:
        """Return what `path` leads to, links within the volume followed, or None.

        Each part is matched exactly, or else as the only one that differs in case; the result's path is the real one.
        """
        trail, pending, links = [self._root], deque(path.split("/") if len(path) <= _MAX_PATH else ()), 0
        while pending:
            part = pending.popleft()
            if part in ("", ".", ".."):
                del trail[max(1, len(trail) - (part == "..")) :]
                continue
            entry = self._directory(trail[-1]).match(part)
            if entry is None or links > MAX_LINKS or len(trail) > MAX_DEPTH:
                return None
            if entry.extents:
                trail.append(self._file(trail[-1], entry))
                continue
            links, target = links + 1, self._target(entry)
            if not target:
                return None
            pending.extendleft(reversed(target.split("/")))
            del trail[1 if target.startswith("/") else len(trail) :]
        return trail[-1] if len(path) <= _MAX_PATH else None

    def list(self, path: str) -> list[IsoFile]:
        """Return the files and directories in a directory, links left out; nothing where `path` isn't one."""
        found = self.find(path)
        return list(self._children(found)) if found is not None else []

    def walk(self) -> Iterator[IsoFile]:
        """Yield every file and directory once, links left out, parents before their content."""
        pending, entered = deque([(self._root, 0)]), {self._root.extents}
        while pending:
            directory, depth = pending.popleft()
            for child in self._children(directory):
                yield child
                if child.is_directory and child.extents not in entered:
                    _check_depth(child, depth + 1)
                    entered.add(child.extents)
                    pending.append((child, depth + 1))

    def open_file(self, file: IsoFile) -> ByteSource:
        """Return a file's content with random access; nothing is copied."""
        if file.is_directory:
            message = (
                f"{file.path}: is a directory where a file is needed; this ISO's layout isn't that of a client ISO"
            )
            raise IsoCorrupt(message)
        self._check_extents(file)
        parts = [SourceSlice(self._source, offset, length) for offset, length in file.extents]
        return parts[0] if len(parts) == 1 else SourceChain(parts)

    def read_file(self, file: IsoFile, *, limit: int) -> bytes:
        """Return a file's whole content; raises IsoCorrupt where it has more than `limit` bytes."""
        if file.size > limit:
            message = f"{file.path}: has {file.size} bytes where at most {limit} make sense; fetch the ISO again"
            raise IsoCorrupt(message)
        return self.open_file(file).read(0, file.size)

    def _check_length(self) -> None:
        if self._source.size < self.size:
            message = (
                f"the file ends after {self._source.size} of the {self.size} bytes that the volume states; "
                "the download was probably cut off: fetch the ISO again"
            )
            raise IsoTruncated(message)

    def _use_tree(self, tree: Descriptor, naming: Naming) -> None:
        offset = tree.root_block * SECTOR
        self._root = IsoFile("/", ((offset, tree.root_length),), is_directory=True)
        self._check_extents(self._root)
        length = self._source.read(offset, 1)[0] if offset < self._source.size else 0
        area = b"" if length == 0 else parse_record(self._source.read(offset, length)).system_use
        skip = iso_susp.skip_length(area)
        rock_ridge = skip is not None and iso_susp.has_extension(area, self._read_area)
        self._reader = Reader("rock-ridge" if rock_ridge else naming, skip or 0, self._read_area)

    def _children(self, directory: IsoFile) -> Iterator[IsoFile]:
        return (self._file(directory, entry) for entry in self._directory(directory).entries if entry.extents)

    def _file(self, parent: IsoFile, entry: Entry) -> IsoFile:
        path = f"{parent.path.rstrip('/')}/{entry.name}"
        if len(path) > _MAX_PATH:
            message = f"a path of more than {_MAX_PATH} characters, {path[:60]}...; the ISO is damaged, fetch it again"
            raise IsoCorrupt(message)
        file = IsoFile(path, entry.extents, entry.is_directory)
        self._check_extents(file)
        return file

    def _check_extents(self, file: IsoFile) -> None:
        for offset, length in file.extents:
            if length and offset + length > self._source.size:
                message = (
                    f"{file.path}: lies at bytes {offset} to {offset + length}, but the ISO ends "
                    f"after {self._source.size}; the download was probably cut off: fetch the ISO again"
                )
                raise IsoTruncated(message)

    def _directory(self, directory: IsoFile) -> _Directory:
        if not directory.is_directory:
            return _Directory(())
        extent = directory.extents[0]
        if extent not in self._directories:
            self._directories[extent] = _Directory(tuple(self._read_directory(directory)))
        return self._directories[extent]

    def _read_directory(self, directory: IsoFile) -> Iterator[Entry]:
        (offset, length), *more = directory.extents
        if more or length > MAX_DIRECTORY_BYTES:
            message = f"{directory.path}: a directory of {directory.size} bytes; the ISO is damaged, fetch it again"
            raise IsoCorrupt(message)
        self._spend("directories", length)
        for entry in self._reader.entries(self._source.read(offset, length)):
            self._spend("names", 1)
            yield entry

    def _read_area(self, block: int, offset: int, length: int) -> bytes:
        self._spend("file attributes", length)
        return self._source.read(block * SECTOR + offset, length)

    def _spend(self, what: str, amount: int) -> None:
        self._left[what] -= amount
        if self._left[what] < 0:
            message = f"the ISO has more {what} than any real one; it's damaged or not a client ISO: fetch it again"
            raise IsoCorrupt(message)

    def _target(self, entry: Entry) -> str:
        """Where a link leads, or where Rock Ridge moved a deep directory to: Linux hides that move, GRUB doesn't."""
        if entry.moved_to is None:
            return entry.link
        if not self._places:
            self._places = {file.extents[0][0]: file.path for file in self.walk() if file.is_directory}
        return self._places.get(entry.moved_to * SECTOR, "")


class _Directory:
    """A directory's entries with an index by exact and by folded name."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self._exact: dict[str, Entry] = {}
        self._folded: dict[str, list[Entry]] = {}
        for entry in entries:
            # Of two equal names GRUB takes the first.
            if self._exact.setdefault(entry.name, entry) is entry:
                self._folded.setdefault(entry.name.casefold(), []).append(entry)

    def match(self, name: str) -> Entry | None:
        similar = self._folded.get(name.casefold(), [])
        return self._exact.get(name) or (similar[0] if len(similar) == 1 else None)


class SourceChain:
    """Several sources one after the other as one source: a file of several extents."""

    def __init__(self, parts: Sequence[ByteSource]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(part.size for part in parts)]

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._starts[-1]

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`; raises IsoTruncated where they aren't there."""
        check_range(self.size, offset, length)
        pieces, end = [], offset + length
        while offset < end:
            number = bisect_right(self._starts, offset) - 1
            until = min(end, self._starts[number + 1])
            pieces.append(self._parts[number].read(offset - self._starts[number], until - offset))
            offset = until
        return b"".join(pieces)


def _check_depth(directory: IsoFile, depth: int) -> None:
    if depth > MAX_DEPTH:
        message = f"{directory.path[:60]}...: directories within directories over {MAX_DEPTH} deep; the ISO is damaged"
        raise IsoCorrupt(message)
