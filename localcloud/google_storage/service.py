"""Cloud Storage's JSON API, and the XML API's multipart uploads, over a folder; nothing is forgotten when it ends.

Sources: Cloud Storage JSON API reference v1, "XML API multipart uploads".
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from werkzeug import Request

from localcloud.azure.clock import Clock, SystemClock
from localcloud.google_identity.refusal import JSON_TYPE, ApiRefusal
from localcloud.google_storage import listing, multipart_calls, object_calls, upload_calls
from localcloud.google_storage.bucket_calls import BucketCalls
from localcloud.google_storage.exchange import Body, Reply, StorageRequest, headers_of, length_of
from localcloud.google_storage.fault_shape import StorageShape
from localcloud.google_storage.masks import masked
from localcloud.google_storage.rights import Guard
from localcloud.google_storage.routes import find_route
from localcloud.google_storage.session_calls import Sessions
from localcloud.google_storage.store import BucketStore
from localcloud.google_storage.xml_shape import refusal_reply
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from localcloud.google_identity.gate import Gate
    from localcloud.google_storage.routes import Found, Route
    from localcloud.google_storage.store import Bucket

# Headers of Google's own that change nothing here; any other one is refused.
_KNOWN_HEADERS = frozenset({
    "x-goog-api-client", "x-goog-gcs-idempotency-token", "x-goog-hash", "x-goog-request-params",
})  # fmt: skip
_XML_HEADERS = ("x-goog-meta-", "x-goog-storage-class")
_PHRASES = {308: "Resume Incomplete", 499: "Client Closed Request"}


class StorageService:
    """A WSGI application; `projects` are numbers by ids, `gate` says who asks and whether they may."""

    def __init__(self, folder: Path, *, gate: Gate, projects: Mapping[str, str], clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self._store, self._guard, self._clock = BucketStore(folder), Guard(gate), clock
        self._buckets, self._sessions = BucketCalls(self._store, dict(projects), clock), Sessions(clock)
        self.shape = StorageShape()

    def add_bucket(self, name: str, *, project: str, location: str = "EU") -> None:
        """Make a bucket, whoever asks for it; one that's there stays as it is."""
        with self._store.lock:
            if self._store.find(name) is None:
                document = {"name": name, "location": location}
                self._store.create(self._buckets.new_record(project, document))

    def names(self, bucket: str) -> list[str]:
        """What a bucket holds, for callers within this process; of one that isn't there, nothing."""
        found = self._store.find(bucket)
        return list(found.names_from("")) if found else []

    def contents(self, bucket: str) -> dict[str, list[object]]:
        """What a bucket holds, for callers within this process: objects' sizes and CRC32Cs by their names."""
        found = self._store.find(bucket)
        records = [found.find(name) for name in found.names_from("")] if found else []
        return {each.name: [each.size, each.crc32c] for each in records if each is not None}

    def copy_to(self, bucket: str, name: str, target: Path) -> str | None:
        """Write an object to a new file, for callers within this process; gives its CRC32C, None if it isn't there."""
        found = self._store.find(bucket)
        record = found.find(name) if found else None
        if found is None or record is None:
            return None
        with target.open("wb") as file:
            for chunk in found.read(record, 0, record.size):
                file.write(chunk)
        return record.crc32c

    def open_uploads(self, bucket: str) -> int:
        """Resumable and multipart uploads that have neither ended nor been cancelled."""
        found = self._store.find(bucket)
        if found is None:
            return 0
        return sum(each.made is None and not each.cancelled for each in found.sessions()) + found.multiparts()

    @contextmanager
    def serve(self, *, port: int = 0, application: WSGIApplication | None = None) -> Iterator[str]:
        """Serve on 127.0.0.1, give the base URL; `application` stands before it, e.g. a FaultInjector around it."""
        with serve_application(application or self, port=port) as base:
            yield base

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        headers, body, found = headers_of(request), Body(environ["wsgi.input"], 0), find_route(environ)
        try:
            body.left = length_of(headers)
            reply = self._answer(found, request, headers, body)
            if isinstance(reply.body, dict):
                reply = replace(reply, body=masked(reply.body, request.args.get("fields")))
        except ApiRefusal as refusal:
            reply = _refusal(refusal, found)
        body.swallow()
        return _send(reply, start_response)

    def _answer(self, found: Found | None, request: Request, headers: Mapping[str, str], body: Body) -> Reply:
        if found is None:
            raise ApiRefusal(404, "notFound", "Not Found: the embedded Cloud Storage has no such method.")
        _check_known(set(request.args) - found.route.takes, headers, found.route)
        if any(len(request.args.getlist(name)) > 1 for name in request.args):
            raise ApiRefusal(400, "invalidParameter", "A parameter is given twice.")
        _check_values(request.args)
        query, base = request.args.to_dict(), request.host_url.rstrip("/")
        asked = StorageRequest(found.route, found.bucket, found.name, query, headers, body, base)
        if found.route.method in {"PUT", "DELETE"} and "upload_id" in query:
            return self._go_on(asked)
        principal = self._guard.principal(found.route.operation, headers.get("authorization"))
        if not found.bucket:
            self._guard.check(principal, found.route.operation, f"projects/{query.get('project', '')}")
            return self._buckets.list(asked) if found.route.method == "GET" else self._buckets.insert(asked)
        bucket = self._bucket(found.bucket)
        resources = (f"projects/_/buckets/{found.bucket}", f"projects/{bucket.record.project}")
        self._guard.check(principal, found.route.operation, *resources)
        may_replace = self._guard.may_replace(principal, *resources)
        return self._call(replace(asked, may_replace=may_replace), bucket)

    def _go_on(self, request: StorageRequest) -> Reply:
        """A session's address is proof enough, as the service has it; a token that comes with it must be good."""
        if "authorization" in request.headers:
            self._guard.principal(request.route.operation, request.headers["authorization"])
        bucket = self._bucket(request.bucket)
        take = self._sessions.put if request.route.method == "PUT" else self._sessions.cancel
        return take(request, bucket)

    def _call(self, request: StorageRequest, bucket: Bucket) -> Reply:
        match request.route.operation:
            case "buckets.get":
                return self._buckets.get(request, bucket)
            case "buckets.delete":
                return self._buckets.delete(request, bucket)
            case "objects.list":
                return listing.list_objects(request, bucket)
            case "objects.get":
                return object_calls.get_object(request, bucket)
            case "objects.patch":
                return object_calls.patch_object(request, bucket, self._clock)
            case "objects.delete":
                return object_calls.delete_object(request, bucket)
            case "objects.compose":
                return object_calls.compose_object(request, bucket, self._clock)
            case "objects.insert":
                return self._insert(request, bucket)
        return self._multipart(request, bucket)

    def _multipart(self, request: StorageRequest, bucket: Bucket) -> Reply:
        match request.route.operation:
            case "multipart.initiate":
                return multipart_calls.initiate(request, bucket, self._clock)
            case "multipart.upload":
                return multipart_calls.upload_part(request, bucket)
            case "multipart.complete":
                return multipart_calls.complete(request, bucket, self._clock)
        return multipart_calls.abort(request, bucket)

    def _insert(self, request: StorageRequest, bucket: Bucket) -> Reply:
        match request.query.get("uploadType") if request.route.method == "POST" else None:
            case "media":
                return upload_calls.insert_media(request, bucket, self._clock)
            case "multipart":
                return upload_calls.insert_multipart(request, bucket, self._clock)
            case "resumable":
                return self._sessions.start(request, bucket)
        raise ApiRefusal(400, "badRequest", "Uploads must be sent with an uploadType, or to an upload_id.")

    def _bucket(self, name: str) -> Bucket:
        bucket = self._store.find(name)
        if bucket is None:
            raise ApiRefusal(404, "notFound", "The specified bucket does not exist.")
        return bucket


