"""Requests and answers of DRS on the wire: REST with JSON, checked against the service's own model.

Source: botocore's service model drs 2020-02-26 and the restJson1 protocol's bindings (uri, querystring, body).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from localcloud.drs.refusal import DrsRefusal, invalid, other_fault

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from localcloud.ebs.vendor_model import Shape, VendorModel

LARGEST_BODY = 256 * 1024
"""Bytes of a body; 1,000 job ids, the largest list that's asked by, take a tenth of it."""

Values = dict[str, Any]
_KINDS: Mapping[str, Any] = {"string": str, "boolean": bool, "integer": int, "long": int, "list": list}


@dataclass(frozen=True, slots=True)
class DrsCall:
    """A request as the model sees it."""

    operation: str
    values: Values


class CallReader:
    """Finds the operation of a request and reads its members, strictly."""

    def __init__(self, model: VendorModel) -> None:
        self._model = model

    def operation_of(self, method: str, path: str) -> tuple[str, Mapping[str, str]] | None:
        """The operation's name and what stands in its path."""
        return self._model.operation_of(method, path)

    def read(self, request: Request, emulated: Container[str]) -> DrsCall:
        """Refuses unknown operations and members, and values outside the model's constraints."""
        found = self.operation_of(request.method, request.path)
        if found is None:
            message = f"No operation has {request.method} {request.path}"
            raise other_fault(message, "unknownOperation")
        operation, in_path = found
        if operation not in emulated:
            message = f"{operation} isn't emulated. Nothing was done."
            raise other_fault(message)
        shape = self._model.input_of(operation)
        in_query = {name: request.args.getlist(name) for name in request.args}
        given: Values = {**json_body(request), **in_query, **in_path}
        return DrsCall(operation, self._structure("", given, shape))

    def _structure(self, path: str, given: Mapping[str, Any], shape: Shape) -> Values:
        members = dict(self._model.members(shape))
        for name in given:
            if name not in members:
                raise invalid(field=f"{path}{name}", message="isn't a member of this request")
        for name in shape.get("required", ()):
            if given.get(name) is None:
                raise invalid(field=f"{path}{name}", message="is required")
        present = {name: value for name, value in given.items() if value is not None}
        return {name: self._checked(f"{path}{name}", value, members[name]) for name, value in present.items()}

    def _checked(self, path: str, value: Any, shape: Shape) -> Any:  # noqa: ANN401 - any JSON goes in and out
        kind = shape["type"]
        if kind in {"structure", "map"}:
            if not isinstance(value, dict):
                raise invalid(path, f"isn't a {kind}")
            return self._structure(f"{path}.", value, shape) if kind == "structure" else self._map(path, value, shape)
        if kind == "list" and isinstance(value, list):
            _check_bounds(path, len(value), shape)
            member = self._model.resolve(shape["member"])
            return [self._checked(f"{path}[{number}]", each, member) for number, each in enumerate(value)]
        return _scalar(path, value, shape)

    def _map(self, path: str, value: Mapping[str, Any], shape: Shape) -> Values:
        key, item = self._model.resolve(shape["key"]), self._model.resolve(shape["value"])
        for each in value:
            self._checked(f"{path} key", each, key)
        return {each: self._checked(f"{path}.{each}", value[each], item) for each in value}


def _scalar(path: str, value: Any, shape: Shape) -> str | int:  # noqa: ANN401 - any JSON goes in
    if not isinstance(value, _KINDS[shape["type"]]) or (shape["type"] != "boolean" and isinstance(value, bool)):
        raise invalid(path, f"isn't a {shape['type']}")
    if isinstance(value, str):
        _check_bounds(path, len(value), shape)
        if "pattern" in shape and re.fullmatch(shape["pattern"], value) is None:
            raise invalid(path, f"must match {shape['pattern']}")
        if value not in shape.get("enum", [value]):
            raise invalid(path, f"must be one of {', '.join(shape['enum'])}")
    elif not isinstance(value, bool):
        _check_bounds(path, value, shape)
    scalar: str | int = value
    return scalar


def _check_bounds(path: str, number: int, shape: Shape) -> None:
    if not shape.get("min", number) <= number <= shape.get("max", number):
        raise invalid(path, f"isn't within {shape.get('min', '')} and {shape.get('max', '')}")


def json_body(request: Request) -> Values:
    """The members in a request's body; none for an empty one."""
    raw = request.stream.read(LARGEST_BODY + 1)
    try:
        body = json.loads(raw) if raw else {}
    except (ValueError, RecursionError) as error:
        message = "The body isn't JSON"
        raise other_fault(message, "cannotParse") from error
    if len(raw) > LARGEST_BODY or not isinstance(body, dict):
        message = "The body isn't an object of the operation's parameters"
        raise other_fault(message, "cannotParse")
    return body


def encode_answer(values: Mapping[str, Any]) -> Response:
    """The body of a good answer; what is None is left out, at every depth."""
    return Response(json.dumps(_without_none(values)), content_type="application/json")


def _without_none(value: Any) -> Any:  # noqa: ANN401 - any JSON goes in and out
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    return [_without_none(each) for each in value] if isinstance(value, list) else value


def encode_refusal(refusal: DrsRefusal) -> Response:
    """An error's JSON; `error` says the same for a failback client, which reads no more than that."""
    body = {"message": refusal.message, "error": refusal.message, "code": refusal.name, **refusal.more}
    headers = {"x-amzn-ErrorType": refusal.name}
    if refusal.status == 429:
        headers["Retry-After"] = "1"
    return Response(json.dumps(body), refusal.status, headers, content_type="application/json")
