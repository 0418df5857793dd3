"""The members of an operation's input as the model lists them, each with an example value; and how to put one in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import OperationModel

Dynamic: TypeAlias = Any
"""A shape of botocore's, whose attributes depend on its kind; or a value for it."""

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def paths(operation: OperationModel) -> dict[str, Any]:
    """Every member by its path (`Ebs.VolumeSize`; lists count as their items) with its shape."""
    shape: Dynamic = operation.input_shape
    return dict(_paths(shape, "")) if shape else {}


def _paths(shape: Dynamic, above: str) -> Iterator[tuple[str, Any]]:
    for name, member in shape.members.items():
        inner = member.member if member.type_name == "list" else member
        if inner.type_name == "structure":
            yield from _paths(inner, f"{above}{name}.")
        else:
            yield f"{above}{name}", member


def example(shape: Dynamic) -> Dynamic:
    """Something of the shape's type: an enumeration's first value, the smallest number."""
    kind = shape.type_name
    if kind == "list":
        return [example(shape.member)]
    if kind == "map":
        return {"a": "b"}
    if kind == "string":
        return shape.enum[0] if shape.enum else "x" * max(1, shape.metadata.get("min", 1))
    return {"boolean": True, "timestamp": MOMENT, "blob": b"x"}.get(kind, shape.metadata.get("min", 1))


def given(call: dict[str, Any], path: str, shape: Dynamic, value: Dynamic) -> dict[str, Any]:
    """The call with that member; what has to be around it is made, what's there is kept."""
    name, _, rest = path.partition(".")
    if not rest:
        return {**call, name: value}
    member = shape.members[name]
    is_list = member.type_name == "list"
    inner = call.get(name, [{}] if is_list else {})
    changed = given(inner[0] if is_list else inner, rest, member.member if is_list else member, value)
    return {**call, name: [changed, *inner[1:]] if is_list else changed}
