"""A request as S3 sees it, by path or by virtual host, and an answer on its way out.

Source: Amazon S3 user guide, "Virtual hosting of buckets"; API reference, common request headers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from localcloud.objects.documents import LARGEST
from localcloud.objects.intake import check_document
from localcloud.objects.refusal import S3Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from _typeshed.wsgi import WSGIEnvironment

    from localcloud.objects.intake import Readable

_AWS_HOST = re.compile(r"(.+)\.s3[.-][a-z0-9.-]*amazonaws\.com")
_LONGEST_KEY = 1024
# What every request may carry; the rest is refused where an operation doesn't know it.
_KNOWN_HEADERS = re.compile(
    r"x-amz-(date|content-sha256|security-token|user-agent|expected-bucket-owner|source-expected-bucket-owner"
    r"|decoded-content-length|trailer|sdk-checksum-algorithm|checksum-.+|meta-.+|tagging|tagging-directive"
    r"|metadata-directive|copy-source.*|request-payer|mp-object-size|storage-class|te"
    r"|server-side-encryption(-aws-kms-key-id|-bucket-key-enabled)?|if-match-.+)"
)


@dataclass(frozen=True, slots=True)
class S3Request:
    """One request; `headers` by names in lower case, `caller` an account or None for anyone."""

    method: str
    path: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    stream: Readable
    caller: str | None

    def document(self) -> bytes:
        """The body of a call that takes XML."""
        length = self.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST:
            raise S3Refusal(code="MalformedXML", message=f"A document has at most {LARGEST} bytes")
        data = self.stream.read(int(length))
        check_document(self.headers, data)
        return data

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number of the query."""
        text = self.query.get(name, str(default))
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise S3Refusal(code="InvalidArgument", message=f"{name} must be between {least} and {most}")
        return int(text)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: the body as chunks, or XML text."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] | str = ()


def read_request(environ: WSGIEnvironment, caller: str | None, hosts: Sequence[str]) -> S3Request:
    """`hosts` are the names under which a bucket's name may stand in front of the host's."""
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    bucket, key = split_address(environ.get("HTTP_HOST", ""), path, hosts)
    headers = _headers(environ)
    if "X-Amz-Signature" in query:
        # A presigned URL carries headers of the call in its query.
        headers |= {name: query.pop(name) for name in list(query) if name.startswith("x-amz-")}
    stream = _Bounded(environ["wsgi.input"], headers)
    request = S3Request(environ["REQUEST_METHOD"], path, bucket, key, query, headers, stream, caller)
    _check(request)
    return request


class _Bounded:
    """The server's stream, which goes on to the next request, ended where this request's body ends."""

    def __init__(self, stream: Readable, headers: Mapping[str, str]) -> None:
        length = headers.get("content-length", "0")
        self._stream, self._left = stream, int(length) if length.isdecimal() else 0

    def read(self, size: int = 0, /) -> bytes:
        """At most `size` bytes."""
        return self._count(self._stream.read(min(size, self._left)))

    def readline(self, size: int = 0, /) -> bytes:
        """A line, or `size` bytes of it."""
        return self._count(self._stream.readline(min(size, self._left)))

    def _count(self, data: bytes) -> bytes:
        self._left -= len(data)
        return data


def split_address(host: str, path: str, hosts: Sequence[str]) -> tuple[str, str]:
    """Bucket and key of an address; both may be empty."""
    name = host.rpartition(":")[0] if ":" in host else host
    for suffix in hosts:
        if name.endswith(f".{suffix}"):
            return name.removesuffix(f".{suffix}"), path.removeprefix("/")
    virtual = _AWS_HOST.fullmatch(name)
    if virtual:
        return virtual[1], path.removeprefix("/")
    bucket, _, key = path.removeprefix("/").partition("/")
    return bucket, key


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in {"CONTENT_LENGTH", "CONTENT_TYPE"}
    }
    return {name: value for name, value in headers.items() if value != "" or name != "content-length"}


def _check(request: S3Request) -> None:
    if len(request.key.encode()) > _LONGEST_KEY:
        raise S3Refusal(code="KeyTooLongError", message="Your key is too long")
    for name in request.headers:
        if name.startswith("x-amz-") and _KNOWN_HEADERS.fullmatch(name) is None:
            raise S3Refusal(code="NotImplemented", message=f"The header {name} isn't emulated")
    _check_presigned(request.query)


def _check_presigned(query: Mapping[str, str]) -> None:
    """A presigned URL's time; its signature isn't verified, as no signature is."""
    if "X-Amz-Signature" not in query:
        return
    try:
        signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        expires = signed + timedelta(seconds=int(query["X-Amz-Expires"]))
    except (KeyError, ValueError) as error:
        message = "Query-string authentication requires X-Amz-Date and X-Amz-Expires"
        raise S3Refusal(code="AuthorizationQueryParametersError", message=message) from error
    if datetime.now(UTC) > expires:
        raise S3Refusal(code="AccessDenied", message="Request has expired")
