"""Judges an answer on the wire by botocore's model of its operation, before botocore's own lenient parser sees it.

Source: botocore's service models and the protocols they name (ec2, query, rest-xml, rest-json).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.model import OperationModel, Shape

Dynamic: TypeAlias = Any
"""A shape of botocore's, whose attributes depend on its kind; or a value of JSON."""

# What every answer of HTTP or of AWS may carry; all else has to be in the operation's model.
GENERAL_HEADERS = frozenset(
    {
        "connection", "content-length", "content-type", "date", "server", "transfer-encoding",
        "x-amz-id-2", "x-amz-request-id", "x-amzn-requestid",
    }
)  # fmt: skip
# The query protocol's and EC2's own elements beside the members.
_PROTOCOL_ELEMENTS = frozenset({"requestId", "ResponseMetadata"})
# A ranged read has its own status (RFC 9110, section 15.3.7), which the model doesn't say.
_RANGED = frozenset({"GetObject", "HeadObject"})
_PLAIN = {
    "integer": r"-?[0-9]+",
    "long": r"-?[0-9]+",
    "float": r"-?[0-9.eE+-]+",
    "double": r"-?[0-9.eE+-]+",
    "boolean": "true|false",
}
_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "integer": (int,), "long": (int,), "float": (int, float), "double": (int, float), "boolean": (bool,),
    "string": (str,), "blob": (str,), "timestamp": (int, float),
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """An answer as it came: headers by names in lower case; the body is None where it's a stream."""

    operation: OperationModel
    status: int
    headers: Mapping[str, str]
    body: bytes | None


def faults(answer: Answer, documented: Mapping[str, int]) -> list[str]:
    """What the model doesn't know or wants otherwise; `documented` are further error codes with their HTTP status."""
    judge = _refusal if answer.status >= 300 else _success
    return [f"{answer.operation.name}: {fault}" for fault in judge(answer, documented)]


def _success(answer: Answer, _: Mapping[str, int]) -> Iterator[str]:
    operation = answer.operation
    expected = {operation.http.get("responseCode", 200)} | ({206} if operation.name in _RANGED else set())
    if answer.status not in expected:
        yield f"status {answer.status}, not {sorted(expected)}"
    shape: Dynamic = operation.output_shape
    members: Mapping[str, Shape] = shape.members if shape else {}
    yield from _headers(answer, members)
    body = {name: each for name, each in members.items() if "location" not in each.serialization}
    payload = shape.serialization.get("payload") if shape else None
    if payload and members[payload].type_name == "blob":
        return
    if not body:
        # REST with JSON may say "nothing" by an empty object.
        yield from (
            [f"a body that the model hasn't: {answer.body[:80]!r}"] if answer.body and not _is_bare(answer) else []
        )
    elif operation.service_model.metadata["protocol"] == "rest-json":
        yield from _json(shape, json.loads(answer.body or b"{}"), operation.name, known=body)
    else:
        yield from _document(answer, shape, body, payload)


def _is_bare(answer: Answer) -> bool:
    """Whether it's what a protocol has around every answer, with nothing of its own in it."""
    if answer.operation.service_model.metadata["protocol"] not in {"ec2", "query"}:
        return answer.operation.service_model.metadata["protocol"] == "rest-json" and answer.body == b"{}"
    names = {_name(each) for each in ElementTree.fromstring(answer.body or b"")}
    return names <= _PROTOCOL_ELEMENTS | {"return"}


def _document(answer: Answer, shape: Dynamic, body: Mapping[str, Shape], payload: str | None) -> Iterator[str]:
    """The members of an XML body: below the root, the payload's below it, or in the query protocol one level deeper."""
    root = ElementTree.fromstring(answer.body or b"<empty/>")
    protocol = answer.operation.service_model.metadata["protocol"]
    if protocol == "query":
        wrapper = shape.serialization.get("resultWrapper", "")
        inner = [each for each in root if _name(each) == wrapper]
        yield from () if len(inner) == 1 else [f"no single {wrapper} in {_name(root)}"]
        root = inner[0] if inner else root
    elif protocol == "ec2" and _name(root) != f"{answer.operation.name}Response":
        yield f"the root is {_name(root)}"
    if answer.operation.name == "GetBucketLocation":
        # S3 answers the value as the root, where its model has a member of that name.
        yield from _xml(body["LocationConstraint"], root, _name(root)) if root.text else ()
    elif payload:
        yield from _xml(shape.members[payload], root, _name(root))
    else:
        yield from _xml(shape, root, _name(root), known=body)


def _headers(answer: Answer, members: Mapping[str, Shape]) -> Iterator[str]:
    located = {name: each for name, each in members.items() if each.serialization.get("location") == "header"}
    wires = {each.serialization.get("name", name).lower(): each for name, each in located.items()}
    prefixes = [
        each.serialization.get("name", "").lower()
        for each in members.values()
        if each.serialization.get("location") == "headers"
    ]
    for name, value in answer.headers.items():
        if name in wires:
            yield from _scalar(wires[name], value, f"header {name}", "rfc822")
        elif name not in GENERAL_HEADERS and not any(name.startswith(prefix) for prefix in prefixes):
            yield f"header {name} isn't in the model"


