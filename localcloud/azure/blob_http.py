"""The threaded HTTP server of the blob service: reads request heads, streams bodies, writes errors as XML."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from localcloud.azure.blob_request import BlobRefusal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

    Answering = Callable[[str, str, Mapping[str, str], BinaryIO], "BlobAnswer"]

# A client that is silent for this many seconds is let go.
_SILENCE = 60
# A refused body up to this size is read away, so that the connection lives on; beyond it the connection ends.
_LARGEST_DRAINED = 8 << 20


@dataclass(frozen=True, slots=True)
class BlobAnswer:
    """A status, headers (with Content-Length where there's a body), and the body in pieces."""

    status: int
    headers: Mapping[str, str]
    body: Iterator[bytes] = field(default_factory=lambda: iter(()))


class _CountingBody:
    """The request's body; knows how much of it has been read."""

    def __init__(self, source: BinaryIO) -> None:
        self._source, self.count = source, 0

    def readinto(self, buffer: memoryview) -> int:
        """Read into the buffer, as far as bytes are there."""
        count: int = self._source.readinto(buffer)  # type: ignore[attr-defined]
        self.count += count
        return count


class BlobServer(ThreadingHTTPServer):
    """One thread a connection; the TLS handshake happens in that thread too, so that nobody waits for it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], answering: Answering, *, tls: ssl.SSLContext | None) -> None:
        self.answering, self._tls = answering, tls
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept, and wrap without shaking hands yet."""
        connection, address = super().get_request()
        connection.settimeout(_SILENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away amid a request is its own business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Windows-Azure-Blob/1.0", ""
    wbufsize = 1 << 16
    server: BlobServer

    def do_GET(self) -> None:
        """Blobs and page lists."""
        self._serve()

    def do_HEAD(self) -> None:
        """Properties."""
        self._serve()

    def do_PUT(self) -> None:
        """Pages."""
        self._serve()

    def do_POST(self) -> None:
        """Nothing that is known here."""
        self._serve()

    def do_DELETE(self) -> None:
        """Nothing that is known here."""
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on the terminal."""

    def _serve(self) -> None:
        body = _CountingBody(self.rfile)  # type: ignore[arg-type]
        try:
            answer = self.server.answering(self.command, self.path, self.headers, body)  # type: ignore[arg-type]
        except BlobRefusal as refusal:
            answer = refused(refusal)
        self._drain(body)
        self._send(answer)

    def _drain(self, body: _CountingBody) -> None:
        length = self.headers.get("Content-Length", "0")
        left = int(length) - body.count if length.isdecimal() else 0
        if left > _LARGEST_DRAINED or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return
        while left > 0:
            data = self.rfile.read(min(left, 1 << 16))
            if not data:
                self.close_connection = True
                return
            left -= len(data)

    def _send(self, answer: BlobAnswer) -> None:
        self.send_response(answer.status)
        heads = {"Content-Length": "0", "x-ms-request-id": secrets.token_hex(16)} | dict(answer.headers)
        heads["x-ms-version"] = self.headers.get("x-ms-version", "2018-03-28")
        if "x-ms-client-request-id" in self.headers:
            heads["x-ms-client-request-id"] = self.headers["x-ms-client-request-id"]
        for name, value in heads.items():
            self.send_header(name, value)
        self.end_headers()
        left = int(heads["Content-Length"])
        if self.command != "HEAD":
            for piece in answer.body:
                self.wfile.write(piece)
                left -= len(piece)
            self.close_connection = self.close_connection or left != 0
        self.wfile.flush()


def refused(refusal: BlobRefusal) -> BlobAnswer:
    """The answer that an error is: XML with its code, which a header repeats."""
    text = (
        f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{refusal.code}</Code>'
        f"<Message>{escape(refusal.message)}</Message></Error>"
    )
    data = text.encode() if refusal.status != 304 else b""
    heads = {"x-ms-error-code": refusal.code, "Content-Type": "application/xml", "Content-Length": str(len(data))}
    return BlobAnswer(refusal.status, heads, iter([data]))
