"""The blob service behind managed disks' signatures: pages written straight to the disk's sparse file, read from it.

Source: "Blob service REST API": Put Page, Get Blob, Get Blob Properties, Get Page Ranges.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from localcloud.azure.blob_content import DiskContent, TextContent
from localcloud.azure.blob_faults import injector_before, through
from localcloud.azure.blob_http import BlobAnswer, BlobServer
from localcloud.azure.blob_request import LARGEST_WRITE, BlobRefusal, BlobRequest, operation_of
from localcloud.azure.crc64 import crc64

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

    from localcloud.azure.access import AccessDesk, Grant
    from localcloud.azure.blob_http import Answering
    from localcloud.faults import FaultInjector, FaultPlan

# 16 bodies of 4 MiB each: the bound on what writers hold in memory.
PARALLEL_WRITES = 16
# One step of a read.
_READ_STEP = 1 << 20
_MOST_RANGES = 10000
# A range this long at most is answered with its MD5 when asked for.
_LARGEST_HASHED_READ = 4 << 20


@dataclass(slots=True)
class PageBlobs:
    """Answers requests that a signature of the desk opens; `around` puts something before that.

    `latency` maps a call (`blob/PutPage`) to the seconds that each one takes: any number of calls wait at once.
    """

    desk: AccessDesk
    around: Callable[[Answering], Answering] = lambda answer: answer
    latency: Mapping[str, float] = field(default_factory=dict)
    sleep: Callable[[float], None] = time.sleep
    faults: FaultPlan | None = None
    injector: FaultInjector | None = None
    _writers: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(PARALLEL_WRITES))

    @contextmanager
    def serve(self, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        """Serve for the length of a `with` block, which gets the base URL; the desk's URLs then begin with it."""
        answering: Answering = self.answer
        if self.faults:
            self.injector = injector_before(self.answer, self.faults)
            answering = through(self.injector)
        server = BlobServer((host, port), self.around(answering), tls=tls)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        self.desk.base_url = f"{'https' if tls else 'http'}://{host}:{server.server_address[1]}"
        try:
            yield self.desk.base_url
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: BinaryIO) -> BlobAnswer:
        """Judge one request and do it; raises BlobRefusal. The body is read only by a write that may happen."""
        parts = urlsplit(target)
        request = BlobRequest(method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers)
        seconds = self.latency.get(f"blob/{operation_of(method, parts.query)}", 0)
        if seconds:
            # Before anything is held: no lock, no place among the writers, no body in memory.
            self.sleep(seconds)
        grant = self.desk.opened(request.path, dict(request.query))
        if grant is None:
            raise _not_authenticated()
        request.check()
        part = request.query.get("comp", "")
        if method == "PUT" and part == "page":
            return self._put_page(request, grant, body)
        if method == "GET" and part == "pagelist":
            return _page_list(request, grant)
        if method in {"GET", "HEAD"} and not part:
            return _get(request, grant)
        raise BlobRefusal(403, "AuthorizationPermissionMismatch", "This signature doesn't open this operation.")

    def _put_page(self, request: BlobRequest, grant: Grant, body: BinaryIO) -> BlobAnswer:
        content, write = grant.content, request.headers.get("x-ms-page-write", "").lower()
        if grant.access != "Write" or isinstance(content, TextContent):
            raise BlobRefusal(403, "AuthorizationPermissionMismatch", "This signature is for reading only.")
        if write not in {"update", "clear"}:
            raise BlobRefusal(400, "InvalidHeaderValue", "x-ms-page-write has to be update or clear.")
        start, end = request.page_range(content.size)
        length = request.content_length()
        if write == "clear":
            if length:
                raise BlobRefusal(400, "InvalidHeaderValue", "Clearing pages takes no body.")
            with self._writing(request, grant):
                content.clear(start, end - start)
            return BlobAnswer(201, _heads(grant))
        if end - start > LARGEST_WRITE:
            raise BlobRefusal(413, "RequestBodyTooLarge", f"One write takes at most {LARGEST_WRITE} bytes.")
        if length != end - start:
            raise BlobRefusal(400, "InvalidHeaderValue", "Content-Length isn't the length of the page range.")
        with self._writers:
            data = _received(body, length)
            sums = _checked_sums(request, data)
            with self._writing(request, grant):
                content.write(start, data)
        return BlobAnswer(201, _heads(grant) | sums)

    @contextmanager
    def _writing(self, request: BlobRequest, grant: Grant) -> Iterator[None]:
        with grant.in_use() as alive:
            if not alive:
                raise _not_authenticated()
            request.check_conditions(_etag(grant))
            yield
            self.desk.touch(grant)


