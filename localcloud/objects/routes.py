"""Which operation a request of S3 is, by its method, its place and its query; what isn't listed isn't emulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from localcloud.objects.bucket_calls import LIST_QUERY
from localcloud.objects.object_calls import READ_QUERY

if TYPE_CHECKING:
    from collections.abc import Iterable

Place = Literal["service", "bucket", "object"]


@dataclass(frozen=True, slots=True)
class Route:
    """An operation; `needs` and `takes` are names of its query, `public` may be read by anyone in a public bucket."""

    operation: str
    method: str
    place: Place
    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    public: bool = False


def _set(*names: str) -> frozenset[str]:
    return frozenset(names)


_PART = _set("partNumber", "uploadId")
ROUTES = (
    Route("ListBuckets", "GET", "service"),
    Route("CreateBucket", "PUT", "bucket"),
    Route("HeadBucket", "HEAD", "bucket", public=True),
    Route("DeleteBucket", "DELETE", "bucket"),
    Route("GetBucketLocation", "GET", "bucket", _set("location")),
    Route("ListObjectsV2", "GET", "bucket", _set("list-type"), LIST_QUERY, public=True),
    Route("ListMultipartUploads", "GET", "bucket", _set("uploads"), _set("prefix", "encoding-type")),
    Route("DeleteObjects", "POST", "bucket", _set("delete")),
    Route("PutObject", "PUT", "object"),
    Route("GetObject", "GET", "object", takes=READ_QUERY, public=True),
    Route("HeadObject", "HEAD", "object", takes=READ_QUERY, public=True),
    Route("DeleteObject", "DELETE", "object"),
    Route("GetObjectTagging", "GET", "object", _set("tagging")),
    Route("PutObjectTagging", "PUT", "object", _set("tagging")),
    Route("DeleteObjectTagging", "DELETE", "object", _set("tagging")),
    Route("CreateMultipartUpload", "POST", "object", _set("uploads")),
    Route("UploadPart", "PUT", "object", _PART),
    Route("ListParts", "GET", "object", _set("uploadId"), _set("max-parts", "part-number-marker")),
    Route("CompleteMultipartUpload", "POST", "object", _set("uploadId")),
    Route("AbortMultipartUpload", "DELETE", "object", _set("uploadId")),
)
_COPIES = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}


def find_route(method: str, place: Place, query: Iterable[str]) -> Route | None:
    """The one operation that fits, signing parameters and the SDK's `x-id` apart."""
    names = {name for name in query if name != "x-id" and not name.startswith("X-Amz-")}
    for route in ROUTES:
        if (route.method, route.place) == (method, place) and route.needs <= names <= route.needs | route.takes:
            return route
    return None


def place_of(bucket: str, key: str) -> Place:
    """Where an address points."""
    if key:
        return "object"
    return "bucket" if bucket else "service"


def operation_name(route: Route, copies: bool) -> str:
    """The operation's name, which for a copy depends on a header."""
    return _COPIES.get(route.operation, route.operation) if copies else route.operation
