"""The failback client's connection to a recovery instance's port 1500, with the line that its network puts first."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from localcloud.drs.client_door import CERTIFICATE_HEADER
from localcloud.drs.replication import SESSION_HEADER

if TYPE_CHECKING:
    from localcloud.drs.volume import Extent

_ANSWER_SECONDS = 60


class Line(Exception):
    """The line to the recovery instance is broken, or it refuses, which no waiting changes."""

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


class PortCalls:
    """Keeps one connection; a broken one is made anew by the next question, in the same session."""

    def __init__(self, port: int, source: str, destination: str) -> None:
        self._port, self._announced = port, f"PROXY TCP4 {source} {destination} 49152 1500\r\n".encode()
        self._destination = destination
        self._connection: http.client.HTTPConnection | None = None
        self._session = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def open_session(self, certificate: str) -> None:
        """Begin replication."""
        self._session = self.ask("GET", "/session", certificate=certificate).decode().split()[1]

    def changes(self, device: str, since: int) -> tuple[int, list[Extent]]:
        """The volume's generation, and the extents that changed after `since`."""
        first, *lines = (
            self.ask("GET", f"/changes?{urlencode({'device': device, 'since': since})}").decode().splitlines()
        )
        pairs = (line.split() for line in lines)
        return int(first.split()[1]), [(int(offset), int(length)) for offset, length in pairs]

    def blocks(self, device: str, offset: int, length: int) -> bytes:
        """Bytes of the volume as it is now."""
        query = urlencode({"device": device, "offset": offset, "length": length})
        return self.ask("GET", f"/blocks?{query}")

    def ask(self, method: str, path: str, *, certificate: str = "") -> bytes:
        """One question; raises Line where no good answer comes."""
        heads = {CERTIFICATE_HEADER: certificate, SESSION_HEADER: self._session}
        try:
            connection = self._connection or self._connected()
            connection.request(method, path, headers={name: value for name, value in heads.items() if value})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._close()
            message = f"no answer from {self._destination} port 1500 ({type(error).__name__})"
            raise Line(message) from error
        if answer.status != 200:
            message = f"{self._destination} port 1500: HTTP {answer.status} {body.decode().strip()}"
            raise Line(message, refused=True)
        return body

    def _connected(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_SECONDS)
        connection.connect()
        connection.sock.sendall(self._announced)
        self._connection = connection
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
