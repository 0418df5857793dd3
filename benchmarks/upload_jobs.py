"""The upload benchmark's jobs: one file into Cloud Storage by our adapter, by the SDK's ways, and by bare means."""

from __future__ import annotations

import http.client
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import google_crc32c
from google.oauth2 import credentials

from benchmarks.transfer_work import Json, Stopwatch, do_named_job
from benchmarks.upload_store import BUCKET, PROJECT
from failback.clouds.google.checksums import as_text, crc32c_of
from failback.clouds.google.place import GoogleClients, GooglePlace
from failback.clouds.google.upload import MOST, PART, Upload
from failback.model.target import GoogleTarget, WorkloadIdentity
from lambdas.connections import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The SDK has no types of its own.
Dynamic = Any
PIECE = 4 << 20
"""Bytes read at once."""
_POOL = "projects/1/locations/global/workloadIdentityPools/failback/providers/account"
TARGET = GoogleTarget(
    name="office", home="google", project=PROJECT, zone="europe-west3-a", bucket=BUCKET,
    subnetwork=f"projects/{PROJECT}/regions/europe-west3/subnetworks/servers",
    credential=WorkloadIdentity(kind="federation", provider=_POOL),
)  # fmt: skip


class FileContent:
    """An ImageContent of a local file, without holes."""

    def __init__(self, path: Path) -> None:
        self.size = path.stat().st_size
        self._file = os.open(path, os.O_RDONLY)

    def ranges(self, first: int = 0) -> Iterator[tuple[int, int]]:
        for offset in range(first, self.size, PIECE):
            yield offset, min(PIECE, self.size - offset)

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._file, length, offset)


def ours(watch: Stopwatch, path: str, name: str) -> Json:
    """Parts of their own, put together, as the stage does it; our own bytes' checksums are compared.

    The parts go while Compute makes an image of the whole, so their removal has a time of its own.
    """
    content, clients = FileContent(Path(path)), _clients()
    _ = clients.storage
    upload = Upload(GooglePlace(TARGET, clients), name, SystemClock())
    with watch.running():
        reached = 0
        while reached < content.size:
            reached = upload.send(content, reached, {})
        whole: str | None = ""
        while not whole:
            whole = upload.assemble(content.size, {})
            assert whole is not None
    begun = time.perf_counter()
    upload.remove_parts()
    removal = time.perf_counter() - begun
    return {**_check(path, upload.whole_name), "removal": removal}


def sdk_parts(watch: Stopwatch, path: str, name: str, workers: int, kind: str, chunk: int) -> Json:
    """The SDK's transfer manager: a multipart upload of the XML API, by `kind` (process or thread) of workers."""
    manager: Dynamic = import_module("google.cloud.storage.transfer_manager")
    blob = _bucket().blob(name)
    with watch.running():
        manager.upload_chunks_concurrently(path, blob, chunk_size=chunk, max_workers=workers, worker_type=kind)
    return _check(path, name)


def sdk_chunks(watch: Stopwatch, path: str, name: str, chunk: int) -> Json:
    """The SDK's upload of a file by its name: resumable, in chunks, its checksum compared."""
    blob = _bucket().blob(name, chunk_size=chunk)
    with watch.running():
        blob.upload_from_filename(path, checksum="crc32c", if_generation_match=0)
    return _check(path, name)


def sdk_stream(watch: Stopwatch, path: str, name: str) -> Json:
    """The SDK's upload of an open file: resumable, by one request, its checksum compared."""
    blob = _bucket().blob(name)
    with watch.running(), Path(path).open("rb") as file:
        blob.upload_from_file(file, checksum="crc32c", if_generation_match=0)
    return _check(path, name)


def bare(watch: Stopwatch, path: str, name: str) -> Json:
    """As many connections as ours has, which send parts that are in memory already; nothing puts them together."""
    content, token = FileContent(Path(path)), os.environ["BENCH_TOKEN"]
    parts = [(at, content.read(at, PART)) for at in range(0, content.size, PART)]
    place = urlsplit(os.environ["BENCH_STORAGE"]).netloc

    def send(part: tuple[int, bytes]) -> None:
        offset, data = part
        line = http.client.HTTPConnection(place, timeout=60)
        where = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}-{offset}"
        line.request("POST", where, data, {"Authorization": f"Bearer {token}"})
        answer = line.getresponse()
        answer.read()
        line.close()
        assert answer.status == 200, answer.status

    with watch.running(), ThreadPoolExecutor(MOST) as pool:
        list(pool.map(send, parts))
    _bucket().delete_blobs(list(_bucket().list_blobs(prefix=f"{name}-")))
    return {}


def wire(watch: Stopwatch, path: str, name: str) -> Json:
    """The file read, its CRC32C computed, and sent on one bare connection to somebody who throws it away."""
    content, checksum = FileContent(Path(path)), 0
    with watch.running(), socket.create_connection(("127.0.0.1", int(os.environ["BENCH_SINK"]))) as line:
        for offset, length in content.ranges():
            data = content.read(offset, length)
            checksum = google_crc32c.extend(checksum, data)
            line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        assert line.recv(1) == b"."
    return {"name": name, "checksum": checksum}


def _clients() -> GoogleClients:
    make: Dynamic = credentials.Credentials
    return GoogleClients(
        PROJECT, make(token=os.environ["BENCH_TOKEN"]), storage_url=os.environ["BENCH_STORAGE"]
    )  # fmt: skip


def _bucket() -> Dynamic:
    return _clients().storage.bucket(BUCKET)


def _check(path: str, name: str) -> Json:
    """Whether the object is the file, by its size and its checksum; it's removed then."""
    content = FileContent(Path(path))
    blob = _bucket().get_blob(name)
    assert blob.size == content.size
    assert blob.crc32c == as_text(crc32c_of(content.read(*each) for each in content.ranges()))
    blob.delete()
    return {}


JOBS: dict[str, Callable[..., Json]] = {
    job.__name__: job for job in (ours, sdk_parts, sdk_chunks, sdk_stream, bare, wire)
}


def main() -> None:
    """Do the job that's named on the command line."""
    do_named_job(JOBS)


if __name__ == "__main__":
    main()
