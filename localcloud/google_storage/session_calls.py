"""objects.insert in many requests: resumable uploads, which any client that knows the session's address may go on with.

Sources: Cloud Storage documentation, "Resumable uploads" and "Perform resumable uploads" (chunks of multiples of
256 KiB, 308, status, cancellation, a week); the scenarios of sessions in google-cloud-java's tests against the service:
bytes that are there already are passed over, an offset beyond them is a 503, and `bytes */N` completes an upload that
holds exactly N bytes and whose size wasn't said before.
"""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from localcloud.google_identity.refusal import ApiRefusal
from localcloud.google_storage.digests import Digests
from localcloud.google_storage.exchange import Reply, StorageRequest
from localcloud.google_storage.intake import promised, take
from localcloud.google_storage.keeping import make_object
from localcloud.google_storage.record import SessionRecord
from localcloud.google_storage.resources import object_resource
from localcloud.google_storage.upload_calls import wanted_object
from localcloud.objects.store import CHUNK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from localcloud.azure.clock import Clock
    from localcloud.google_storage.store import Bucket

QUANTUM = 256 * 1024
"""Bytes: every chunk but the last is a multiple of it."""
SESSION_LIFE, SWEPT_EVERY = timedelta(days=7), timedelta(hours=1)
LARGEST_OBJECT = 5 * 1024**4
"""Bytes of an object: 5 TiB."""
_RANGE = re.compile(r"bytes (?:(?P<first>[0-9]{1,15})-(?P<last>[0-9]{1,15})|\*)/(?P<total>[0-9]{1,15}|\*)")


@dataclass(frozen=True, slots=True)
class Span:
    """What a Content-Range says: the bytes that are sent, from `start` up to `end`, and the size if it's known."""

    start: int
    end: int
    total: int | None
    asks: bool = False


class Sessions:
    """The uploads of all buckets; checksums of those under way are held, and made anew from their files otherwise."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._digests: dict[str, Digests] = {}
        self._swept: dict[str, datetime] = {}

    def start(self, request: StorageRequest, bucket: Bucket) -> Reply:
        """POST: a new session, whose address is the answer's Location."""
        headers = request.headers
        wanted = wanted_object(request, bucket, request.document(), headers.get("x-upload-content-type"))
        self._sweep(bucket)
        session = SessionRecord(
            id=secrets.token_hex(40),
            name=wanted.name,
            file=bucket.new_file().name,
            started=self._clock.now(),
            properties=wanted.properties,
            condition=wanted.condition,
            promise=wanted.promise,
            may_replace=request.may_replace,
            total=_announced(headers),
        )
        bucket.keep_session(session)
        address = (
            f"{request.base}/upload/storage/v1/b/{quote(request.bucket)}/o?uploadType=resumable&upload_id={session.id}"
        )
        return Reply(headers={"Location": address, "X-GUploader-UploadID": session.id, "Content-Length": "0"})

    def put(self, request: StorageRequest, bucket: Bucket) -> Reply:
        """PUT: a chunk, or the question how far the upload is."""
        with self._lock_of(request):
            session = self._live(request, bucket)
            if session.made is not None:
                return Reply(body=object_resource(request.bucket, session.made, request.base))
            digests = self._held(session, bucket)
            span = _span(request, digests.size)
            session = _with_total(session, span, bucket)
            if not span.asks:
                _check_span(span, digests.size)
                if "x-goog-hash" in request.headers and span.total != span.end:
                    raise ApiRefusal(400, "invalid", "Checksums of the whole object come with its last chunk.")
                _take(request, bucket.data(session.file), span, digests)
            if digests.size != span.total or session.total not in (None, span.total):
                return _incomplete(digests.size, session.id)
            return self._finish(request, bucket, session, digests)

    def cancel(self, request: StorageRequest, bucket: Bucket) -> Reply:
        """DELETE: the session's bytes go, and its address is of no use any more."""
        with self._lock_of(request):
            session = self._live(request, bucket)
            if session.made is None:
                self._digests.pop(session.id, None)
                bucket.drop([session.file])
                bucket.keep_session(session.model_copy(update={"cancelled": True}))
        return Reply(499, {"Content-Length": "0", "X-GUploader-UploadID": session.id})

    def _finish(self, request: StorageRequest, bucket: Bucket, session: SessionRecord, digests: Digests) -> Reply:
        bucket.data(session.file).touch()
        self._digests.pop(session.id, None)
        try:
            record = make_object(
                bucket,
                session.name,
                file=session.file,
                digests=digests,
                promise=promised(request.headers, session.promise),
                condition=session.condition,
                properties=session.properties,
                may_replace=session.may_replace,
                moment=self._clock.now(),
            )
        except ApiRefusal:
            bucket.drop([session.file])
            bucket.forget_session(session.id)
            raise
        bucket.keep_session(session.model_copy(update={"made": record}))
        return Reply(body=object_resource(request.bucket, record, request.base))

    def _held(self, session: SessionRecord, bucket: Bucket) -> Digests:
        """Size and checksums of what has come so far."""
        digests = self._digests.get(session.id)
        if digests is None:
            digests = self._digests[session.id] = Digests()
            path = bucket.data(session.file)
            size = path.stat().st_size if path.exists() else 0
            left = size - size % QUANTUM
            if left:
                with path.open("rb") as file:
                    while left:
                        data = file.read(min(CHUNK, left))
                        digests.update(data)
                        left -= len(data)
        return digests

    def _live(self, request: StorageRequest, bucket: Bucket) -> SessionRecord:
        session = bucket.find_session(request.query.get("upload_id", ""))
        if session is None:
            raise ApiRefusal(404, "notFound", "No such upload session.")
        if session.cancelled or self._over(session):
            raise ApiRefusal(410, "uploadGone", "The upload session is no longer available: start a new one.")
        return session

    def _over(self, session: SessionRecord) -> bool:
        return self._clock.now() >= session.started + SESSION_LIFE

    def _sweep(self, bucket: Bucket) -> None:
        """Bytes of sessions whose week is over are given back; the sessions are remembered as gone.

        All of them are read for it, so not every session's start does it.
        """
        with self._lock:
            now, last = self._clock.now(), self._swept.get(bucket.record.name)
            if last is not None and now - last < SWEPT_EVERY:
                return
            self._swept[bucket.record.name] = now
        for each in bucket.sessions():
            if self._over(each) and each.made is None and not each.cancelled:
                self._digests.pop(each.id, None)
                bucket.drop([each.file])
                bucket.keep_session(each.model_copy(update={"cancelled": True}))

    def _lock_of(self, request: StorageRequest) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(request.query.get("upload_id", ""), threading.Lock())


