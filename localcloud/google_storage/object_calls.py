"""Calls on objects that are there: get, its bytes, patch, delete, compose.

Source: Cloud Storage JSON API reference v1.
"""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING

from localcloud.google_identity.refusal import ApiRefusal, Json
from localcloud.google_storage.conditions import check_read, check_write, chosen_range, read_condition
from localcloud.google_storage.digests import joined_crc
from localcloud.google_storage.exchange import Reply, StorageRequest
from localcloud.google_storage.keeping import refuse_replacing
from localcloud.google_storage.record import ObjectRecord
from localcloud.google_storage.resources import changed, check_name, etag_of, object_resource, read_object, refuse_field

if TYPE_CHECKING:
    from localcloud.azure.clock import Clock
    from localcloud.google_storage.store import Bucket

MOST_SOURCES = 32
"""Objects that one call composes."""
_SHOWN = {
    "contentDisposition": "Content-Disposition",
    "contentLanguage": "Content-Language",
    "cacheControl": "Cache-Control",
}


def get_object(request: StorageRequest, bucket: Bucket) -> Reply:
    """objects.get: its document, or with `alt=media` its bytes."""
    record = found(request, bucket)
    check_read(read_condition(request), record)
    if request.query.get("alt", "media" if request.route.media else "json") != "media":
        return Reply(body=object_resource(request.bucket, record, request.base))
    chosen = chosen_range(request.headers.get("range"), record.size)
    start, end = chosen or (0, record.size)
    headers = _media_headers(record) | {"Content-Length": str(end - start)}
    if chosen:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{record.size}"
    return Reply(206 if chosen else 200, headers, bucket.read(record, start, end))


def patch_object(request: StorageRequest, bucket: Bucket, clock: Clock) -> Reply:
    """objects.patch."""
    document = request.document()
    for name in ("crc32c", "md5Hash"):
        if name in document:
            refuse_field(name, "can't be changed")
    with bucket.lock:
        record = found(request, bucket)
        check_write(read_condition(request), record)
        update = {
            "properties": changed(record.properties, document),
            "metageneration": record.metageneration + 1,
            "updated": clock.now(),
        }
        record = record.model_copy(update=update)
        bucket.keep(record)
    return Reply(body=object_resource(request.bucket, record, request.base))


def delete_object(request: StorageRequest, bucket: Bucket) -> Reply:
    """objects.delete."""
    with bucket.lock:
        record = found(request, bucket)
        check_write(read_condition(request), record)
        bucket.delete(record.name)
    return Reply(204)


def compose_object(request: StorageRequest, bucket: Bucket, clock: Clock) -> Reply:
    """objects.compose: the sources' segments become the object's, no byte is copied."""
    condition, document = read_condition(request), request.document()
    for name in document:
        if name not in {"kind", "sourceObjects", "destination"}:
            refuse_field(name, "isn't a field of a request to compose")
    properties, promise = read_object(document.get("destination") or {})
    with bucket.lock:
        check_write(condition, bucket.find(request.name))
        refuse_replacing(bucket, request.name, request.may_replace)
        sources = [_source(bucket, each) for each in _sources(document)]
        segments = tuple(segment for each in sources for segment in bucket.link(each.segments))
        now = clock.now()
        record = ObjectRecord(
            name=check_name(request.name),
            generation=bucket.next_generation(now),
            created=now,
            updated=now,
            segments=segments,
            crc32c=joined_crc((each.crc32c, each.size) for each in sources),
            md5=None,
            components=sum(each.components or 1 for each in sources),
            properties=properties,
        )
        if promise.md5 is not None or promise.crc32c not in (None, record.crc32c):
            bucket.drop(each.file for each in segments)
            raise ApiRefusal(400, "invalid", "The given checksum isn't that of the composed object.")
        bucket.keep(record)
    return Reply(body=object_resource(request.bucket, record, request.base))


def _sources(document: Json) -> list[Json]:
    sources = document.get("sourceObjects")
    if not isinstance(sources, list) or not 1 <= len(sources) <= MOST_SOURCES:
        raise ApiRefusal(400, "invalid", f"The number of source components must be from 1 to {MOST_SOURCES}.")
    return sources


def _source(bucket: Bucket, wanted: Json) -> ObjectRecord:
    unknown = set(wanted) - {"name", "generation", "objectPreconditions"}
    if unknown:
        refuse_field(f"sourceObjects.{min(unknown)}", "isn't known")
    record = bucket.find(str(wanted.get("name", "")))
    generation = wanted.get("generation")
    if record is None or generation not in (None, record.generation, str(record.generation)):
        raise _missing(bucket.record.name, str(wanted.get("name", "")))
    conditions = wanted.get("objectPreconditions") or {}
    if set(conditions) - {"ifGenerationMatch"}:
        refuse_field("sourceObjects.objectPreconditions", "holds a condition that isn't known")
    if str(conditions.get("ifGenerationMatch", record.generation)) != str(record.generation):
        raise ApiRefusal(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
    return record


def found(request: StorageRequest, bucket: Bucket) -> ObjectRecord:
    """The object that's live, of the generation that's asked for; or 404."""
    record = bucket.find(request.name)
    if record is None or request.number("generation") not in (None, record.generation):
        raise _missing(request.bucket, request.name)
    return record


def _missing(bucket: str, name: str) -> ApiRefusal:
    return ApiRefusal(404, "notFound", f"No such object: {bucket}/{name}")


def _media_headers(record: ObjectRecord) -> dict[str, str]:
    hashes = [f"crc32c={record.crc32c}", *([f"md5={record.md5}"] if record.md5 else [])]
    fields = record.properties.fields
    return {
        "Content-Type": fields.get("contentType", "application/octet-stream"),
        "ETag": etag_of(record.generation, record.metageneration),
        "Last-Modified": format_datetime(record.updated, usegmt=True),
        "X-Goog-Generation": str(record.generation),
        "X-Goog-Metageneration": str(record.metageneration),
        "X-Goog-Hash": ",".join(hashes),
        "X-Goog-Storage-Class": fields.get("storageClass", "STANDARD"),
        "X-Goog-Stored-Content-Encoding": "identity",
        "X-Goog-Stored-Content-Length": str(record.size),
        **{header: fields[name] for name, header in _SHOWN.items() if name in fields},
    }
