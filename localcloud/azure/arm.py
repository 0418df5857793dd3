"""ARM's front: who may, which API version, which resource, and how answers and long-running operations look.

Source: the ARM RPC 1.0 ("Common API details", "Asynchronous Operations") as far as the SDKs rest on it.
"""

from __future__ import annotations

import copy
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from werkzeug import Request, Response

from localcloud.azure.refusals import ArmRefusal, Json
from localcloud.azure.state import ResourceId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from localcloud.azure.identity import EntraTenant
    from localcloud.azure.operations import Operation, OperationBoard
    from localcloud.azure.state import CloudState, Resource

# How soon a client should look again, in milliseconds: the SDKs take it as it is, instead of their own 30 s.
POLL_MS = 50
# A body is JSON and small; user data alone may be 64 KiB.
LARGEST_BODY = 4 << 20
# A machine's removal doesn't wait for whatever else is being done to it.
PREEMPTED_BY_DELETE = ("Microsoft.Compute/virtualMachines",)
ITEM = re.compile(
    r"/subscriptions/(?P<sub>[^/]+)(?:/resourceGroups/(?P<group>[^/]+))?/providers/(?P<namespace>[^/]+)/(?P<rest>.+)",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,78}\w)?", re.ASCII)
OPERATION = re.compile(r"locations/[^/]+/operations/(?P<id>\w+)", re.IGNORECASE)
_METHODS = {"PUT": "write", "PATCH": "write", "DELETE": "delete", "GET": "read"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a kind of resource answers; with an operation, its URLs go into the headers."""

    status: int
    body: Json | None = None
    operation: Operation | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a kind sees it: the body is parsed but not checked."""

    id: ResourceId
    body: object = None
    query: Mapping[str, str] = field(default_factory=dict)


class Kind(Protocol):
    """One type of resource: its names, its API version, the query parameters it knows, and what can be done with it."""

    type: str
    api_version: str
    queries: frozenset[str]

    def put(self, call: Call) -> Answer:
        """Create the resource, or replace its document."""

    def patch(self, call: Call) -> Answer:
        """Change what the body names."""

    def delete(self, call: Call) -> Answer:
        """Remove the resource; one that isn't there is answered by 204."""

    def show(self, resource: Resource, query: Mapping[str, str]) -> Json:
        """The document that GET answers."""

    def act(self, call: Call, action: str) -> Answer:
        """A POST to a path below the resource, or a GET of a part of it (`GET instanceView`)."""


class Collection(Protocol):
    """A list that belongs to no resource, as the sizes on offer."""

    type: str
    api_version: str
    queries: frozenset[str]

    def listing(self, query: Mapping[str, str]) -> list[Json]:
        """Its items."""


class ArmFront:
    """A WSGI application: Entra's paths first, then ARM's behind a bearer token."""

    def __init__(
        self,
        *,
        subscription: str,
        state: CloudState,
        board: OperationBoard,
        tenant: EntraTenant,
        kinds: Sequence[Kind],
        collections: Sequence[Collection] = (),
    ) -> None:
        self._subscription, self._state, self._board, self._tenant = subscription, state, board, tenant
        self._kinds = {kind.type.lower(): kind for kind in kinds}
        self._collections = {each.type.lower(): each for each in collections}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = LARGEST_BODY
        response = self._tenant.answer(request) or self._answer(request)
        response.headers["x-ms-request-id"] = response.headers["x-ms-correlation-request-id"] = secrets.token_hex(16)
        return response(environ, start_response)

    def version_of(self, path: str) -> str:
        """The API version that a resource's path has to be asked with; empty where its type isn't known."""
        match = ITEM.fullmatch(path)
        kind = self._kinds.get(f"{match['namespace']}/{match['rest'].split('/')[0]}".lower()) if match else None
        return kind.api_version if kind else ""

    def documents(self) -> dict[str, Json]:
        """Every resource as GET shows it, by its id."""
        with self._state.lock:
            self._board.settle()
            found = [each for kind in self._kinds.values() for each in self._state.of_type(kind.type)]
            return {str(each.id): copy.deepcopy(self._kinds[each.id.type.lower()].show(each, {})) for each in found}

    def _answer(self, request: Request) -> Response:
        try:
            self._tenant.check_bearer(request)
            with self._state.lock:
                self._board.settle()
                return self._dispatched(request)
        except ArmRefusal as refusal:
            response = _json(refusal.status, {"error": refusal.body})
            if refusal.status == 401:
                response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
            if refusal.status in {429, 503}:
                response.headers["x-ms-retry-after-ms"] = str(POLL_MS)
            return response

    def _dispatched(self, request: Request) -> Response:
        match = ITEM.fullmatch(request.path)
        if match is None:
            raise ArmRefusal(404, "NotFound", f"The path {request.path} isn't known.")
        if match["sub"].lower() != self._subscription.lower():
            raise ArmRefusal(404, "SubscriptionNotFound", f"The subscription '{match['sub']}' could not be found.")
        operation = OPERATION.fullmatch(match["rest"])
        if operation:
            return self._operation_answer(request, self._board.find(operation["id"]))
        kind_name, *rest = match["rest"].rstrip("/").split("/")
        type_name = f"{match['namespace']}/{kind_name}".lower()
        served = self._kinds.get(type_name) or self._collections.get(type_name)
        if served is None:
            message = f"The resource type '{kind_name}' could not be found in the namespace '{match['namespace']}'."
            raise ArmRefusal(404, "InvalidResourceType", message)
        _check_query(request, served)
        if type_name in self._collections:
            return _json(200, {"value": self._collections[type_name].listing(request.args)})
        return self._kind_answer(request, self._kinds[type_name], match["group"], rest)

    def _kind_answer(self, request: Request, kind: Kind, group: str | None, rest: list[str]) -> Response:
        action = "/".join(rest[1:])
        self._board.check_fault(operation_name(kind.type.partition("/")[2], request.method, action))
        if not rest and request.method == "GET":
            if group:
                self._state.check_group(group)
            found = self._state.of_type(kind.type, group)
            return _json(200, {"value": [kind.show(each, {}) for each in found]})
        if not rest or group is None:
            raise ArmRefusal(405, "MethodNotAllowed", f"{request.method} isn't known for {request.path}.")
        self._state.check_group(group)
        call = Call(ResourceId(self._subscription, group, kind.type, rest[0]), _body(request), request.args)
        if _NAME.fullmatch(call.id.name) is None:
            raise ArmRefusal(400, "InvalidResourceName", f"'{call.id.name}' isn't a name that a resource may have.")
        answer = self._act(request.method, kind, call, action)
        if request.method != "GET":
            self._state.save()
        return self._response(request, kind, answer)

    def _act(self, method: str, kind: Kind, call: Call, action: str) -> Answer:
        if action:
            self._state.get(call.id)
            return kind.act(call, action if method == "POST" else f"{method} {action}")
        if method == "GET":
            return Answer(200, kind.show(self._state.get(call.id), call.query))
        if method not in _METHODS:
            raise ArmRefusal(405, "MethodNotAllowed", f"{method} isn't known for {kind.type}.")
        existing = self._state.find(call.id)
        if existing and existing.busy and method == "DELETE" and kind.type in PREEMPTED_BY_DELETE:
            self._board.preempt(existing)
        if existing and existing.busy:
            message = "The request failed due to conflict with a concurrent request: the resource is being changed."
            raise ArmRefusal(409, "Conflict", message)
        if method == "PATCH":
            self._state.get(call.id)
            return kind.patch(call)
        return kind.put(call) if method == "PUT" else kind.delete(call)

    def _response(self, request: Request, kind: Kind, answer: Answer) -> Response:
        response = _json(answer.status, answer.body)
        if answer.operation:
            self._add_polling(request, response, kind, answer.operation)
        return response

    def _add_polling(self, request: Request, response: Response, kind: Kind, operation: Operation) -> None:
        namespace, version = kind.type.partition("/")[0], kind.api_version
        place = operation.resource.document.get("location", "global")
        url = (
            f"{request.host_url.rstrip('/')}/subscriptions/{self._subscription}/providers/{namespace}"
            f"/locations/{place}/operations/{operation.id}?api-version={version}"
        )
        response.headers["Azure-AsyncOperation"] = url
        response.headers["x-ms-retry-after-ms"] = str(POLL_MS)
        if response.status_code == 202:
            response.headers["Location"] = url + "&monitor=true"

    def _operation_answer(self, request: Request, operation: Operation) -> Response:
        if "monitor" not in request.args:
            response = _json(200, operation.body)
        elif operation.status == "InProgress":
            response = _json(202, None)
            response.headers["Location"] = request.url
        elif operation.fault:
            raise operation.fault
        else:
            response = _json(200 if operation.answer is not None else 204, operation.answer)
        response.headers["x-ms-retry-after-ms"] = str(POLL_MS)
        return response


def operation_name(kind: str, method: str, action: str) -> str:
    """A call's name as latency, faults and rights have it: `disks/write`, `virtualMachines/start`."""
    return f"{kind}/{action or _METHODS.get(method, method)}"


def _check_query(request: Request, served: Kind | Collection) -> None:
    version = request.args.get("api-version")
    if version is None:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise ArmRefusal(400, "MissingApiVersionParameter", message)
    if version != served.api_version:
        message = (
            f"No registered resource provider found for API version '{version}' for type '{served.type}'. "
            f"The supported api-versions are '{served.api_version}'."
        )
        raise ArmRefusal(400, "NoRegisteredProviderFound", message)
    unknown = sorted(set(request.args) - served.queries - {"api-version"})
    if unknown:
        raise ArmRefusal(400, "InvalidQueryParameter", f"Unknown query parameters: {', '.join(unknown)}.")


def _body(request: Request) -> object:
    data = request.get_data()
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        message = f"The request content was invalid and could not be deserialized: {error}."
        raise ArmRefusal(400, "InvalidRequestContent", message) from error


def _json(status: int, body: Json | None) -> Response:
    text = "" if body is None else json.dumps(body)
    return Response(text, status=status, content_type="application/json; charset=utf-8")
