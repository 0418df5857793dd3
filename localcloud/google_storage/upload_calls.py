"""objects.insert in one request: media alone, or a document and media as multipart/related.

Sources: Cloud Storage documentation, "Upload objects from the file system" (single-request uploads); RFC 2387.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.http import parse_options_header

from localcloud.google_identity.refusal import ApiRefusal
from localcloud.google_storage.conditions import check_write, read_condition
from localcloud.google_storage.digests import Digests
from localcloud.google_storage.exchange import LARGEST_DOCUMENT, Body, Reply, StorageRequest, read_document
from localcloud.google_storage.intake import promised, take
from localcloud.google_storage.keeping import make_object, refuse_replacing
from localcloud.google_storage.record import Properties
from localcloud.google_storage.resources import check_name, object_resource, read_object

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.azure.clock import Clock
    from localcloud.google_identity.refusal import Json
    from localcloud.google_storage.record import Condition, Promise
    from localcloud.google_storage.store import Bucket

DEFAULT_TYPE = "application/octet-stream"
_LONGEST_LINE = 8 * 1024
_MOST_HEADS = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """The object that an upload is to make."""

    name: str
    properties: Properties
    promise: Promise
    condition: Condition


def insert_media(request: StorageRequest, bucket: Bucket, clock: Clock) -> Reply:
    """uploadType=media: the body is the object."""
    wanted = wanted_object(request, bucket, {}, request.headers.get("content-type"))
    return _insert(request, bucket, wanted, clock)


def insert_multipart(request: StorageRequest, bucket: Bucket, clock: Clock) -> Reply:
    """uploadType=multipart: the first part is the object's document, the second one the object."""
    kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    boundary = parameters.get("boundary")
    if kind != "multipart/related" or not boundary:
        raise ApiRefusal(400, "badContent", "Unsupported content with type: it must be multipart/related")
    line = f"--{boundary}".encode()
    _expect(request, line)
    _heads(request)
    document = _first_part(request, line)
    wanted = wanted_object(request, bucket, document, _heads(request).get("content-type"))
    return _insert(request, bucket, wanted, clock, closing=b"\r\n" + line + b"--")


def wanted_object(request: StorageRequest, bucket: Bucket, document: Json, content_type: str | None) -> Wanted:
    """What the query, the headers and a document say of the object; refuses what can be refused before its bytes."""
    if document.get("bucket", request.bucket) != request.bucket:
        raise ApiRefusal(400, "invalid", "The document's bucket isn't the path's.")
    name = request.query.get("name", document.get("name", ""))
    if not isinstance(name, str) or document.get("name", name) != name:
        raise ApiRefusal(400, "invalid", f"Value '{document.get('name')}' in content does not agree with '{name}'.")
    encoding = request.query.get("contentEncoding")
    properties, promise = read_object({**document, **({"contentEncoding": encoding} if encoding else {})})
    fields = {"contentType": content_type or DEFAULT_TYPE, **properties.fields}
    condition = read_condition(request)
    check_write(condition, bucket.find(check_name(name)))
    refuse_replacing(bucket, name, request.may_replace)
    properties = Properties(fields=fields, metadata=properties.metadata)
    return Wanted(name, properties, promised(request.headers, promise), condition)


def _insert(request: StorageRequest, bucket: Bucket, wanted: Wanted, clock: Clock, closing: bytes = b"") -> Reply:
    path, digests = bucket.new_file(), Digests()
    try:
        if not _take_media(request.body, path, digests, closing):
            raise ApiRefusal(400, "badRequest", "The body isn't as long as it says, or has no closing boundary.")
    except (ApiRefusal, OSError):
        path.unlink(missing_ok=True)
        raise
    record = make_object(
        bucket,
        wanted.name,
        file=path.name,
        digests=digests,
        promise=wanted.promise,
        condition=wanted.condition,
        properties=wanted.properties,
        may_replace=request.may_replace,
        moment=clock.now(),
    )
    return Reply(body=object_resource(request.bucket, record, request.base))


def _take_media(body: Body, path: Path, digests: Digests, closing: bytes) -> bool:
    """Store the body up to its closing line, after which some writers end the line and some don't."""
    margin = len(closing) + 2 if closing else 0
    whole = take(body, path, digests, max(body.left - margin, 0))
    tail = body.read(margin)
    if tail == closing + b"\r\n" or not closing:
        return whole
    rest = tail.removesuffix(closing)
    return whole and rest != tail and take(Body(io.BytesIO(rest), len(rest)), path, digests, len(rest))


def _expect(request: StorageRequest, line: bytes) -> None:
    if request.body.readline(_LONGEST_LINE).rstrip(b"\r\n") != line:
        raise ApiRefusal(400, "badContent", "Malformed multipart body: a boundary isn't where it should be.")


def _heads(request: StorageRequest) -> dict[str, str]:
    """The headers of a part, by names in lower case."""
    heads: dict[str, str] = {}
    for _ in range(_MOST_HEADS):
        line = request.body.readline(_LONGEST_LINE).decode("latin-1").strip()
        if not line:
            return heads
        name, _, value = line.partition(":")
        heads[name.strip().lower()] = value.strip()
    raise ApiRefusal(400, "badContent", "Malformed multipart body: a part has too many headers.")


def _first_part(request: StorageRequest, line: bytes) -> Json:
    data = b""
    while len(data) <= LARGEST_DOCUMENT and (read := request.body.readline(LARGEST_DOCUMENT)):
        if read.rstrip(b"\r\n") == line:
            return read_document(data)
        data += read
    raise ApiRefusal(400, "badContent", "Malformed multipart body: the document has no end.")
