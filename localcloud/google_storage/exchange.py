"""A request of the JSON API: its operation, its path's names, its query and headers, its body; and the answer.

Source: Cloud Storage JSON API reference v1, and "Cloud Storage URI encoding" (names are percent-encoded in paths).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from localcloud.google_identity.refusal import ApiRefusal, Json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from werkzeug import Request

    from localcloud.google_storage.routes import Route

LARGEST_DOCUMENT = 1024 * 1024
"""Bytes of a JSON body."""
_SWALLOWED = 64 * 1024 * 1024
"""Bytes of a refused body that are read away: a client that's still sending would see a broken line, no answer."""
_NUMBER = re.compile(r"[0-9]{1,19}")


class Readable(Protocol):
    """The server's input stream."""

    def read(self, size: int = ..., /) -> bytes:
        """At most `size` bytes."""

    def readline(self, size: int = ..., /) -> bytes:
        """A line, or `size` bytes of it."""


class Body:
    """The server's stream, which goes on to the next request, ended where this request's body ends."""

    def __init__(self, stream: Readable, length: int) -> None:
        self._stream, self.left = stream, length

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer where the body ends or the client has gone."""
        return self._count(self._stream.read(min(size, self.left)))

    def readline(self, size: int) -> bytes:
        """A line, or `size` bytes of it."""
        return self._count(self._stream.readline(min(size, self.left)))

    def swallow(self) -> None:
        """Read away what's left, up to a limit."""
        budget = _SWALLOWED
        while self.left and budget > 0 and (data := self.read(1 << 20)):
            budget -= len(data)

    def _count(self, data: bytes) -> bytes:
        self.left -= len(data)
        return data


@dataclass(frozen=True, slots=True)
class StorageRequest:
    """One request; `headers` by names in lower case, `base` is where the service was reached.

    `may_replace` says whether whoever asks may delete what an upload replaces.
    """

    route: Route
    bucket: str
    name: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body
    base: str
    may_replace: bool = True

    def document(self) -> Json:
        """The JSON object of the body; an empty body is an empty object."""
        if self.body.left > LARGEST_DOCUMENT:
            raise ApiRefusal(400, "parseError", "The request's document is too large.")
        return read_document(self.body.read(self.body.left))

    def number(self, name: str) -> int | None:
        """A whole number of the query."""
        text = self.query.get(name)
        if text is None:
            return None
        if _NUMBER.fullmatch(text) is None:
            raise ApiRefusal(400, "invalid", f"Invalid numeric value: {text}", location=("parameter", name))
        return int(text)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a JSON document, or a body as chunks."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json | Iterable[bytes] = ()


def read_document(data: bytes) -> Json:
    """A JSON object; raises ApiRefusal for anything else."""
    try:
        document = json.loads(data) if data.strip() else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ApiRefusal(400, "parseError", "Parse Error")
    return document


def headers_of(request: Request) -> dict[str, str]:
    """By names in lower case."""
    return {name.lower(): value for name, value in request.headers.items()}


def length_of(headers: Mapping[str, str]) -> int:
    """Bytes of the body; a body without a length is refused, as streams of chunks aren't emulated."""
    text = headers.get("content-length", "")
    if "transfer-encoding" in headers or (text and _NUMBER.fullmatch(text) is None):
        raise ApiRefusal(411, "lengthRequired", "You must provide the Content-Length HTTP header.")
    return int(text or 0)
