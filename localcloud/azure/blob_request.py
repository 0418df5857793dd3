"""What a request to the blob service says, checked: its headers, its range, its conditions.

Source: "Blob service REST API" (Put Page, Get Blob, Get Page Ranges, "Specifying conditional headers").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from localcloud.azure.blob_content import PAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

# What one Put Page may carry.
LARGEST_WRITE = 4 << 20
_VERSION = re.compile(r"20\d\d-\d\d-\d\d")
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{1,15})?")
_KNOWN_HEADERS = {
    "x-ms-version", "x-ms-date", "x-ms-client-request-id", "x-ms-return-client-request-id", "x-ms-range",
    "x-ms-page-write", "x-ms-content-crc64", "x-ms-range-get-content-md5",
}  # fmt: skip
_REFUSED_CONDITIONS = ("If-Modified-Since", "If-Unmodified-Since", "Content-Encoding", "Transfer-Encoding")
_KNOWN_QUERY = {"comp", "timeout", "marker", "maxresults", "sv", "sr", "si", "sig"}

_OPERATIONS = {
    ("PUT", "page"): "PutPage", ("GET", "pagelist"): "GetPageRanges", ("GET", ""): "GetBlob",
    ("HEAD", ""): "GetBlobProperties",
}  # fmt: skip


class BlobRefusal(Exception):
    """Ends a request with an error answer: XML with a code, which the header x-ms-error-code repeats."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def operation_of(method: str, query: str) -> str:
    """The call's name as the service's documentation has it, without its blanks; empty for one that isn't known."""
    part = dict(parse_qsl(query)).get("comp", "")
    return _OPERATIONS.get((method, part), "")


@dataclass(frozen=True, slots=True)
class BlobRequest:
    """One request: method, path, query and headers as they came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    def check(self) -> None:
        """Refuse a missing or odd version, and whatever header or query parameter isn't known here."""
        version = self.headers.get("x-ms-version")
        if version is None:
            raise BlobRefusal(400, "MissingRequiredHeader", "The header x-ms-version is missing.")
        if _VERSION.fullmatch(version) is None:
            raise BlobRefusal(400, "InvalidHeaderValue", f"The value {version} of x-ms-version isn't a version.")
        unknown = [name for name in self.headers if name.lower().startswith("x-ms-")]
        unknown = [name for name in unknown if name.lower() not in _KNOWN_HEADERS]
        unknown += [name for name in _REFUSED_CONDITIONS if self.headers.get(name)]
        if unknown:
            raise BlobRefusal(400, "UnsupportedHeader", f"Not supported here: {', '.join(sorted(unknown))}.")
        strange = sorted(set(self.query) - _KNOWN_QUERY)
        if strange:
            raise BlobRefusal(400, "UnsupportedQueryParameter", f"Not supported here: {', '.join(strange)}.")

    def check_conditions(self, etag: str) -> None:
        """If-Match and If-None-Match against the blob's present ETag."""
        wanted, unwanted = self.headers.get("If-Match"), self.headers.get("If-None-Match")
        if wanted and wanted not in {"*", etag}:
            raise BlobRefusal(412, "ConditionNotMet", "The blob doesn't have the ETag of If-Match.")
        if unwanted and unwanted in {"*", etag}:
            reading = self.method in {"GET", "HEAD"}
            raise BlobRefusal(304 if reading else 412, "ConditionNotMet", "The blob has the ETag of If-None-Match.")

    def byte_range(self, size: int) -> tuple[int, int] | None:
        """The range asked for, as (start, end); None if there's no range. An end beyond the blob is cut off."""
        text = self.headers.get("x-ms-range") or self.headers.get("Range")
        if text is None:
            return None
        match = _RANGE.fullmatch(text)
        if match is None:
            raise BlobRefusal(400, "InvalidHeaderValue", f"The range {text} isn't of the form bytes=start-end.")
        start, end = int(match[1]), int(match[2]) + 1 if match[2] else size
        if start >= size or end <= start:
            raise BlobRefusal(416, "InvalidRange", "The range isn't inside the blob.")
        return start, min(end, size)

    def page_range(self, size: int) -> tuple[int, int]:
        """The whole pages that a Put Page is for, as (start, end): inside the blob, at most 4 MiB when they're data."""
        text = self.headers.get("x-ms-range") or self.headers.get("Range") or ""
        match = _RANGE.fullmatch(text)
        if match is None or not match[2]:
            raise BlobRefusal(400, "MissingRequiredHeader", "Put Page needs a range of the form bytes=start-end.")
        start, end = int(match[1]), int(match[2]) + 1
        if start % PAGE or end % PAGE or not start < end <= size:
            raise BlobRefusal(416, "InvalidPageRange", "The page range specified is invalid.")
        return start, end

    def content_length(self) -> int:
        """Bytes of the body."""
        text = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"\d{1,15}", text):
            raise BlobRefusal(411, "MissingContentLengthHeader", "Content-Length HTTP header is missing.")
        return int(text)

    def count(self, name: str, default: int, largest: int) -> int:
        """A query parameter that is a number from 1 on."""
        text = self.query.get(name, str(default))
        if not re.fullmatch(r"\d{1,9}", text) or not 1 <= int(text) <= largest:
            raise BlobRefusal(400, "OutOfRangeQueryParameterValue", f"{name} has to be from 1 to {largest}.")
        return int(text)
