"""EC2's query protocol on the wire: flat parameters in, XML out, both as the service's own model has them.

Source: botocore's service model ec2 2016-11-15 and the ec2 protocol (lists are flattened to `Name.1`, names begin with
a capital letter, errors are `Response/Errors/Error`).
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from xml.sax.saxutils import escape

from localcloud.ebs.refusal import Ec2Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.ebs.vendor_model import Shape, VendorModel

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_PROTOCOL = frozenset({"Action", "Version"})
_MOST_ITEMS = 1000

Values = dict[str, Any]
# Parameters as a tree: every dot opens a branch.
Tree = dict[str, Any]


def read_parameters(model: VendorModel, action: str, parameters: Mapping[str, str]) -> Values:
    """Members by the model's names; refuses unknown parameters, wrong types, values outside enumerations."""
    tree: Tree = {}
    for name, value in parameters.items():
        if name not in _PROTOCOL:
            _plant(tree, name, value)
    shape = model.input_of(action)
    values = _structure(model, shape, tree, "")
    for name in shape.get("required", ()):
        if name not in values:
            raise Ec2Refusal(400, "MissingParameter", f"The request must contain the parameter {name}")
    return values


def _plant(tree: Tree, name: str, value: str) -> None:
    *branches, leaf = name.split(".")
    for branch in branches:
        tree = tree.setdefault(branch, {})
        if not isinstance(tree, dict):
            raise Ec2Refusal(400, "UnknownParameter", f"The parameter {name} is not recognized")
    if leaf in tree:
        raise Ec2Refusal(400, "InvalidParameterCombination", f"The parameter {name} contradicts another one")
    tree[leaf] = value


def _read(model: VendorModel, shape: Shape, node: object, name: str) -> object:
    if shape["type"] == "structure":
        return _structure(model, shape, _branch(node, name), name)
    if shape["type"] == "list":
        return _list(model, shape, _branch(node, name), name)
    if not isinstance(node, str):
        raise Ec2Refusal(400, "UnknownParameter", f"The parameter {name} is not recognized")
    return _scalar(shape, node, name)


def _structure(model: VendorModel, shape: Shape, tree: Tree, prefix: str) -> Values:
    members = {_wire_name(name, each): (name, each) for name, each in model.members(shape)}
    values: Values = {}
    for wire, node in tree.items():
        if wire not in members:
            raise Ec2Refusal(400, "UnknownParameter", f"The parameter {prefix}{wire} is not recognized")
        name, each = members[wire]
        values[name] = _read(model, each, node, f"{prefix}{wire}")
    return values


def _list(model: VendorModel, shape: Shape, tree: Tree, name: str) -> list[Any]:
    member = model.resolve(shape["member"])
    if not all(re.fullmatch(r"[1-9][0-9]{0,4}", key) for key in tree) or len(tree) > _MOST_ITEMS:
        raise Ec2Refusal(400, "InvalidParameterValue", f"The items of {name} aren't numbered from 1 to {_MOST_ITEMS}")
    return [_read(model, member, tree[key], f"{name}.{key}.") for key in sorted(tree, key=int)]


def _branch(node: object, name: str) -> Tree:
    if isinstance(node, dict):
        return node
    raise Ec2Refusal(400, "UnknownParameter", f"The parameter {name} has no value of its own")


def _scalar(shape: Shape, text: str, name: str) -> object:
    kind = shape["type"]
    if kind == "boolean" and text in {"true", "false"}:
        return text == "true"
    if kind in {"integer", "long"} and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if kind == "string" and text in shape.get("enum", [text]):
        return text
    raise Ec2Refusal(400, "InvalidParameterValue", f"Value ({text}) for parameter {name} is invalid.")


def _wire_name(name: str, shape: Shape) -> str:
    if "queryName" in shape:
        return str(shape["queryName"])
    wire = str(shape.get("locationName", name))
    return wire[0].upper() + wire[1:]


def encode_answer(model: VendorModel, action: str, values: Mapping[str, Any]) -> str:
    """The answer's XML; members that are None are left out."""
    shape = model.output_of(action)
    inside = _encode_members(model, shape, values) or "<return>true</return>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{NAMESPACE}">'
        f"<requestId>{secrets.token_hex(16)}</requestId>{inside}</{action}Response>"
    )


def _encode_members(model: VendorModel, shape: Shape, values: Mapping[str, Any]) -> str:
    parts = []
    for name, each in model.members(shape):
        value = values.get(name)
        if value is not None:
            wire = each.get("locationName", name)
            parts.append(f"<{wire}>{_encode(model, each, value)}</{wire}>")
    return "".join(parts)


def _encode(model: VendorModel, shape: Shape, value: object) -> str:
    if shape["type"] == "structure":
        return _encode_members(model, shape, cast("Values", value))
    if shape["type"] == "list":
        member = model.resolve(shape["member"])
        return "".join(f"<item>{_encode(model, member, each)}</item>" for each in cast("list[object]", value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(timestamp(value) if isinstance(value, datetime) else str(value))


def timestamp(moment: datetime) -> str:
    """A moment as EC2 writes it, to the millisecond."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def encode_refusal(refusal: Ec2Refusal) -> str:
    """An error's XML."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
        f"<Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message>"
        f"</Error></Errors><RequestID>{secrets.token_hex(16)}</RequestID></Response>"
    )
