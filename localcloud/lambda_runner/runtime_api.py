"""The Lambda Runtime API, version 2018-06-01, for one worker: next, response, error and init/error.

Source: AWS Lambda developer guide, "Using the Lambda runtime API"; the header names are those that awslambdaric reads.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from typing import Literal

from localcloud.lambda_runner.outcome import MAX_RESPONSE_BYTES

PREFIX = "/2018-06-01/runtime"
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event for a handler; the deadline is in milliseconds since 1970."""

    request_id: str
    payload: bytes
    function_arn: str
    deadline_ms: int
    client_context: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker said: that it waits for work, what the handler returned, or how it failed."""

    kind: Literal["ready", "response", "error", "init_error"]
    body: bytes = b""
    error_type: str = ""
    size: int = 0


class RuntimeEndpoint:
    """Listens on a free port of 127.0.0.1 for one worker's process until closed."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Invocation | None] = SimpleQueue()
        self._reports: SimpleQueue[Report] = SimpleQueue()
        self._current: Invocation | None = None
        self._closed = False
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port as AWS_LAMBDA_RUNTIME_API holds them."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def submit(self, invocation: Invocation) -> None:
        """Hand an event to the worker as soon as it asks for one."""
        self._work.put(invocation)

    def report(self, timeout_seconds: float) -> Report | None:
        """The worker's next word, or None if it said nothing for so long."""
        try:
            return self._reports.get(timeout=timeout_seconds)
        except Empty:
            return None

    def close(self) -> None:
        """Stop listening; a request that waits for work ends."""
        self._closed = True
        self._work.put(None)
        if self._thread.is_alive():
            # A sandbox that was killed may be closed by two at a time.
            with suppress(OSError):
                self._server.socket.shutdown(socket.SHUT_RD)
            self._thread.join()
        self._server.server_close()

    def _serve(self) -> None:
        # Without polling, unlike serve_forever: many endpoints lie idle most of the time.
        while not self._closed:
            self._server.handle_request()

    def next(self) -> Invocation | None:
        """Block until there is work; None means that the endpoint closed."""
        self._reports.put(Report("ready"))
        self._current = self._work.get()
        return self._current

    def accept(self, path: str, report: Report) -> int:
        """The HTTP status for something posted: 202, or 400 if it's about no invocation that runs."""
        if path == f"{PREFIX}/init/error":
            self._reports.put(Report("init_error", report.body, report.error_type))
            return 202
        current = self._current
        if current is None:
            return 400
        place = f"{PREFIX}/invocation/{current.request_id}"
        if path not in {f"{place}/response", f"{place}/error"}:
            return 400
        self._current = None
        kind: Literal["response", "error"] = "response" if path.endswith("response") else "error"
        self._reports.put(Report(kind, report.body, report.error_type, report.size))
        return 202


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, endpoint: RuntimeEndpoint) -> None:
        self.endpoint = endpoint
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # One segment an answer, at once: otherwise delayed acknowledgements cost 40 ms a call.
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        invocation = self.server.endpoint.next() if self.path == f"{PREFIX}/invocation/next" else None
        if invocation is None:
            self._answer(404, b"{}")
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{invocation.request_id[-12:]:0>24};Sampled=0",
        }
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        self._answer(200, invocation.payload, headers)

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size) if size <= MAX_RESPONSE_BYTES else self._skip(size)
        error_type = self.headers.get("Lambda-Runtime-Function-Error-Type") or ""
        status = self.server.endpoint.accept(self.path, Report("response", body, error_type, size))
        self._answer(status, b'{"status":"OK"}')

    def _skip(self, size: int) -> bytes:
        while size > 0:
            size -= len(self.rfile.read(min(size, _CHUNK))) or size
        return b""

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the function's own log says what happened."""
