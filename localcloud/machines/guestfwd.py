"""Joins one connection of a guest (standard input and output) to a port of 127.0.0.1.

QEMU starts one such process a connection, as a file: `python -S -E guestfwd.py PORT [SOURCE DESTINATION PORT]`. It
starts in milliseconds, because it imports little and nothing of ours. With the last three words it says first whose the
connection is and where it was meant to go (HAProxy's "The PROXY protocol", section 2.1, version 1).
"""

from __future__ import annotations

import os
import socket
import sys
import threading

# One read's limit; slirp hands over at most 64 KiB at a time.
CHUNK = 1 << 16
CONNECT_SECONDS = 10


def join(stdin: int, stdout: int, port: int, *, announced: list[str]) -> None:
    """Carry bytes both ways until the server has closed; a guest that has finished sending still gets its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=CONNECT_SECONDS) as server:
        server.settimeout(None)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if announced:
            server.sendall(_line(server.getsockname()[1], *announced))
        threading.Thread(target=_send, args=(stdin, server), daemon=True).start()
        while data := server.recv(CHUNK):
            _write_all(stdout, data)


def _line(from_port: int, source: str, destination: str, port: str) -> bytes:
    """The guest's own port isn't told to us: this connection's stands for it."""
    return f"PROXY TCP4 {source} {destination} {from_port} {port}\r\n".encode("ascii")


def _send(stdin: int, server: socket.socket) -> None:
    try:
        while data := os.read(stdin, CHUNK):
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)
    except OSError:
        # The server is gone: the other direction sees that too, and ends the process.
        return


def _write_all(stdout: int, data: bytes) -> None:
    while data:
        data = data[os.write(stdout, data) :]


def main(arguments: list[str]) -> int:
    """Exit code 1 when nobody listens or a side breaks off: the guest then sees its connection closed."""
    try:
        join(0, 1, int(arguments[0]), announced=arguments[1:])
    except OSError as error:
        print(f"127.0.0.1:{arguments[0]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
