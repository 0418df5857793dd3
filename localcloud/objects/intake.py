"""A request's body on its way to a file: length, MD5 and checksums are judged while it streams.

Source: Amazon S3 user guide, "Checking object integrity" and "Signature calculations: aws-chunked" (chunks are
`<hex size>[;chunk-signature=...]\r\n<data>\r\n`, after the last of size 0 come the trailers). Chunk signatures
aren't verified, as no signature is.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from localcloud.objects.record import Segment
from localcloud.objects.refusal import S3Refusal
from localcloud.objects.store import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from localcloud.objects.store import Bucket

LARGEST_PUT = 5 * 1024**3
"""Bytes of one PutObject or one part: 5 GiB."""
EMULATED = ("crc32", "sha1", "sha256")
"""Checksums that the standard library computes at speed and that every SDK sends."""
ALL_ALGORITHMS = (*EMULATED, "crc32c", "crc64nvme", "sha512", "md5", "xxhash64", "xxhash3", "xxhash128")
_LONGEST_LINE = 1024
_ZEROS = bytes(CHUNK)
_MOST_TRAILERS = 8
_CHUNK_LINE = re.compile(rb"([0-9a-fA-F]{1,10})(;[ -~]*)?\r\n")
_PREFIX = "x-amz-checksum-"


class Readable(Protocol):
    """The server's input stream."""

    def read(self, size: int = ..., /) -> bytes:
        """At most `size` bytes."""

    def readline(self, size: int = ..., /) -> bytes:
        """A line, or `size` bytes of it."""


class _Crc32:
    """zlib's CRC in the clothes of hashlib's digests."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


@dataclass(slots=True)
class Digests:
    """MD5, for the ETag, and one checksum over the bytes that pass."""

    algorithm: str | None = None
    size: int = 0
    md5: hashlib._Hash = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))
    _other: _Crc32 | hashlib._Hash | None = None

    def __post_init__(self) -> None:
        if self.algorithm is not None:
            self._other = new_digest(self.algorithm)

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        self.md5.update(data)
        if self._other is not None:
            self._other.update(data)

    def checksums(self) -> dict[str, str]:
        """The checksum in base64 by its algorithm."""
        if self.algorithm is None or self._other is None:
            return {}
        return {self.algorithm: base64.b64encode(self._other.digest()).decode("ascii")}


@dataclass(frozen=True, slots=True)
class Received:
    """A body that is a file now."""

    segment: Segment
    etag: str
    checksums: dict[str, str]


def new_digest(algorithm: str) -> _Crc32 | hashlib._Hash:
    """An empty digest of one of the emulated algorithms."""
    return _Crc32() if algorithm == "crc32" else hashlib.new(algorithm)


def receive(bucket: Bucket, headers: Mapping[str, str], stream: Readable) -> Received:
    """Stream a body to a new file of the bucket; nothing is left of one that's refused."""
    promised = _promised(headers)
    digests = Digests(algorithm=promised[0] if promised else None)
    path = bucket.new_file()
    try:
        trailers = _stream(headers, stream, path, digests)
        _judge(headers, trailers, promised, digests)
    except (S3Refusal, OSError):
        path.unlink(missing_ok=True)
        raise
    segment = Segment(file=path.name, size=digests.size)
    return Received(segment, digests.md5.hexdigest(), digests.checksums())


def check_document(headers: Mapping[str, str], data: bytes) -> None:
    """Refuse a body that isn't what its MD5 or its checksum says."""
    promised = _promised(headers)
    digests = Digests(algorithm=promised[0] if promised else None)
    digests.update(data)
    _judge(headers, {}, promised, digests)


def _promised(headers: Mapping[str, str]) -> tuple[str, str | None] | None:
    """The algorithm and, where it isn't in the trailer, the value of the checksum that the request announces."""
    given = {name.removeprefix(_PREFIX): value for name, value in headers.items() if name.startswith(_PREFIX)}
    found: dict[str, str | None] = {name: given[name] for name in ALL_ALGORITHMS if name in given}
    trailer = headers.get("x-amz-trailer")
    if trailer is not None:
        found[trailer.strip().lower().removeprefix(_PREFIX)] = None
    if len(found) > 1:
        raise S3Refusal(code="InvalidRequest", message="Expecting a single x-amz-checksum- header")
    for name, value in found.items():
        check_algorithm(name)
        return name, value
    return None


