"""The compressions that initrds, kernel modules and squashfs use: told apart by magic number, undone with bounds.

gzip (RFC 1952), zlib (RFC 1950; what squashfs calls gzip), xz and lzma-alone (the xz project's file formats), bzip2,
and zstd (RFC 8878). lz4 and lzo are only named: the standard library can't read them.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, Protocol

import zstandard

from failback.errors import DataCorrupt, UnknownCompression
from failback.image.zstd_frame import ZstdFrame, is_skippable

if TYPE_CHECKING:
    from failback.image.source import ByteSource

Codec = Literal["gzip", "zlib", "xz", "lzma", "bzip2", "zstd", "lz4", "lzo"]

PIECE = 1 << 20
"""Default bound of what one feed() returns: large enough that the loop costs nothing, small beside any memory size."""

_INPUT_PIECE = 1 << 18
_WINDOW_LIMIT = 128 << 20
"""The largest back-reference window (zstd --ultra -22; xz -9 needs 64 MiB). A header may claim 4 GiB."""
_LZMA_MEMORY_LIMIT = _WINDOW_LIMIT + (1 << 20)  # the decoder's own state is below 1 MiB
_HEAD = 13
"""Bytes that detect() wants to see: lzma-alone has the longest header (1 + 4 + 8)."""

_MAGIC: tuple[tuple[bytes, Codec], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x89LZO", "lzo"),
)


def detect(head: bytes) -> Codec | None:
    """What the file that starts with `head` (13 bytes are enough) is compressed with; None if with nothing known."""
    for magic, codec in _MAGIC:
        if head.startswith(magic):
            return codec
    if is_skippable(head):
        return "zstd"
    return "lzma" if _is_lzma_alone(head) else None


def _is_lzma_alone(head: bytes) -> bool:
    # There's no magic: properties lc=3 lp=0 pb=2, a dictionary of 2^n or 2^n + 2^(n-1), then a size or all ones.
    if len(head) < _HEAD or head[0] != 0x5D:
        return False
    dictionary = int.from_bytes(head[1:5], "little")
    size = int.from_bytes(head[5:13], "little")
    plausible_dictionary = dictionary >= 1 << 12 and dictionary.bit_count() <= 2
    return plausible_dictionary and (size == (1 << 64) - 1 or size < 1 << 40)


class Decompressor(Protocol):
    """One compressed stream being undone; what follows it in the input is left in `unused`."""

    @property
    def finished(self) -> bool:
        """The stream's end was seen, its checksum was right, and all its output has been returned."""
        ...

    @property
    def needs_input(self) -> bool:
        """False while feed(b"") alone would return more."""
        ...

    @property
    def unused(self) -> bytes:
        """Input bytes fed beyond the stream's end; empty until it's finished."""
        ...

    def feed(self, data: bytes, max_output: int = PIECE) -> bytes:
        """At most `max_output` bytes of output; data it can't use yet is kept. Raises DataCorrupt."""
        ...


def decompressor(codec: Codec, *, what: str) -> Decompressor:
    """Undo one stream (gzip member, xz stream, zstd frame ...); `what` names the file in errors."""
    return _Stream(_engine(codec, what), codec, what)


def decompress(data: bytes, codec: Codec, *, what: str, limit: int) -> bytes:
    """A whole small thing at once; raises DataCorrupt where it's damaged, cut off or longer than `limit` bytes."""
    return b"".join(decompress_stream([data], codec, what=what, limit=limit))


def decompress_stream(source: ByteSource | Iterable[bytes], codec: Codec, *, what: str, limit: int) -> Iterator[bytes]:
    """The content piece by piece, in memory bounded by PIECE and the codec's window.

    Streams may follow each other, zero padding between them is skipped. Raises DataCorrupt as decompress() does.
    """
    pieces = source if isinstance(source, Iterable) else _pieces_of(source)
    total = 0
    for piece in _streams(pieces, codec, what, limit + 1):
        total += len(piece)
        if total > limit:
            message = f"{what}: unpacks to more than {limit} bytes, more than its kind ever holds; it's damaged"
            raise DataCorrupt(message)
        yield piece


