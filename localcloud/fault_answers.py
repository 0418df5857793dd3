"""How a fault answers a request, cuts an answer short, or closes the line without one."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, headers, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def give(answer: Answer, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The answer in place of the service's own."""
    _read_away(environ)
    named = [pair for pair in answer.headers if pair[0].lower() != "content-length"]
    start_response(f"{answer.status} Fault", [*named, ("Content-Length", str(len(answer.body)))])
    return [answer.body]


def _read_away(environ: WSGIEnvironment) -> None:
    """Take a large body, as services do: a client that's still sending would see a broken line and no answer.

    Large ones come by PUT; a form may have been read already, to tell which call it is.
    """
    left = int(environ.get("CONTENT_LENGTH") or 0) if environ["REQUEST_METHOD"] == "PUT" else 0
    body = environ.get("wsgi.input")
    while body is not None and left > 0 and (data := body.read(min(left, 1 << 20))):
        left -= len(data)


def ignore_start(status: str, headers: list[tuple[str, str]], exc_info: object = None, /) -> Callable[[bytes], object]:
    """The beginning of an answer that nobody hears."""
    return lambda data: None


def exhaust(chunks: Iterable[bytes]) -> None:
    """Take an answer to its end, as a connection would, and throw it away."""
    try:
        for _ in chunks:
            pass
    finally:
        _close(chunks)


def cut(chunks: Iterable[bytes], left: int, environ: WSGIEnvironment) -> Iterator[bytes]:
    """An answer's first bytes, and then the end of the line."""
    try:
        for chunk in chunks:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                break
    finally:
        _close(chunks)
    drop(environ)


def _close(chunks: Iterable[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()


def drop(environ: WSGIEnvironment) -> None:
    """End the connection under the server: it says so to nobody, as the client is the one who left."""
    connection = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    message = "the connection is closed on purpose"
    raise ConnectionAbortedError(message)
