"""Answers held against botocore's output shapes: every member known, of its type, in its pattern, bounds and enum."""

from __future__ import annotations

import re
from typing import Any

# What boto3 makes when it runs has no type of its own.
Sdk = Any
_TYPES: dict[str, Sdk] = {
    "string": str, "integer": int, "long": int, "boolean": bool, "list": list, "map": dict, "structure": dict,
}  # fmt: skip


def check_shape(place: str, value: Sdk, shape: Sdk) -> None:
    """Raises AssertionError that names the member."""
    assert isinstance(value, _TYPES[shape.type_name]), f"{place} is {value!r}, not a {shape.type_name}"
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members), f"{place} has {set(value) - set(shape.members)}"
        assert set(shape.required_members) <= set(value), f"{place} lacks {set(shape.required_members) - set(value)}"
        for name, each in value.items():
            check_shape(f"{place}.{name}", each, shape.members[name])
    elif shape.type_name == "list":
        for number, each in enumerate(value):
            check_shape(f"{place}[{number}]", each, shape.member)
    elif shape.type_name == "map":
        for key, each in value.items():
            check_shape(f"{place}.{key}", each, shape.value)
    else:
        _check_scalar(place, value, shape)


def _check_scalar(place: str, value: Sdk, shape: Sdk) -> None:
    about = shape.metadata
    assert value in about.get("enum", [value]), f"{place} is {value!r}"
    if shape.name == "ISO8601DatetimeString" and place.endswith("Duration"):
        # What the model's own oddity leaves open.
        assert re.fullmatch(f"PT[0-9]+S|{about['pattern']}", value), f"{place} is {value!r}"
        return
    if "pattern" in about:
        # Where there's a pattern it counts: a volume's id fits its own but not the model's length of 19.
        assert re.fullmatch(about["pattern"], value), f"{place} is {value!r}"
        return
    size = len(value) if isinstance(value, str) else value
    assert about.get("min", size) <= size <= about.get("max", size), f"{place} is {value!r}"