def _pieces_of(source: ByteSource) -> Iterator[bytes]:
    for offset in range(0, source.size, _INPUT_PIECE):
        yield source.read(offset, min(_INPUT_PIECE, source.size - offset))


def _streams(pieces: Iterable[bytes], codec: Codec, what: str, max_output: int) -> Iterator[bytes]:
    stream = decompressor(codec, what=what)
    held = b""
    for piece in pieces:
        held += piece
        while held:
            if stream.finished:
                held = held.lstrip(b"\0")
                if len(held) < _HEAD:
                    break
                stream = _next_stream(held, codec, what)
            yield from _drain(stream, held, max_output)
            held = stream.unused
    if held := held.lstrip(b"\0"):
        stream = _next_stream(held, codec, what)
        yield from _drain(stream, held, max_output)
    if not stream.finished or stream.unused.strip(b"\0"):
        message = f"{what}: its {codec} data ends too early; the file is cut off. Fetch it again"
        raise DataCorrupt(message)


def _next_stream(held: bytes, codec: Codec, what: str) -> Decompressor:
    if detect(held) != codec:
        message = f"{what}: {len(held)} or more bytes of something else follow its {codec} data; the file is damaged"
        raise DataCorrupt(message)
    return decompressor(codec, what=what)


def _drain(stream: Decompressor, data: bytes, max_output: int) -> Iterator[bytes]:
    bound = min(PIECE, max_output)
    yield stream.feed(data, bound)
    while not stream.finished and not stream.needs_input:
        yield stream.feed(b"", bound)


class _Engine(Protocol):
    """What bz2 and lzma offer, and zlib and zstandard are brought to here."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Stream:
    """An engine with the errors of this program and an end that may be passed more than once."""

    def __init__(self, engine: _Engine, codec: Codec, what: str) -> None:
        self._engine, self._codec, self._what = engine, codec, what
        self._late = b""

    @property
    def finished(self) -> bool:
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        return not self._engine.eof and self._engine.needs_input

    @property
    def unused(self) -> bytes:
        return self._engine.unused_data + self._late if self.finished else b""

    def feed(self, data: bytes, max_output: int = PIECE) -> bytes:
        if self.finished:
            self._late += data
            return b""
        try:
            return self._engine.decompress(data, max_output)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, zstandard.ZstdError) as error:
            message = f"{self._what}: its {self._codec} data is damaged ({error}). Fetch the file again"
            raise DataCorrupt(message) from error


def _engine(codec: Codec, what: str) -> _Engine:
    match codec:
        case "gzip":
            return _Inflate(16 + zlib.MAX_WBITS)  # 16 asks zlib for the gzip wrapping
        case "zlib":
            return _Inflate(zlib.MAX_WBITS)
        case "xz":
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY_LIMIT)
        case "lzma":
            return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY_LIMIT)
        case "bzip2":
            return bz2.BZ2Decompressor()
        case "zstd":
            return ZstdFrame(window_limit=_WINDOW_LIMIT)
        case "lz4" | "lzo":
            message = (
                f"{what}: is compressed with {codec}, which this program can't read "
                "(gzip, xz, lzma, bzip2 and zstd it can). Pack it anew with one of those"
            )
            raise UnknownCompression(message)


class _Inflate:
    """zlib's object, which hands back the input it had no room for instead of keeping it."""

    def __init__(self, window_bits: int) -> None:
        self._inflate = zlib.decompressobj(window_bits)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._full

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        held = self._inflate.unconsumed_tail
        output = self._inflate.decompress(held + data if held else data, max_length)
        # A full answer may leave output inside zlib even when it has swallowed all the input.
        self._full = len(output) == max_length or bool(self._inflate.unconsumed_tail)
        return output