def check_algorithm(name: str) -> None:
    """Refuse a checksum that isn't known or isn't emulated."""
    if name not in ALL_ALGORITHMS:
        raise S3Refusal(code="InvalidRequest", message=f"There is no checksum algorithm {name}")
    if name not in EMULATED:
        raise S3Refusal(code="NotImplemented", message=f"The checksum {name} isn't emulated: use CRC32 or SHA256")


def _length(headers: Mapping[str, str]) -> int:
    chunked = "aws-chunked" in headers.get("content-encoding", "") or _is_streaming(headers)
    text = headers.get("x-amz-decoded-content-length" if chunked else "content-length", "")
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise S3Refusal(code="MissingContentLength", message="You must provide the Content-Length HTTP header.")
    if int(text) > LARGEST_PUT:
        raise S3Refusal(code="EntityTooLarge", message="Your proposed upload exceeds the maximum allowed size")
    return int(text)


def _is_streaming(headers: Mapping[str, str]) -> bool:
    return headers.get("x-amz-content-sha256", "").startswith("STREAMING-")


def _stream(headers: Mapping[str, str], stream: Readable, path: Path, digests: Digests) -> dict[str, str]:
    expected = _length(headers)
    trailers: dict[str, str] = {}
    data = _aws_chunks(stream, trailers) if _is_streaming(headers) else _plain(stream, expected)
    with path.open("xb", buffering=0) as file:
        for chunk in data:
            digests.update(chunk)
            if digests.size > expected:
                break
            # An exported disk is mostly zeros, which take no room here.
            if chunk == _ZEROS[: len(chunk)]:
                file.seek(len(chunk), os.SEEK_CUR)
            else:
                file.write(chunk)
        file.truncate()
    if digests.size != expected:
        message = "You did not provide the number of bytes specified by the Content-Length HTTP header"
        raise S3Refusal(code="IncompleteBody", message=message)
    return trailers


def _plain(stream: Readable, left: int) -> Iterator[bytes]:
    while left:
        chunk = stream.read(min(CHUNK, left))
        if not chunk:
            return
        left -= len(chunk)
        yield chunk


def _aws_chunks(stream: Readable, trailers: dict[str, str]) -> Iterator[bytes]:
    while True:
        line = _CHUNK_LINE.fullmatch(stream.readline(_LONGEST_LINE))
        if line is None:
            raise S3Refusal(code="IncompleteBody", message="The chunked body is damaged or ends too soon")
        size = int(line[1], 16)
        if size == 0:
            _read_trailers(stream, trailers)
            return
        yield from _plain(stream, size)
        if stream.read(2) != b"\r\n":
            raise S3Refusal(code="IncompleteBody", message="A chunk isn't as long as it says")


def _read_trailers(stream: Readable, trailers: dict[str, str]) -> None:
    for _ in range(_MOST_TRAILERS):
        line = stream.readline(_LONGEST_LINE).decode("latin-1").strip()
        if not line:
            return
        name, _, value = line.partition(":")
        trailers[name.strip().lower()] = value.strip()


def _judge(
    headers: Mapping[str, str], trailers: Mapping[str, str], promised: tuple[str, str | None] | None, digests: Digests
) -> None:
    md5 = headers.get("content-md5")
    if md5 is not None and base64.b64encode(digests.md5.digest()).decode("ascii") != md5:
        raise S3Refusal(code="BadDigest", message="The Content-MD5 you specified did not match what we received.")
    if promised is None:
        return
    algorithm, value = promised
    value = trailers.get(_PREFIX + algorithm) if value is None else value
    if value is None:
        raise S3Refusal(code="MalformedTrailerError", message=f"The trailer {_PREFIX}{algorithm} is missing")
    if value != digests.checksums()[algorithm]:
        message = f"The {algorithm.upper()} you specified did not match the calculated checksum."
        raise S3Refusal(code="BadDigest", message=message)
