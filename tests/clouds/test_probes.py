"""Looks over the network, at servers on loopback that answer, refuse, say nothing, or say something else."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from failback.clouds.probes import SocketProbes

if TYPE_CHECKING:
    from collections.abc import Iterator

PROBES = SocketProbes(tcp_seconds=0.2, http_seconds=0.2)


class _Site(BaseHTTPRequestHandler):
    """`/200?x=1` is answered with the status 200, and so on; the last request's line is kept."""

    asked = ""

    def do_GET(self) -> None:
        type(self).asked = self.path
        self.send_response(int(self.path.strip("/").partition("?")[0] or "204"))
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def listener(said: bytes = b"") -> Iterator[str]:
    """A port that takes a connection, says that and nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []

        def take() -> None:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            taken.append(connection)
            connection.sendall(said)
            if said:
                connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=take)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in taken:
            connection.close()


@pytest.fixture
def closed() -> str:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_port_that_takes_a_connection_answers() -> None:
    with listener() as address:
        assert PROBES.tcp(address) == ""


def test_a_closed_port_says_so(closed: str) -> None:
    assert "refused" in PROBES.tcp(closed)
    assert "refused" in PROBES.http(f"http://{closed}/")


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "a..b:22"])
def test_what_is_no_address_says_so(address: str) -> None:
    assert PROBES.tcp(address)


@pytest.mark.parametrize(("status", "good"), [(200, True), (204, True), (302, True), (399, True), (400, False)])
def test_a_status_below_400_is_an_answer(site: str, status: int, good: bool) -> None:
    assert (PROBES.http(f"http://{site}/{status}?x=1") == "") is good
    assert _Site.asked == f"/{status}?x=1"


def test_a_url_without_a_path_asks_for_the_root(site: str) -> None:
    assert PROBES.http(f"http://{site}") == ""
    assert _Site.asked == "/"


def test_a_bad_status_is_told(site: str) -> None:
    assert PROBES.http(f"http://{site}/503") == "503 Service Unavailable"


def test_who_says_nothing_is_not_waited_for() -> None:
    with listener() as address:
        assert "timed out" in PROBES.http(f"http://{address}/")


def test_what_is_no_http_says_so() -> None:
    with listener(b"SSH-2.0-OpenSSH_9.2\r\n") as address:
        assert "SSH-2.0" in PROBES.http(f"http://{address}/")


def test_what_is_no_tls_says_so(site: str) -> None:
    assert PROBES.http(f"https://{site}/200")


@pytest.mark.parametrize("url", ["http://web:port/", "http://web:99999/", "http://127.0.0.1:1/a b"])
def test_what_is_no_url_says_so(url: str) -> None:
    assert PROBES.http(url)