def _refusal(refusal: ApiRefusal, found: Found | None) -> Reply:
    if found is not None and found.route.xml:
        return refusal_reply(refusal)
    return Reply(refusal.status, refusal.headers, refusal.body if refusal.status != 304 else ())


def _check_known(unknown: set[str], headers: Mapping[str, str], route: Route) -> None:
    for name in sorted(unknown):
        message = f"Invalid query parameter: \"{name}\" isn't known, or isn't emulated."
        raise ApiRefusal(400, "invalidParameter", message, location=("parameter", name))
    for name in sorted(headers):
        in_xml = route.xml and name.startswith(_XML_HEADERS)
        if name.startswith("x-goog-") and name not in _KNOWN_HEADERS and not in_xml:
            message = f"The header {name} isn't known, or isn't emulated."
            raise ApiRefusal(400, "invalid", message, location=("header", name))


def _check_values(query: Mapping[str, str]) -> None:
    choices = {"alt": ("json", "media"), "projection": ("full", "noAcl"), "prettyPrint": ("true", "false")}
    for name, allowed in choices.items():
        if query.get(name, allowed[0]) not in allowed:
            message = f"Invalid value for {name}: {query[name]}"
            raise ApiRefusal(400, "invalid", message, location=("parameter", name))


def _send(reply: Reply, start_response: StartResponse) -> Iterable[bytes]:
    headers, body = dict(reply.headers), reply.body
    if isinstance(body, dict):
        data = json.dumps(body).encode()
        headers |= {"Content-Type": JSON_TYPE, "Content-Length": str(len(data))}
        body = [data]
    elif reply.status not in {204, 304}:
        headers.setdefault("Content-Length", "0")
    start_response(f"{reply.status} {_PHRASES.get(reply.status, 'Storage')}", list(headers.items()))
    return body
