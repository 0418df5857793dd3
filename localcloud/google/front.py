"""Compute Engine's front: who may, which resource, which method, and how answers look.

Source: the URLs in the SDK's transports, and cloud.google.com, "Compute Engine API".
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from werkzeug import Request, Response

from localcloud.google.access import Door
from localcloud.google.filters import QUERIES, page
from localcloud.google.operations import Operation
from localcloud.google.operations import Request as OperationRequest
from localcloud.google.refusals import GoogleRefusal, Json, refuse_absent, refuse_value
from localcloud.google.state import ROOT, ResourceId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from localcloud.google.operations import OperationBoard
    from localcloud.google.state import CloudState
    from localcloud.google_identity.gate import Gate

PREFIX = "/compute/v1/"
# A body is JSON and small; metadata of an instance alone may be 512 KiB.
LARGEST_BODY = 4 << 20
WAIT_SECONDS = 120.0
"""How long operations.wait holds a call at most."""
LOOK_SECONDS = 0.02
NO_QUERIES: frozenset[str] = frozenset()
_PATH = re.compile(
    r"projects/(?P<project>[^/]+)(?:/(?P<scope>global|(?:zones|regions)/[^/]+)/(?P<collection>\w+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<action>\w+))?)?)?"
)
_PLACES = re.compile(r"projects/(?P<project>[^/]+)/(?P<collection>zones|regions)(?:/(?P<name>[^/]+))?")
_PLAIN = {"GET": "get", "DELETE": "delete", "PATCH": "patch", "PUT": "update"}
# Methods whose last word in the path isn't their name.
_ACTIONS = {"serialPort": "getSerialPortOutput"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a path asks for: the resource or, without a name, its collection, and the method's name in the API."""

    id: ResourceId
    method: str

    @property
    def operation(self) -> str:
        """As latency and faults name it: `disks.insert`."""
        return f"{self.id.collection}.{self.method}"

    @classmethod
    def read(cls, verb: str, path: str) -> Target | None:
        """By a request's verb and path; None for a path of nobody's."""
        text = path.removeprefix(PREFIX).rstrip("/")
        match = _PLACES.fullmatch(text) or _PATH.fullmatch(text)
        if match is None or not path.startswith(PREFIX):
            return None
        parts = match.groupdict()
        if not parts["collection"]:
            parts |= {"collection": "projects", "name": parts["project"]}
        name, action = parts["name"] or "", parts.get("action") or ""
        method = _ACTIONS.get(action, action)
        if not action:
            collective = {"GET": "list", "POST": "insert"}
            method = _PLAIN.get(verb, verb) if name else collective.get(verb, verb)
        return cls(ResourceId(parts["project"], parts.get("scope") or "", parts["collection"], name), method)


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a kind sees it: the body is parsed but not checked."""

    id: ResourceId
    body: object = None
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """What one method does, by which verb it's called, and the query parameters it knows besides requestId."""

    act: Callable[[Call], Operation | Json]
    queries: frozenset[str] = NO_QUERIES
    verb: str = "POST"


class Kind(Protocol):
    """One collection of resources: its scope (`zones`, `regions`, `global`, none), and its methods but get and list."""

    collection: str
    scope: str
    kind: str

    @property
    def methods(self) -> Mapping[str, Method]:
        """By their names in the API."""

    def one(self, resource_id: ResourceId) -> Json:
        """The document that GET answers; refuses what isn't there."""

    def every(self, scope: str) -> Iterable[Json]:
        """The documents of one scope's resources."""


