"""Buckets and objects as the JSON API shows them, and what writers may say of them.

Source: Cloud Storage JSON API reference v1, resources Buckets and Objects.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

from localcloud.google_identity.refusal import ApiRefusal, Json
from localcloud.google_storage.record import Promise, Properties

if TYPE_CHECKING:
    from datetime import datetime

    from localcloud.google_storage.record import BucketRecord, ObjectRecord

STORAGE_CLASSES = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")
SETTABLE = (
    "contentType", "contentDisposition", "contentLanguage", "cacheControl", "contentEncoding", "storageClass",
)  # fmt: skip
# What the service alone writes: a writer who sends it back is heard without effect.
_OWN = frozenset({
    "bucket", "componentCount", "etag", "generation", "id", "kind", "mediaLink", "metageneration", "name", "owner",
    "selfLink", "size", "timeCreated", "timeDeleted", "timeFinalized", "timeStorageClassUpdated", "updated",
})  # fmt: skip
_UNEMULATED = frozenset({
    "acl", "contexts", "customTime", "customerEncryption", "eventBasedHold", "kmsKeyName", "retention",
    "temporaryHold",
})  # fmt: skip
_MOST_METADATA = 8 * 1024
_NAME = re.compile(r"(?!\.well-known/acme-challenge/)(?!\.\.?$)[^\r\n]+")
LONGEST_NAME = 1024
"""Bytes of an object's name."""


def moment(value: datetime) -> str:
    """RFC 3339 with milliseconds, as the service writes it."""
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"


def etag_of(generation: int, metageneration: int) -> str:
    """A word that changes with the object and with what is said of it."""
    return base64.b64encode(f"{generation}/{metageneration}".encode()).decode("ascii")


def object_resource(bucket: str, record: ObjectRecord, base: str) -> Json:
    """An object's document; `base` is where the service was reached."""
    path = f"storage/v1/b/{quote(bucket, safe='')}/o/{quote(record.name, safe='')}"
    document: Json = {
        "kind": "storage#object",
        "id": f"{bucket}/{record.name}/{record.generation}",
        "selfLink": f"{base}/{path}",
        "mediaLink": f"{base}/download/{path}?generation={record.generation}&alt=media",
        "name": record.name,
        "bucket": bucket,
        "generation": str(record.generation),
        "metageneration": str(record.metageneration),
        "storageClass": "STANDARD",
        "size": str(record.size),
        "crc32c": record.crc32c,
        "etag": etag_of(record.generation, record.metageneration),
        "timeCreated": moment(record.created),
        "updated": moment(record.updated),
        "timeStorageClassUpdated": moment(record.created),
        "timeFinalized": moment(record.created),
        **record.properties.fields,
    }
    optional = {"md5Hash": record.md5, "componentCount": record.components, "metadata": record.properties.metadata}
    return document | {name: value for name, value in optional.items() if value}


def bucket_resource(record: BucketRecord, number: str, base: str) -> Json:
    """A bucket's document; `number` is its project's."""
    region = re.fullmatch(r"[A-Z]+-[A-Z]+\d+", record.location) is not None
    document: Json = {
        "kind": "storage#bucket",
        "id": record.name,
        "selfLink": f"{base}/storage/v1/b/{record.name}",
        "name": record.name,
        "projectNumber": number,
        "generation": str(record.generation),
        "metageneration": "1",
        "location": record.location,
        "locationType": "region" if region else "multi-region",
        "storageClass": record.storage_class,
        "etag": etag_of(record.generation, 1),
        "timeCreated": moment(record.created),
        "updated": moment(record.created),
        "iamConfiguration": record.access,
    }
    return document | ({"labels": record.labels} if record.labels else {})


def check_name(name: str) -> str:
    """An object's name as the service takes it."""
    if not name:
        raise ApiRefusal(400, "required", "Required", location=("parameter", "name"))
    if len(name.encode()) > LONGEST_NAME or _NAME.fullmatch(name) is None:
        raise ApiRefusal(400, "invalid", f"The object name '{name[:80]}' isn't valid.")
    return name


def read_object(document: Json) -> tuple[Properties, Promise]:
    """What a writer says of a new object."""
    return changed(Properties(), document), Promise(crc32c=_word(document, "crc32c"), md5=_word(document, "md5Hash"))


def changed(old: Properties, document: Json) -> Properties:
    """The properties after a patch: null takes one away, and metadata are merged."""
    _check_known(document)
    fields, metadata = dict(old.fields), dict(old.metadata)
    for name in SETTABLE:
        value = _word(document, name)
        if name in document and value is None:
            fields.pop(name, None)
        elif value is not None:
            fields[name] = value
    given = document.get("metadata", {})
    if given is None:
        metadata, given = {}, {}
    if not isinstance(given, dict):
        refuse_field("metadata", "isn't an object")
    for key, value in given.items():
        if value is None:
            metadata.pop(key, None)
        elif isinstance(value, str):
            metadata[key] = value
        else:
            refuse_field(f"metadata.{key}", "isn't a string")
    if sum(len(f"{key}{value}".encode()) for key, value in metadata.items()) > _MOST_METADATA:
        refuse_field("metadata", f"has more than {_MOST_METADATA} bytes")
    _check_values(fields)
    return Properties(fields=fields, metadata=metadata)


def _check_known(document: Json) -> None:
    for name in document:
        if name in _UNEMULATED:
            refuse_field(name, "isn't emulated")
        if name not in (*SETTABLE, "metadata", "crc32c", "md5Hash") and name not in _OWN:
            refuse_field(name, "isn't a field of an object")


def _check_values(fields: dict[str, str]) -> None:
    if fields.get("storageClass", "STANDARD") not in STORAGE_CLASSES:
        refuse_field("storageClass", "isn't a storage class")
    # A reader would get such an object decompressed, which needs its whole content once more.
    if fields.get("contentEncoding", "") not in ("", "identity"):
        refuse_field("contentEncoding", "isn't emulated: give compressed bytes a contentType")


def _word(document: Json, name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        refuse_field(name, "isn't a string")
    return value


def refuse_field(name: str, why: str) -> NoReturn:
    """A field of a document that isn't taken."""
    raise ApiRefusal(400, "invalid", f"Invalid argument: the field '{name}' {why}.")
