"""Requests and answers of the EBS direct APIs on the wire: REST with JSON, checked against the service's own model.

Source: botocore's service model ebs 2019-11-02 and the restJson1 protocol's bindings (uri, querystring, header, body).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from localcloud.ebs.refusal import EbsRefusal, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.ebs.vendor_model import Shape, VendorModel

# Of a JSON body; 50 tags of 127 + 255 characters, escaped, take less than half of it.
LARGEST_BODY = 256 * 1024
_SIGNING_HEADERS = frozenset(
    {"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-user-agent", "x-amz-region-set"}
)
_REASONS = {
    "VolumeSize": "INVALID_VOLUME_SIZE",
    "SnapshotId": "INVALID_SNAPSHOT_ID",
    "ParentSnapshotId": "INVALID_SNAPSHOT_ID",
    "FirstSnapshotId": "INVALID_SNAPSHOT_ID",
    "SecondSnapshotId": "INVALID_SNAPSHOT_ID",
    "NextToken": "INVALID_PAGE_TOKEN",
    "BlockToken": "INVALID_BLOCK_TOKEN",
    "BlockIndex": "INVALID_BLOCK",
    "Tags": "INVALID_TAG",
    "KmsKeyArn": "INVALID_CUSTOMER_KEY",
}


@dataclass(frozen=True, slots=True)
class RestCall:
    """A request as the model sees it: the operation's name and its members, without the streamed body."""

    operation: str
    values: Mapping[str, Any]


class RestReader:
    """Finds the operation of a request and reads its members."""

    def __init__(self, model: VendorModel) -> None:
        self._model = model

    def operation_of(self, method: str, path: str) -> tuple[str, Mapping[str, str]] | None:
        """The operation's name and what stands in its path."""
        return self._model.operation_of(method, path)

    def read(self, request: Request) -> RestCall:
        """Refuses unknown operations, members and headers, and values outside the model's constraints."""
        found = self.operation_of(request.method, request.path)
        if found is None:
            raise EbsRefusal(404, "UnknownOperationException", f"No operation has {request.method} {request.path}")
        operation, in_path = found
        shape = self._model.input_of(operation)
        sources = {
            "uri": in_path,
            "querystring": request.args.to_dict(),
            "header": {name.lower(): value for name, value in request.headers.items()},
            "body": {} if "payload" in shape else _json_body(request),
        }
        raw = self._members(shape, sources)
        for name in shape.get("required", ()):
            if name not in raw and name != shape.get("payload"):
                raise invalid(_reason(name), f"The parameter {name} is missing")
        return RestCall(
            operation, {name: self._checked(name, raw[name], each) for name, each in self._named(shape, raw)}
        )

    def _named(self, shape: Shape, raw: Mapping[str, Any]) -> list[tuple[str, Shape]]:
        return [(name, each) for name, each in self._model.members(shape) if name in raw]

    def _members(self, shape: Shape, sources: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        raw: dict[str, Any] = {}
        known: dict[str, set[str]] = {place: set() for place in sources}
        for name, each in self._model.members(shape):
            place = each.get("location", "body")
            wire = each.get("locationName", name)
            wire = wire.lower() if place == "header" else wire
            known[place].add(wire)
            if wire in sources[place]:
                raw[name] = sources[place][wire]
        foreign = set(sources["querystring"]) - known["querystring"] | set(sources["body"]) - known["body"]
        headers = {name for name in sources["header"] if name.startswith("x-amz-")}
        foreign |= headers - known["header"] - _SIGNING_HEADERS
        if foreign:
            raise invalid(reason="INVALID_PARAMETER_VALUE", message=f"Unknown parameters: {', '.join(sorted(foreign))}")
        return raw

    def _checked(self, name: str, value: object, shape: Shape) -> object:
        kind = shape["type"]
        if kind == "list" and isinstance(value, list):
            member = self._model.resolve(shape["member"])
            return [self._checked(name, each, member) for each in value]
        if kind == "structure" and isinstance(value, dict):
            members = dict(self._model.members(shape))
            if set(value) - set(members):
                raise invalid(
                    _reason(name), f"Unknown members of {name}: {', '.join(sorted(set(value) - set(members)))}"
                )
            return {key: self._checked(name, each, members[key]) for key, each in value.items()}
        return _scalar(name, value, shape)


def _scalar(name: str, value: object, shape: Shape) -> object:
    kind = shape["type"]
    if kind in {"integer", "long"}:
        number = _whole(name, value)
        if not shape.get("min", number) <= number <= shape.get("max", number):
            raise invalid(_reason(name), f"{name} isn't within {shape.get('min', '')} and {shape.get('max', '')}")
        return number
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind != "string" or not isinstance(value, str):
        raise invalid(_reason(name), f"{name} isn't a {kind}")
    if not shape.get("min", 0) <= len(value) <= shape.get("max", len(value)):
        raise invalid(_reason(name), f"{name} has {len(value)} characters")
    if re.search(shape.get("pattern", ""), value) is None or value not in shape.get("enum", [value]):
        raise invalid(_reason(name), f"{name} has a value that isn't allowed")
    return value


def _whole(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    raise invalid(_reason(name), f"{name} isn't a whole number")


def _reason(name: str) -> str:
    return _REASONS.get(name, "INVALID_PARAMETER_VALUE")


def _json_body(request: Request) -> dict[str, Any]:
    raw = request.stream.read(LARGEST_BODY + 1)
    try:
        body = json.loads(raw) if raw else {}
    except ValueError as error:
        raise invalid(reason="INVALID_PARAMETER_VALUE", message="The body isn't JSON") from error
    if len(raw) > LARGEST_BODY or not isinstance(body, dict):
        raise invalid(
            reason="INVALID_PARAMETER_VALUE", message="The body isn't an object of the operation's parameters"
        )
    return body


def encode_answer(model: VendorModel, operation: str, values: Mapping[str, Any]) -> Response:
    """Members to headers, to the payload or into the JSON body, as the model binds them; None is left out."""
    shape, http = model.output_of(operation), model.operations[operation]["http"]
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}
    payload = None
    for name, each in model.members(shape):
        value = values.get(name)
        if name == shape.get("payload"):
            payload = value
        elif value is not None and each.get("location") == "header":
            headers[each["locationName"]] = str(value)
        elif value is not None:
            body[each.get("locationName", name)] = value.timestamp() if each["type"] == "timestamp" else value
    kind = "application/json" if payload is None else "application/octet-stream"
    data = json.dumps(body) if payload is None else payload
    return Response(data, http.get("responseCode", 200), headers, content_type=kind)


def encode_refusal(refusal: EbsRefusal) -> Response:
    """An error's JSON."""
    body = {"Message": refusal.message, **({"Reason": refusal.reason} if refusal.reason else {})}
    headers = {"x-amzn-ErrorType": refusal.name}
    return Response(json.dumps(body), refusal.status, headers, content_type="application/x-amz-json-1.1")