def _announced(headers: Mapping[str, str]) -> int | None:
    text = headers.get("x-upload-content-length")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) > LARGEST_OBJECT:
        raise ApiRefusal(400, "invalid", f"Invalid X-Upload-Content-Length: {text}")
    return int(text)


def _span(request: StorageRequest, held: int) -> Span:
    header, length = request.headers.get("content-range"), request.body.left
    if header is None:
        return Span(0, length, length)
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        raise ApiRefusal(400, "badRequest", f"Failed to parse Content-Range header: {header}")
    total = None if match["total"] == "*" else int(match["total"])
    span = Span(held, held, total, asks=True)
    if match["first"] is not None:
        span = Span(int(match["first"]), int(match["last"]) + 1, total)
    if span.end - span.start != length or span.end < span.start:
        message = f"Invalid request. The Content-Range '{header}' isn't {length} bytes long, which were sent."
        raise ApiRefusal(400, "badRequest", message)
    return span


def _with_total(session: SessionRecord, span: Span, bucket: Bucket) -> SessionRecord:
    """The session with the size that is known now; a question's size changes nothing."""
    if span.asks or span.total in (None, session.total):
        return session
    if session.total is not None:
        message = f"Invalid request. The size {span.total} isn't the one of {session.total} bytes that was said before."
        raise ApiRefusal(400, "badRequest", message)
    session = session.model_copy(update={"total": span.total})
    bucket.keep_session(session)
    return session


def _check_span(span: Span, held: int) -> None:
    if span.start > held:
        message = (
            f"Invalid request. According to the Content-Range header, the upload offset is {span.start} byte(s), which "
            f"exceeds already uploaded size of {held} byte(s)."
        )
        raise ApiRefusal(503, "backendError", message)
    if span.end > LARGEST_OBJECT or (span.total is not None and span.end > span.total):
        raise ApiRefusal(400, "badRequest", "Invalid request. The chunk ends after the end of the object.")
    size = span.end - span.start
    if span.end != span.total and (size % QUANTUM or not size):
        message = (
            f"Invalid request. The number of bytes uploaded is required to be a multiple of {QUANTUM}, except for the "
            f"final request. The received request contained {size} bytes, which does not meet this requirement."
        )
        raise ApiRefusal(400, "badRequest", message)


def _take(request: StorageRequest, path: Path, span: Span, digests: Digests) -> None:
    """Add what's new of a chunk to a session's file."""
    passed = min(digests.size, span.end) - span.start
    while passed and (data := request.body.read(min(CHUNK, passed))):
        passed -= len(data)
    if not passed:
        # What came of a chunk that broke off is kept in whole multiples, as the next chunk has to begin there.
        take(request.body, path, digests, max(span.end - digests.size, 0), quantum=QUANTUM)


def _incomplete(size: int, session: str) -> Reply:
    headers = {"Content-Length": "0", "X-GUploader-UploadID": session}
    return Reply(308, headers | ({"Range": f"bytes=0-{size - 1}"} if size else {}))
