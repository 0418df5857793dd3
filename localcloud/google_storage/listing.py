"""Pages of names: objects.list and buckets.list.

Source: Cloud Storage JSON API reference v1, objects.list (prefixes, pages of at most 1,000).
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from localcloud.google_identity.refusal import ApiRefusal, Json
from localcloud.google_storage.exchange import Reply, StorageRequest
from localcloud.google_storage.resources import object_resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from localcloud.google_storage.store import Bucket

MOST_LISTED = 1000


def list_objects(request: StorageRequest, bucket: Bucket) -> Reply:
    """objects.list."""
    entries, token = page_of(_entries(request, bucket), request)
    prefixes = [each for each in entries if _folds(each, request)]
    records = [bucket.find(each) for each in entries if each not in prefixes]
    items = [object_resource(bucket.record.name, record, request.base) for record in records if record is not None]
    document: Json = {"kind": "storage#objects"}
    wanted = {"items": items, "prefixes": prefixes, "nextPageToken": token}
    return Reply(body=document | {name: value for name, value in wanted.items() if value})


def page_of(names: Iterable[str], request: StorageRequest) -> tuple[list[str], str | None]:
    """The page of ordered names that is asked for, and the token of the next one."""
    size = request.number("maxResults")
    if size == 0:
        message = "Invalid value for maxResults: 0"
        raise ApiRefusal(400, "invalid", message, location=("parameter", "maxResults"))
    size = min(size or MOST_LISTED, MOST_LISTED)
    after, page = _after(request), []
    for name in names:
        if name > after:
            page.append(name)
        if len(page) > size:
            return page[:size], base64.urlsafe_b64encode(page[size - 1].encode()).decode("ascii")
    return page, None


def _after(request: StorageRequest) -> str:
    token = request.query.get("pageToken", "")
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        message = "Invalid Value"
        raise ApiRefusal(400, "invalid", message, location=("parameter", "pageToken")) from error


def _entries(request: StorageRequest, bucket: Bucket) -> Iterator[str]:
    """Names and, in the place of those that a delimiter folds, their common prefixes, in order."""
    prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
    end, last = request.query.get("endOffset", ""), None
    for name in bucket.names_from(max(prefix, request.query.get("startOffset", ""))):
        if not name.startswith(prefix) or (end and name >= end):
            return
        head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
        entry = prefix + head + found if found else name
        if entry != last:
            yield entry
        last = entry


def _folds(entry: str, request: StorageRequest) -> bool:
    delimiter, prefix = request.query.get("delimiter", ""), request.query.get("prefix", "")
    return bool(delimiter) and entry[len(prefix) :].endswith(delimiter)
