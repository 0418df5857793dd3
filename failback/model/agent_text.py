"""The `name=value` lines of a client machine's settings, read into plain fields that model/agent.py judges."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

TEXT_LIMIT = 48 << 10
"""Bytes: Azure takes 64 KiB of base64."""

_PRINTABLE = re.compile(r"[\n -~]*")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_NUMBERS = frozenset({"version", "duration", "lun", "size"})
_FLAGS = {"true": True, "false": False}


def read_fields(text: str, known: Collection[str]) -> tuple[dict[str, object], list[str]]:
    """The fields of a text whose names are `known`, and the faults of its form, each with its path.

    `mapping` may be repeated and becomes a list of fields of its own; every other name may be given once.
    """
    if len(text) > TEXT_LIMIT or not _PRINTABLE.fullmatch(text):
        return {}, [f"settings: must be printable ASCII of at most {TEXT_LIMIT} bytes"]
    fields: dict[str, object] = {}
    mappings: list[dict[str, object]] = []
    faults: list[str] = []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        name, separator, value = line.partition("=")
        if not separator:
            faults.append(f"line {number}: isn't name=value")
        elif name == "mapping":
            mappings.append(_read_mapping(value, f"mapping[{len(mappings)}]", faults))
        elif name not in known:
            faults.append(f"line {number}: has a name that isn't known")
        elif name in fields:
            faults.append(f"{name}: is given twice")
        else:
            fields[name] = _typed(name, value)
    return {**fields, "mapping": mappings}, faults


def _read_mapping(value: str, path: str, faults: list[str]) -> dict[str, object]:
    device, *selectors = value.split(" ")
    fields: dict[str, object] = {"recovery_device": device}
    if selectors == ["exclude"]:
        return {**fields, "exclude": True}
    for selector in selectors:
        key, _, wanted = selector.partition("=")
        if key not in {"lun", "name", "size"}:
            faults.append(f"{path}: has a selector that isn't lun=, name=, size= or a single exclude")
        elif key in fields:
            faults.append(f"{path}: has {key} twice")
        else:
            fields[key] = _typed(key, wanted)
    return fields


def _typed(name: str, value: str) -> object:
    """Numbers and flags in their one spelling as what they are; anything else as text, which no number takes."""
    if name in _NUMBERS and _NUMBER.fullmatch(value):
        return int(value)
    if name == "prepare":
        return _FLAGS.get(value, value)
    return value
