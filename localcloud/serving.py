"""An embedded cloud's web application on 127.0.0.1, served by threads for the length of a `with` block."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIApplication


class _SilentHandler(WSGIRequestHandler):
    """Requests are recorded by the applications; on the terminal they'd only be noise."""

    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serve_application(
    application: WSGIApplication, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve until the block ends; gives the base URL without a slash at its end. Port 0 is any free one."""
    server = make_server(host, port, application, threaded=True, request_handler=_SilentHandler)
    if tls is not None:
        # Shaking hands is left to each connection's own thread: one client that says nothing would stop all others.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.ssl_context = tls
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
