"""What a request asks of which service, and the first bytes of its body, which stay readable for whoever comes next."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from _typeshed.wsgi import InputStream, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks of whom; `operation` is empty where the service doesn't know it."""

    service: str
    operation: str


def peek(environ: WSGIEnvironment, most: int) -> bytes:
    """Up to so many bytes of a body whose length is said; all of it can be read once more afterwards."""
    size, body = int(environ.get("CONTENT_LENGTH") or 0), environ.get("wsgi.input")
    if body is None or size <= 0:
        return b""
    head: bytes = body.read(min(size, most))
    whole = len(head) < most or len(head) == size
    environ["wsgi.input"] = io.BytesIO(head) if whole else io.BufferedReader(_Rejoined(head, body, size - len(head)))
    return head


class _Rejoined(io.RawIOBase):
    """What was read of a body already, and after it the `left` bytes that still come."""

    def __init__(self, head: bytes, rest: InputStream, left: int) -> None:
        self._head, self._rest, self._left = memoryview(head), rest, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        room = memoryview(buffer).cast("B")
        data: bytes | memoryview = self._head[: len(room)]
        if data:
            self._head = self._head[len(data) :]
        else:
            data = self._rest.read(min(len(room), self._left))
            self._left -= len(data)
        room[: len(data)] = data
        return len(data)