class ComputeFront:
    """A WSGI application; `gate` says whose a bearer token is, and who may what."""

    def __init__(
        self,
        *,
        state: CloudState,
        board: OperationBoard,
        gate: Gate,
        kinds: Sequence[Kind],
        places: Mapping[str, Sequence[str]],
        projects: Sequence[str],
    ) -> None:
        self._state, self._board, self._door = state, board, Door(gate)
        self._kinds = {each.collection: each for each in kinds}
        self._places, self._projects = places, (state.project, *projects)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = LARGEST_BODY
        try:
            document = self._answer(request)
            response = _json(200, document)
        except GoogleRefusal as refusal:
            response = _json(refusal.status, refusal.body)
            if refusal.status == 401:
                response.headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/"'
        return response(environ, start_response)

    def documents(self) -> dict[str, Json]:
        """Every resource as GET shows it, by its path."""
        with self._state.lock:
            self._board.settle()
            return {
                name: copy.deepcopy(self._kinds[place.collection].one(place))
                for name in self._state.everything()
                if (place := ResourceId.parse(name))
            }

    def _answer(self, request: Request) -> Json:
        user = self._door.principal(request.headers.get("Authorization"), reads=request.method == "GET")
        target = Target.read(request.method, request.path)
        if target is None:
            raise GoogleRefusal(404, "notFound", f"The requested URL {request.path} was not found on this server.")
        if target.operation == "operations.wait":
            self._wait(target.id)
        with self._state.lock:
            self._board.settle()
            return copy.deepcopy(self._dispatched(request, target, user))

    def _dispatched(self, request: Request, target: Target, user: str) -> Json:
        self._check_place(target.id)
        self._door.check(user, target)
        self._board.check_fault(target.operation)
        if target.id.collection == "operations":
            return self._operation(target, request)
        kind = self._kinds.get(target.id.collection)
        if kind is None or kind.scope != target.id.scope.partition("/")[0]:
            raise GoogleRefusal(404, "notFound", f"The requested URL {request.path} was not found on this server.")
        if target.method == "list":
            _check_query(request, QUERIES)
            return self._list(kind, target.id.scope, request)
        if target.method == "get":
            _check_query(request, NO_QUERIES)
            return kind.one(target.id)
        return self._called(request, target, kind, user)

    def _called(self, request: Request, target: Target, kind: Kind, user: str) -> Json:
        method = kind.methods.get(target.method)
        if method is None or request.method != (method.verb if target.method != "delete" else "DELETE"):
            raise GoogleRefusal(404, "notFound", f"The method {target.operation} was not found on this server.")
        _check_query(request, method.queries if method.verb == "GET" else method.queries | {"requestId"})
        text = request.get_data()
        digest = hashlib.sha256(f"{target} {sorted(request.args.items())}".encode() + text).hexdigest()
        asked = OperationRequest(user, _request_id(request), digest)
        earlier = self._board.again(asked)
        if earlier:
            return earlier.document
        self._board.request = asked
        body = _body(text)
        self._door.check_body(user, target, body)
        answer = method.act(Call(target.id, body, request.args))
        if not isinstance(answer, Operation):
            return answer
        self._state.save()
        return answer.document

    def _check_place(self, place: ResourceId) -> None:
        if place.project not in self._projects:
            raise GoogleRefusal(404, "notFound", f"Failed to find project {place.project}")
        where, _, name = place.scope.partition("/")
        if name and name not in self._places[where]:
            word = where.removesuffix("s")
            refuse_value(word, name, f"Unknown {word}.")

    def _list(self, kind: Kind, scope: str, request: Request) -> Json:
        path = "/".join(part for part in ("projects", self._state.project, scope, kind.collection) if part)
        items, token = page(kind.every(scope), request.args)
        body: Json = {"kind": f"compute#{kind.kind}List", "id": path, "selfLink": ROOT + path}
        return body | ({"items": items} if items else {}) | ({"nextPageToken": token} if token else {})

    def _operation(self, target: Target, request: Request) -> Json:
        if target.method == "list":
            items, token = page(self._board.of(target.id.scope), request.args)
            return {"kind": "compute#operationList", "items": items} | ({"nextPageToken": token} if token else {})
        if target.method not in ("get", "wait"):
            raise GoogleRefusal(404, "notFound", f"The method {target.operation} was not found on this server.")
        _check_query(request, NO_QUERIES)
        return self._board.find(target.id.scope, target.id.name).document

    def _wait(self, place: ResourceId) -> None:
        """Return when the operation has ended, or nobody waits that long."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            with self._state.lock:
                self._board.settle()
                if self._board.find(place.scope, place.name).is_done:
                    return
            time.sleep(LOOK_SECONDS)


def named(kind: Kind, resource_id: ResourceId) -> Json:
    """One of a kind's documents by its name, for kinds that are tables."""
    for each in kind.every(resource_id.scope):
        if each["name"] == resource_id.name:
            return each
    return refuse_absent(str(resource_id))


def _request_id(request: Request) -> str:
    text = request.args.get("requestId", "")
    try:
        good = not text or uuid.UUID(text).int != 0
    except ValueError:
        good = False
    if not good:
        refuse_value("requestId", text, "It has to be a UUID, and not that of zeros only.")
    return text


def _check_query(request: Request, known: frozenset[str]) -> None:
    for name in sorted(set(request.args) - known - {"alt", "$alt"}):
        message = f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.'
        raise GoogleRefusal(400, "badRequest", message)


def _body(text: bytes) -> object:
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        message = f"Parse Error: {error}"
        raise GoogleRefusal(400, "parseError", message) from error


def _json(status: int, body: Json) -> Response:
    return Response(json.dumps(body), status=status, content_type="application/json; charset=UTF-8")
