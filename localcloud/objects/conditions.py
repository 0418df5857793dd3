"""Ranges and preconditions of reads and writes.

Source: RFC 9110, sections 13 and 14, as far as S3 follows them (one range; GetObject, HeadObject, PutObject).
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from localcloud.objects.refusal import S3Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from localcloud.objects.record import ObjectRecord

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def chosen_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of the bytes asked for; None for all, also where the header can't be read."""
    found = _RANGE.fullmatch((header or "").strip())
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        start, end = max(size - int(found[2]), 0), size
    else:
        start, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= size or start >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise S3Refusal(code="InvalidRange", message="The requested range is not satisfiable", headers=headers)
    return start, end


def check_read(headers: Mapping[str, str], record: ObjectRecord, prefix: str = "") -> None:
    """Refuse with 412, or with 304 for a reader who has it; `prefix` is `x-amz-copy-source-` for a copy's source."""
    match, none_match = headers.get(f"{prefix}if-match"), headers.get(f"{prefix}if-none-match")
    since, unmodified = _date(headers, f"{prefix}if-modified-since"), _date(headers, f"{prefix}if-unmodified-since")
    if match is not None:
        failed = not _matches(match, record.etag)
    else:
        failed = unmodified is not None and record.modified > unmodified
    if failed:
        raise _failed()
    known = _matches(none_match, record.etag) if none_match is not None else since and record.modified <= since
    if known and prefix:
        raise _failed()
    if known:
        raise S3Refusal(code="NotModified", message="Not modified", headers={"ETag": f'"{record.etag}"'})


def check_write(headers: Mapping[str, str], record: ObjectRecord | None) -> None:
    """Conditional writes: `If-None-Match: *`, and `If-Match` with an ETag."""
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if none_match not in (None, "*"):
        raise S3Refusal(code="NotImplemented", message="A write takes If-None-Match with * only")
    if match is not None and record is None:
        raise S3Refusal(code="NoSuchKey", message="The specified key does not exist.")
    if (none_match and record) or (match is not None and record and not _matches(match, record.etag)):
        raise _failed()


def _matches(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag in {each.strip().strip('"') for each in header.split(",")}


def _date(headers: Mapping[str, str], name: str) -> datetime | None:
    try:
        return parsedate_to_datetime(headers[name]) if name in headers else None
    except ValueError:
        return None


def _failed() -> S3Refusal:
    message = "At least one of the pre-conditions you specified did not hold"
    return S3Refusal(code="PreconditionFailed", message=message)
