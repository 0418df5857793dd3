"""An initrd file's segments, plain or compressed, unpacked one over the other as the kernel does at boot.

Format: Linux kernel, Documentation/driver-api/early-userspace/buffer-format.rst; how strict it is: init/initramfs.c.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.errors import DataCorrupt, UnknownCompression
from failback.image.compression import decompressor, detect
from failback.image.cpio import CpioBudget, CpioEntry, CpioReader
from failback.image.initrd_tree import InitrdTree

if TYPE_CHECKING:
    from failback.image.compression import Codec
    from failback.image.source import ByteSource

BUILTIN_LIST = "modules.builtin"
"""Name of the one kind of file whose content is kept: a kernel's list of the modules within itself."""
UNPACKED_LIMIT = 1 << 30
"""Bytes that all compressed segments may unpack to: generic ones take 100 to 200 MiB, the client's machine has 4 GB."""
SEGMENT_LIMIT = 64
"""Segments of all files: microcode, the system, an appended file or two. Millions of empty ones would fit."""

_PIECE = 1 << 18
_HEAD = 13  # what detect() wants to see
_ALIGN = 4  # archives begin at multiples of this, from the start of their file or compressed stream
_PADDING = re.compile(rb"\0*")


@dataclass(slots=True)
class Unpacking:
    """What the segments of all files of one initrd share, and what has become of them so far."""

    tree: InitrdTree = field(default_factory=InitrdTree)
    segments: list[str] = field(default_factory=list)
    budget: CpioBudget = field(default_factory=CpioBudget)
    unpacked: int = 0

    def reader(self, what: str) -> CpioReader:
        """For the next archive."""
        return CpioReader(_is_needed, what=what, budget=self.budget)

    def feed(self, reader: CpioReader, data: bytes | memoryview) -> int:
        """Take members out of `data`; how many bytes of it belonged to the archive."""
        before = reader.used
        for entry in reader.feed(data):
            self.tree.add(entry)
        if reader.ended:
            self.tree.end_archive()
        return reader.used - before

    def count(self, unpacked: int, what: str) -> None:
        """Raises DataCorrupt once more has come out of compressed segments than any real initrd holds."""
        self.unpacked += unpacked
        if self.unpacked > UNPACKED_LIMIT:
            message = f"{what}: unpacks to more than {UNPACKED_LIMIT >> 20} MiB; it's damaged or hostile"
            raise DataCorrupt(message)

    def begin_segment(self, kind: str, what: str) -> None:
        """Raises DataCorrupt beyond the limit."""
        if len(self.segments) == SEGMENT_LIMIT:
            message = f"{what}: has more than {SEGMENT_LIMIT} segments; it's damaged or hostile"
            raise DataCorrupt(message)
        self.segments.append(kind)


def unpack(source: ByteSource, unpacking: Unpacking, *, what: str) -> None:
    """Read one initrd file into `unpacking`; `what` names it in errors. Raises DataCorrupt and UnknownCompression."""
    _Segments(source, unpacking, what).read()


def _is_needed(entry: CpioEntry) -> bool:
    is_list = stat.S_ISREG(entry.mode) and entry.name.rpartition("/")[2] == BUILTIN_LIST
    return is_list or stat.S_ISLNK(entry.mode)


class _Segments:
    """One file, read from front to back."""

    def __init__(self, source: ByteSource, unpacking: Unpacking, what: str) -> None:
        self._source, self._unpacking, self._what = source, unpacking, what
        self._at = 0

    def read(self) -> None:
        while self._skip_padding():
            head = self._piece(_HEAD)
            if head.startswith(b"0"):
                self._read_plain()
            else:
                self._read_compressed(self._codec(head))

    def _piece(self, length: int = _PIECE) -> bytes:
        return self._source.read(self._at, min(length, self._source.size - self._at))

    def _skip_padding(self) -> bool:
        """Go to the next byte that isn't zero; False where the file ends before."""
        while piece := self._piece():
            rest = piece.lstrip(b"\0")
            self._at += len(piece) - len(rest)
            if rest:
                return True
        return False

    def _codec(self, head: bytes) -> Codec:
        codec = detect(head)
        if codec is None and len(head) < _HEAD:
            message = (
                f"{self._what}: only {len(head)} bytes follow at byte {self._at}; the file is cut off. Fetch it again"
            )
            raise DataCorrupt(message)
        if codec is None:
            message = (
                f"{self._what}: at byte {self._at} begins something ({head[:8].hex(' ')}) that is no cpio archive nor "
                "compressed with gzip, xz, lzma, bzip2 or zstd; it's damaged, or made for another kind of kernel"
            )
            raise UnknownCompression(message)
        return codec

    def _read_plain(self) -> None:
        _check_alignment(self._at, self._what)
        self._unpacking.begin_segment("cpio", self._what)
        reader = self._unpacking.reader(self._what)
        while not reader.ended and (piece := self._piece()):
            self._at += self._unpacking.feed(reader, piece)
        reader.finish()

    def _read_compressed(self, codec: Codec) -> None:
        self._unpacking.begin_segment(codec, self._what)
        stream = decompressor(codec, what=self._what)
        archives = _Archives(self._unpacking, self._what)
        while not stream.finished:
            output = stream.feed(self._compressed_piece(codec) if stream.needs_input else b"")
            self._unpacking.count(len(output), self._what)
            archives.feed(output)
        archives.finish()
        self._at -= len(stream.unused)

    def _compressed_piece(self, codec: Codec) -> bytes:
        piece = self._piece()
        if not piece:
            message = f"{self._what}: its {codec} data ends too early; the file is cut off. Fetch it again"
            raise DataCorrupt(message)
        self._at += len(piece)
        return piece


class _Archives:
    """The archives within one compressed segment: one after the other, with zero padding between them."""

    def __init__(self, unpacking: Unpacking, what: str) -> None:
        self._unpacking, self._what = unpacking, what
        self._reader: CpioReader | None = None
        self._passed = 0

    def feed(self, data: bytes) -> None:
        view = memoryview(data)
        at = 0
        while at < len(data):
            if self._reader is None:
                at = self._begin(data, at)
                continue
            at += self._unpacking.feed(self._reader, view[at:])
            if self._reader.ended:
                self._reader = None
        self._passed += len(data)

    def _begin(self, data: bytes, at: int) -> int:
        padding = _PADDING.match(data, at)
        at = padding.end() if padding else at
        if at < len(data):
            _check_alignment(self._passed + at, self._what)
            self._reader = self._unpacking.reader(self._what)
        return at

    def finish(self) -> None:
        """Raises DataCorrupt where an archive's trailer is missing."""
        if self._reader is not None:
            self._reader.finish()


def _check_alignment(at: int, what: str) -> None:
    if at % _ALIGN:
        message = (
            f"{what}: something follows an archive at byte {at}, which is no multiple of {_ALIGN}, so the kernel would "
            "load neither it nor what comes after; the file is damaged or badly put together"
        )
        raise DataCorrupt(message)
