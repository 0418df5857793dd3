"""Port 1500 of all recovery instances: HTTP/1.1 after one line of the PROXY protocol that says who calls whom.

Source of that line: HAProxy, "The PROXY protocol", version 1. What is said over the connection is this emulator's own.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from ipaddress import AddressValueError, IPv4Address
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from localcloud.drs.client_door import CERTIFICATE_HEADER
from localcloud.drs.volume import LARGEST_EXTENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localcloud.drs.records import RecoveryInstance
    from localcloud.drs.volume import Volume
    from localcloud.drs.world import World

SESSION_HEADER = "X-Drs-Session"
_PROXY = re.compile(rb"PROXY TCP4 ([0-9.]{7,15}) ([0-9.]{7,15}) \d{1,5} 1500\r\n")
# The longest line that version 1 has.
_LONGEST_LINE = 108
# Pairing has no body worth the name.
_LARGEST_BODY = 64 * 1024
_WHOLE = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Refused:
    """A connection that was closed without a word."""

    source: str
    destination: str
    why: str


class ReplicationPort:
    """What is behind the listener of `serve`; `holder` tells whose a certificate is."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._sent: Counter[tuple[str, str]] = Counter()
        self._sessions: dict[str, str] = {}
        self.refused: list[Refused] = []
        self.holder: Callable[[str], RecoveryInstance | None] = lambda _certificate: None

    @contextmanager
    def serve(self) -> Iterator[int]:
        """Listen on 127.0.0.1; gives the port."""
        with _Server(("127.0.0.1", 0), _handler(self)) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            try:
                yield server.server_address[1]
            finally:
                server.shutdown()
                thread.join()

    def sent(self, instance: str, device: str) -> int:
        """Bytes of blocks that were sent of a volume."""
        return self._sent[instance, device]

    def admit(self, line: bytes) -> RecoveryInstance | None:
        """The recovery instance that a connection is for; None, and it's kept in `refused`, where it's turned away."""
        found = _PROXY.fullmatch(line)
        if found is None:
            return self._turn_away("", "", "no PROXY line")
        source, destination = found[1].decode(), found[2].decode()
        instance = self._world.at(destination)
        if instance is None:
            return self._turn_away(source, destination, "no recovery instance has this address")
        if not self.answers(instance):
            return self._turn_away(source, destination, "the recovery instance doesn't answer")
        try:
            admitted = self._world.ec2.admits(instance.id, str(IPv4Address(source)))
        except AddressValueError:
            admitted = False
        return instance if admitted else self._turn_away(source, destination, "no rule of a security group admits it")

    def answers(self, instance: RecoveryInstance) -> bool:
        """Whether it's on, and its plan lets it talk."""
        return instance.plan.communication and self._world.ec2.state(instance.id) == "RUNNING"

    def open_session(self, instance: RecoveryInstance) -> str:
        """A session for replication."""
        name = secrets.token_hex(16)
        self._sessions[name] = instance.id
        return name

    def has_session(self, instance: RecoveryInstance, name: str) -> bool:
        """Whether the session is one of that recovery instance."""
        return self._sessions.get(name) == instance.id

    def count(self, instance: str, device: str, length: int) -> None:
        """Bytes are being sent."""
        with self._lock:
            self._sent[instance, device] += length

    def _turn_away(self, source: str, destination: str, why: str) -> RecoveryInstance | None:
        with self._lock:
            self.refused.append(Refused(source, destination, why))
        return None


class _Server(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128


def _handler(port: ReplicationPort) -> type[BaseHTTPRequestHandler]:
    return type("_BoundHandler", (_Handler,), {"port": port})


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    port: ReplicationPort
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle(self) -> None:
        """Let it in or close it, then answer its requests."""
        try:
            instance = self.port.admit(self.rfile.readline(_LONGEST_LINE))
            if instance is not None:
                self._instance = instance
                super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Every request but pairing."""
        url = urlsplit(self.path)
        if self._is_cut():
            return
        if url.path == "/hello":
            self._give(200, f"recovery-instance {self._instance.id}\n".encode())
        elif url.path == "/session":
            self._with_certificate(lambda: f"session {self.port.open_session(self._instance)}\n")
        elif url.path in {"/changes", "/blocks"}:
            self._read_volume(url.path, {name: values[0] for name, values in parse_qs(url.query).items()})
        else:
            self._give(404, b"no such thing\n")

    def do_POST(self) -> None:
        """Pairing."""
        length = self.headers.get("Content-Length", "")
        self.rfile.read(min(int(length), _LARGEST_BODY) if length.isdecimal() else 0)
        if self._is_cut():
            return
        if urlsplit(self.path).path == "/pair":
            self._with_certificate(lambda: "paired\n")
        else:
            self._give(404, b"no such thing\n")

    def _is_cut(self) -> bool:
        """A connection doesn't outlive the machine, or what lets it talk."""
        self.close_connection = self.close_connection or not self.port.answers(self._instance)
        return not self.port.answers(self._instance)

    def _with_certificate(self, answer: Callable[[], str]) -> None:
        holder = self.port.holder(self.headers.get(CERTIFICATE_HEADER, ""))
        if holder is not self._instance:
            self._give(403, b"the certificate isn't this recovery instance's\n")
        else:
            self._give(200, answer().encode())

    def _read_volume(self, path: str, query: dict[str, str]) -> None:
        volume = self._instance.volumes.get(query.get("device", ""))
        numbers = {name: int(query[name]) for name in query if _WHOLE.fullmatch(query[name])}
        if not self.port.has_session(self._instance, self.headers.get(SESSION_HEADER, "")):
            self._give(403, b"no session\n")
        elif volume is None:
            self._give(404, b"no such volume\n")
        elif path == "/changes" and "since" in numbers:
            self._give(200, self._changes(volume, numbers["since"]))
        elif path == "/blocks" and _lie_within(volume, numbers):
            self._give_blocks(volume, numbers["offset"], numbers["length"])
        else:
            self._give(400, b"offset, length or since is missing or wrong\n")

    def _changes(self, volume: Volume, since: int) -> bytes:
        link = self._instance.link
        generation, extents = volume.changes(since, original=link is not None and link.original)
        return "".join([f"generation {generation}\n", *(f"{at} {length}\n" for at, length in extents)]).encode()

    def _give_blocks(self, volume: Volume, offset: int, length: int) -> None:
        self.port.count(self._instance.id, volume.device, length)
        self._give(200, volume.read(offset, length))

    def _give(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _lie_within(volume: Volume, numbers: dict[str, int]) -> bool:
    offset, length = numbers.get("offset", -1), numbers.get("length", 0)
    return 0 <= offset < offset + length <= volume.size and length <= LARGEST_EXTENT
