"""Serving the embedded clouds: nobody can hold up everybody else."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trustme
from werkzeug import Request, Response

from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return Response(Request(environ).scheme)(environ, start_response)


def test_a_silent_client_does_not_stop_the_others() -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    with (
        serve_application(application, tls=server) as url,
        socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)),
        urllib.request.urlopen(url, context=client, timeout=10) as answer,
    ):
        assert answer.read() == b"https"


def test_without_tls() -> None:
    with serve_application(application) as url, urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"http"
