"""One zstd frame (RFC 8878) undone with a bound on the output, which the zstandard package's objects don't have."""

from __future__ import annotations

import zstandard

_HEADER_SEEN = 8
"""Bytes that tell a header's length; the shortest frame has nine."""


class ZstdFrame:
    """Used like lzma.LZMADecompressor. zstandard gets one block at a time, for a block unpacks to at most 128 KiB."""

    def __init__(self, *, window_limit: int) -> None:
        self._object = zstandard.ZstdDecompressor(max_window_size=window_limit).decompressobj()
        self._input = bytearray()
        self._output = bytearray()
        self._starved = True
        self._left = 0
        self._checksum: int | None = None

    @property
    def eof(self) -> bool:
        """The frame's end was seen and all output returned."""
        return self._object.eof and not self._output

    @property
    def needs_input(self) -> bool:
        """False while decompress(b"") alone would return more."""
        return self._starved and not self._output

    @property
    def unused_data(self) -> bytes:
        """Input beyond the frame's end, once that was seen."""
        return self._object.unused_data + bytes(self._input)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most `max_length` bytes of output; raises zstandard.ZstdError where the frame is damaged."""
        self._input += data
        position = 0
        while len(self._output) < max_length and not self._object.eof:
            part = self._input[position : position + self._next_part(position)]
            self._starved = not part
            if self._starved:
                break
            position += len(part)
            self._left -= len(part)
            self._output += self._object.decompress(part)
        del self._input[:position]
        output = bytes(self._output[:max_length])
        del self._output[:max_length]
        return output

    def _next_part(self, position: int) -> int:
        """How many input bytes may go in before a further block could begin; 0 where that can't be seen yet."""
        if not self._left:
            head = bytes(self._input[position : position + _HEADER_SEEN])
            if self._checksum is None:
                self._left, self._checksum = _header_length(head)
            else:
                self._left = _block_length(head, self._checksum)
        return self._left


def is_skippable(head: bytes) -> bool:
    """Whether a frame begins that holds no data (RFC 8878 section 3.1.2)."""
    return head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50


def _header_length(head: bytes) -> tuple[int, int | None]:
    """Lengths of a frame's header (RFC 8878 section 3.1.1.1) and of the checksum at its end; 0, None if unseen yet.

    A skippable frame is all header.
    """
    if len(head) < 8:
        return 0, None
    if is_skippable(head):
        return 8 + int.from_bytes(head[4:8], "little"), 0
    descriptor = head[4]
    single_segment = descriptor >> 5 & 1
    content_size = (single_segment, 2, 4, 8)[descriptor >> 6]
    length = 5 + (1 - single_segment) + (0, 1, 2, 4)[descriptor & 3] + content_size
    return length, (descriptor >> 2 & 1) * 4


def _block_length(head: bytes, checksum: int) -> int:
    """Length of a block with its header (section 3.1.1.2) and, behind the last one, the checksum; 0 if unseen yet."""
    if len(head) < 3:
        return 0
    header = int.from_bytes(head[:3], "little")
    is_last, is_repeated = header & 1, header >> 1 & 3 == 1
    return 3 + (1 if is_repeated else header >> 3) + (checksum if is_last else 0)