def _received(body: BinaryIO, length: int) -> memoryview:
    data = memoryview(bytearray(length))
    filled = 0
    while filled < length:
        count = body.readinto(data[filled:])  # type: ignore[attr-defined]
        if not count:
            raise BlobRefusal(400, "InvalidInput", "The body ended before its Content-Length.")
        filled += count
    return data


def _checked_sums(request: BlobRequest, data: memoryview) -> dict[str, str]:
    """The checksums that came along, checked; they're answered as they came."""
    result = {}
    md5, crc = request.headers.get("Content-MD5"), request.headers.get("x-ms-content-crc64")
    if md5 is not None:
        result["Content-MD5"] = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        if result["Content-MD5"] != md5:
            raise BlobRefusal(400, "Md5Mismatch", "The MD5 value specified in the request did not match.")
    if crc is not None:
        result["x-ms-content-crc64"] = base64.b64encode(crc64(data)).decode()
        if result["x-ms-content-crc64"] != crc:
            raise BlobRefusal(400, "Crc64Mismatch", "The CRC64 value specified in the request did not match.")
    return result


def _get(request: BlobRequest, grant: Grant) -> BlobAnswer:
    request.check_conditions(_etag(grant))
    size = grant.content.size
    heads = _heads(grant) | {"x-ms-blob-type": grant.content.blob_type, "Content-Type": "application/octet-stream"}
    if request.method == "HEAD":
        return BlobAnswer(200, heads | {"Content-Length": str(size)})
    asked = request.byte_range(size)
    start, end = asked or (0, size)
    if asked:
        heads["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    if request.headers.get("x-ms-range-get-content-md5", "").lower() == "true":
        if asked is None or end - start > _LARGEST_HASHED_READ:
            raise BlobRefusal(400, "OutOfRangeInput", "x-ms-range-get-content-md5 takes a range of at most 4 MiB.")
        digest = hashlib.md5(grant.content.read(start, end - start), usedforsecurity=False).digest()
        heads["Content-MD5"] = base64.b64encode(digest).decode()
    return BlobAnswer(206 if asked else 200, heads | {"Content-Length": str(end - start)}, _pieces(grant, start, end))


def _pieces(grant: Grant, start: int, end: int) -> Iterator[bytes]:
    """The bytes step by step; a signature that's revoked meanwhile ends the answer short."""
    while start < end and not grant.revoked:
        data = grant.content.read(start, min(_READ_STEP, end - start))
        if not data:
            return
        yield data
        start += len(data)


def _page_list(request: BlobRequest, grant: Grant) -> BlobAnswer:
    content = grant.content
    if not isinstance(content, DiskContent):
        raise BlobRefusal(409, "InvalidBlobType", "The blob type is invalid for this operation.")
    request.check_conditions(_etag(grant))
    start, end = request.byte_range(content.size) or (0, content.size)
    marker, count = request.query.get("marker", ""), request.count("maxresults", _MOST_RANGES, _MOST_RANGES)
    if marker and not (marker.isdecimal() and start <= int(marker) < end):
        raise BlobRefusal(400, "InvalidQueryParameterValue", "The marker isn't one that was given out.")
    found = list(islice(content.ranges(int(marker or start), end), count + 1))
    following = str(found[count][0]) if len(found) > count else ""
    ranges = "".join(
        f"<PageRange><Start>{first}</Start><End>{after - 1}</End></PageRange>" for first, after in found[:count]
    )
    text = f'<?xml version="1.0" encoding="utf-8"?><PageList>{ranges}<NextMarker>{following}</NextMarker></PageList>'
    data = text.encode()
    heads = {"Content-Type": "application/xml", "x-ms-blob-content-length": str(content.size)}
    return BlobAnswer(200, _heads(grant) | heads | {"Content-Length": str(len(data))}, iter([data]))


def _heads(grant: Grant) -> dict[str, str]:
    changed = grant.changed or datetime.fromtimestamp(0, UTC)
    modified = format_datetime(changed.astimezone(UTC), usegmt=True)
    return {"ETag": _etag(grant), "Last-Modified": modified, "x-ms-blob-sequence-number": "0", "Accept-Ranges": "bytes"}


def _etag(grant: Grant) -> str:
    return f'"0x{grant.version:016X}"'


def _not_authenticated() -> BlobRefusal:
    message = "Server failed to authenticate the request. Make sure the value of the signature is correct."
    return BlobRefusal(403, "AuthenticationFailed", message)
