"""The process that joins a guest's connection to a local port, with real sockets."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from localcloud.machines.command_line import FORWARDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # Serves one connection.
    Serve = Callable[[socket.socket], None]

WAIT = 10


@pytest.fixture
def serve() -> Iterator[Callable[[Serve], int]]:
    """Start a server for one connection; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WAIT)
        threads: list[threading.Thread] = []

        def start(handle: Serve) -> int:
            def run() -> None:
                connection, _ = listener.accept()
                with connection:
                    handle(connection)

            threads.append(threading.Thread(target=run))
            threads[0].start()
            port: int = listener.getsockname()[1]
            return port

        yield start
        for thread in threads:
            thread.join(WAIT)
            assert not thread.is_alive()


def forward(port: int, data: bytes, *announced: str) -> subprocess.CompletedProcess[bytes]:
    """As QEMU starts it; the guest sends `data` and then closes its side."""
    words = [sys.executable, "-S", "-E", str(FORWARDER), str(port), *announced]
    return subprocess.run(words, input=data, capture_output=True, timeout=WAIT, check=False)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while data := connection.recv(1 << 16):
        received += data
    return received


def test_an_answer_comes_back_after_the_guest_has_finished_sending(serve: Callable[[Serve], int]) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"got " + read_all(connection))

    done = forward(serve(answer), b"GET / HTTP/1.0\r\n\r\n")
    assert done.stdout == b"got GET / HTTP/1.0\r\n\r\n"
    assert done.returncode == 0


def test_an_announced_connection_begins_with_whose_it_is(serve: Callable[[Serve], int]) -> None:
    sources: list[int] = []

    def answer(connection: socket.socket) -> None:
        sources.append(connection.getpeername()[1])
        connection.sendall(read_all(connection))

    done = forward(serve(answer), b"GET / HTTP/1.1\r\n\r\n", "10.20.0.4", "169.254.64.7", "1500")
    line = f"PROXY TCP4 10.20.0.4 169.254.64.7 {sources[0]} 1500\r\n".encode()
    assert done.stdout == line + b"GET / HTTP/1.1\r\n\r\n"


def test_megabytes_go_both_ways_at_once(serve: Callable[[Serve], int]) -> None:
    """More than every buffer between them: one direction mustn't wait for the other."""
    blob = bytes(range(256)) * (16 << 10)
    received: list[bytes] = []

    def exchange(connection: socket.socket) -> None:
        sender = threading.Thread(target=connection.sendall, args=(blob,))
        sender.start()
        received.append(read_all(connection))
        sender.join()

    assert forward(serve(exchange), blob).stdout == blob
    assert received == [blob]


def test_it_ends_when_the_server_closes_though_the_guest_has_not(serve: Callable[[Serve], int]) -> None:
    port = serve(lambda connection: connection.sendall(b"bye"))
    words = [sys.executable, "-S", "-E", str(FORWARDER), str(port)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"bye"
        assert process.wait(WAIT) == 0


def test_nobody_listening_closes_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = forward(port, b"x")
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr.decode()
    assert b"Traceback" not in done.stderr
