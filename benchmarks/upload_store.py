"""The embedded Cloud Storage in a process of its own, for the upload benchmark, and a socket that throws all away."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.other_process import other_process
from localcloud.google_identity.service import GoogleIdentity
from localcloud.google_identity.settings import Grant, IdentitySettings
from localcloud.google_storage.service import StorageService

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from multiprocessing.connection import Connection

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PROJECT, BUCKET = "home-servers", "images-1"
_PRINCIPAL = "user:bench@home.test"


@dataclass(frozen=True, slots=True)
class StoreProcess:
    """The process's other end; `environment` is what leads the jobs to it."""

    environment: Mapping[str, str]
    pipe: Connection

    def answer_after(self, seconds: float) -> None:
        """Let every request wait that long from now on, as one to a service far away does."""
        self.pipe.send(seconds)
        self.pipe.recv()


@contextmanager
def store_process(parent: Path) -> Iterator[StoreProcess]:
    """Cloud Storage with one bucket, its files under `parent`, for the length of the block."""
    with other_process(_serve, parent) as (environment, pipe):
        yield StoreProcess(environment, pipe)


def _serve(parent: Path, pipe: Connection) -> None:
    grant = Grant(_PRINCIPAL, "roles/storage.admin", f"projects/{PROJECT}")
    identity = GoogleIdentity(IdentitySettings(grants=(grant,)))
    with tempfile.TemporaryDirectory(dir=parent) as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        service = StorageService(Path(folder), gate=identity, projects={PROJECT: "1"})
        service.add_bucket(BUCKET, project=PROJECT)
        far = _Far(service)
        threading.Thread(target=_swallow, args=(listener,), daemon=True).start()
        with service.serve(application=far) as url:
            port = str(listener.getsockname()[1])
            pipe.send({"BENCH_STORAGE": url, "BENCH_TOKEN": identity.give_token(_PRINCIPAL), "BENCH_SINK": port})
            while True:
                try:
                    far.seconds = pipe.recv()
                except EOFError:
                    return
                pipe.send(None)


class _Far:
    """The service, answering later."""

    def __init__(self, service: StorageService) -> None:
        self._service, self.seconds = service, 0.0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        time.sleep(self.seconds)
        return self._service(environ, start_response)


def _swallow(listener: socket.socket) -> None:
    """Receive all of each connection, throw it away, and say when it's over."""
    room = bytearray(1 << 20)
    while True:
        line, _ = listener.accept()
        with line:
            while line.recv_into(room):
                pass
            line.sendall(b".")