def _xml(
    shape: Dynamic, element: ElementTree.Element, path: str, known: Mapping[str, Shape] | None = None
) -> Iterator[str]:
    if shape.type_name == "structure":
        yield from _xml_structure(shape, element, path, shape.members if known is None else known)
    elif shape.type_name == "list":
        wire = shape.member.serialization.get("name", "member")
        for each in element:
            if _name(each) != wire:
                yield f"{path}: the item {_name(each)} isn't called {wire}"
            yield from _xml(shape.member, each, f"{path}[]")
    elif len(element):
        yield f"{path}: elements in a {shape.type_name}"
    else:
        yield from _scalar(shape, element.text or "", path, "iso8601")


def _xml_structure(
    shape: Dynamic, element: ElementTree.Element, path: str, known: Mapping[str, Shape]
) -> Iterator[str]:
    wires = {_wire(name, each): (name, each) for name, each in known.items()}
    seen: list[str] = []
    for child in element:
        wire = _name(child)
        if wire not in wires:
            yield from () if wire in _PROTOCOL_ELEMENTS and "." not in path else [f"{path}.{wire} isn't in the model"]
            continue
        name, member = wires[wire]
        if name in seen and not member.serialization.get("flattened"):
            yield f"{path}.{wire} is there twice"
        seen.append(name)
        flat: Dynamic = member.member if member.serialization.get("flattened") else member  # type: ignore[attr-defined]
        yield from _xml(flat, child, f"{path}.{wire}")
    attributes = {each.serialization["name"] for each in known.values() if each.serialization.get("xmlAttribute")}
    yield from (f"{path}: attribute {name} isn't in the model" for name in set(element.attrib) - attributes)
    yield from (f"{path}.{name} is missing" for name in shape.required_members if name in known and name not in seen)


def _wire(name: str, shape: Dynamic) -> str:
    """A member's element: a flattened list's items stand for it, by their own name if they have one."""
    if shape.serialization.get("flattened"):
        return str(shape.serialization.get("name") or shape.member.serialization.get("name") or name)
    return str(shape.serialization.get("name", name))


def _json(shape: Dynamic, value: Dynamic, path: str, known: Mapping[str, Shape] | None = None) -> Iterator[str]:
    if shape.type_name == "structure":
        members = shape.members if known is None else known
        wires = {each.serialization.get("name", name): (name, each) for name, each in members.items()}
        for wire, inner in value.items():
            if wire not in wires:
                yield f"{path}.{wire} isn't in the model"
            else:
                yield from _json(wires[wire][1], inner, f"{path}.{wire}")
        present = {wires[wire][0] for wire in value if wire in wires}
        yield from (f"{path}.{each} is missing" for each in shape.required_members if each in set(members) - present)
    elif shape.type_name == "list":
        for inner in value:
            yield from _json(shape.member, inner, f"{path}[]")
    elif not _json_fits(shape.type_name, value):
        yield f"{path}: {value!r} isn't a {shape.type_name}"
    elif shape.type_name in {"string", "blob"}:
        yield from _scalar(shape, str(value), path, "")


def _json_fits(kind: str, value: object) -> bool:
    """Python's booleans are numbers, JSON's aren't."""
    return isinstance(value, _JSON_TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _scalar(shape: Dynamic, text: str, path: str, moments: str) -> Iterator[str]:
    kind = shape.type_name
    if kind in _PLAIN:
        fits = re.fullmatch(_PLAIN[kind], text) is not None
    elif kind == "timestamp":
        fits = _reads(_MOMENTS[shape.serialization.get("timestampFormat", moments).lower()], text)
    elif kind == "blob":
        fits = _reads(base64.b64decode, text)
    else:
        fits = _string_fits(shape, text)
    if not fits:
        yield f"{path}: {text[:80]!r} isn't a {shape.name} ({kind})"


def _string_fits(shape: Dynamic, text: str) -> bool:
    traits = shape.metadata
    within = traits.get("min", 0) <= len(text) <= traits.get("max", len(text))
    return within and text in (shape.enum or [text]) and re.search(traits.get("pattern", ""), text) is not None


def _iso(text: str) -> object:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
        raise ValueError(text)
    return datetime.fromisoformat(text)


_MOMENTS: Mapping[str, Callable[[str], object]] = {
    "iso8601": _iso,
    "rfc822": parsedate_to_datetime,
    "unixtimestamp": float,
}


def _reads(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except (ValueError, binascii.Error):
        return False
    return True


def error_code(answer: Answer) -> str:
    """The code of an error's answer; the status where it has no body."""
    if "x-amzn-errortype" in answer.headers:
        return answer.headers["x-amzn-errortype"]
    if not answer.body:
        return str(answer.status)
    found = ElementTree.fromstring(answer.body).iter()
    return next((each.text or "" for each in found if _name(each) == "Code"), "")


def _refusal(answer: Answer, documented: Mapping[str, int]) -> Iterator[str]:
    """Errors of the operation's model by its code and status and members, all others by the documented list."""
    code = error_code(answer)
    errors: Dynamic = answer.operation.error_shapes
    shapes: Dynamic = {each.error_code: each for each in errors}
    if not answer.body and answer.operation.http.get("method") == "HEAD":
        yield from [] if answer.status in {*documented.values(), 304, 404} else [f"the bodiless status {answer.status}"]
        return
    if code not in shapes:
        yield from [] if documented.get(code) == answer.status else [f"the error {code} ({answer.status}) isn't known"]
        return
    wanted = shapes[code].metadata.get("error", {}).get("httpStatusCode", documented.get(code))
    if answer.status != wanted:
        yield f"the error {code} has the status {wanted}, not {answer.status}"
    if answer.operation.service_model.metadata["protocol"] == "rest-json":
        yield from _json(shapes[code], json.loads(answer.body or b"{}"), code)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
