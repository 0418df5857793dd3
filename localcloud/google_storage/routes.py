"""Which operation a request is, by its method and its path, and what its query may hold; the rest isn't emulated.

Sources: Cloud Storage JSON API reference v1 (paths, parameters); of the XML API only "XML API multipart uploads".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_API, _BUCKET, _OBJECT = "/storage/v1/b", "(?P<bucket>[^/]+)", "(?P<name>[^/]+)"
_CONDITIONS = frozenset(
    {"ifGenerationMatch", "ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch"}
)
_EVERYWHERE = frozenset({"alt", "fields", "prettyPrint", "projection"})
_GENERATION = frozenset({"generation"})


@dataclass(frozen=True, slots=True)
class Route:
    """An operation; `takes` are the names of its query, which one of the XML API has all."""

    operation: str
    method: str
    path: re.Pattern[str]
    takes: frozenset[str]
    media: bool = False
    xml: bool = False


def _route(operation: str, method: str, path: str, *takes: frozenset[str], media: bool = False) -> Route:
    return Route(operation, method, re.compile(path), _EVERYWHERE.union(*takes), media)


_LIST = frozenset({"prefix", "maxResults", "pageToken"})
_META = frozenset({"ifMetagenerationMatch", "ifMetagenerationNotMatch"})
_UPLOAD = frozenset({"uploadType", "name", "contentEncoding"}) | _CONDITIONS
_SESSION = frozenset({"uploadType", "upload_id"})
ROUTES = (
    _route("buckets.list", "GET", _API, _LIST, frozenset({"project"})),
    _route("buckets.insert", "POST", _API, frozenset({"project"})),
    _route("buckets.get", "GET", f"{_API}/{_BUCKET}", _META),
    _route("buckets.delete", "DELETE", f"{_API}/{_BUCKET}", _META),
    _route("objects.list", "GET", f"{_API}/{_BUCKET}/o", _LIST, frozenset({"delimiter", "startOffset", "endOffset"})),
    _route("objects.get", "GET", f"{_API}/{_BUCKET}/o/{_OBJECT}", _CONDITIONS, _GENERATION),
    _route("objects.get", "GET", f"/download{_API}/{_BUCKET}/o/{_OBJECT}", _CONDITIONS, _GENERATION, media=True),
    _route("objects.patch", "PATCH", f"{_API}/{_BUCKET}/o/{_OBJECT}", _CONDITIONS, _GENERATION),
    _route("objects.delete", "DELETE", f"{_API}/{_BUCKET}/o/{_OBJECT}", _CONDITIONS, _GENERATION),
    _route("objects.compose", "POST", f"{_API}/{_BUCKET}/o/{_OBJECT}/compose", _CONDITIONS),
    _route("objects.insert", "POST", f"/upload{_API}/{_BUCKET}/o", _UPLOAD, media=True),
    _route("objects.insert", "PUT", f"/upload{_API}/{_BUCKET}/o", _SESSION, media=True),
    _route("objects.insert", "DELETE", f"/upload{_API}/{_BUCKET}/o", _SESSION, media=True),
)


def _xml(operation: str, method: str, *takes: str) -> Route:
    return Route(operation, method, re.compile(f"/{_BUCKET}/(?P<name>.+)"), frozenset(takes), xml=True)


XML_ROUTES = (
    _xml("multipart.initiate", "POST", "uploads"),
    _xml("multipart.upload", "PUT", "partNumber", "uploadId"),
    _xml("multipart.complete", "POST", "uploadId"),
    _xml("multipart.abort", "DELETE", "uploadId"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A route and the names in the request's path, decoded."""

    route: Route
    bucket: str = ""
    name: str = ""


def raw_path(environ: WSGIEnvironment) -> str:
    """The path as it was sent: a name's `%2F` must not become a `/` of the path."""
    sent = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    return str(sent).partition("?")[0] if sent else str(environ.get("PATH_INFO", ""))


def find_route(environ: WSGIEnvironment) -> Found | None:
    """The operation of a request; None where there's none."""
    method, path = str(environ["REQUEST_METHOD"]), raw_path(environ)
    query = {name for name, _ in parse_qsl(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)}
    for route in (*ROUTES, *(each for each in XML_ROUTES if each.takes == query)):
        match = route.path.fullmatch(path) if route.method == method else None
        if match is not None:
            names = {key: unquote(value) for key, value in match.groupdict().items()}
            return Found(route, names.get("bucket", ""), names.get("name", ""))
    return None
