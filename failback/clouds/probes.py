"""Looks over the network from where a stage runs: whether a TCP port takes a connection, and what a URL answers."""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

TCP_SECONDS, HTTP_SECONDS = 3.0, 8.0
"""A server that's up answers in milliseconds, one that's far away in a second; five of the first and one of the second
take 23 of the 120 seconds that the stage's function has."""

FIRST_BAD_STATUS = 400


class SocketProbes:
    """Probes. Certificates are checked as everywhere; redirections aren't followed, they're an answer."""

    def __init__(self, *, tcp_seconds: float = TCP_SECONDS, http_seconds: float = HTTP_SECONDS) -> None:
        self._tcp_seconds, self._http_seconds = tcp_seconds, http_seconds

    def tcp(self, address: str) -> str:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), self._tcp_seconds).close()
        except (OSError, ValueError, OverflowError) as error:
            return _told(error)
        return ""

    def http(self, url: str) -> str:
        try:
            status, reason = self._status(url)
        except (OSError, HTTPException, ValueError) as error:
            return _told(error)
        return "" if status < FIRST_BAD_STATUS else f"{status} {reason}".strip()

    def _status(self, url: str) -> tuple[int, str]:
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self._http_seconds)
        try:
            connection.request("GET", f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}")
            answer = connection.getresponse()
            return answer.status, answer.reason
        finally:
            connection.close()


def _told(error: Exception) -> str:
    """What went wrong, in words: some errors have none but their name."""
    return str(error) or type(error).__name__
