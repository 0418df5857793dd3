"""Checks request bodies against the SDK's own messages: unknown fields, wrong types, unknown enum values are refused.

What the messages' descriptions call output only is dropped, as the service does; a field that the service knows but
this emulator doesn't act on is refused by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from localcloud.google.refusals import GoogleRefusal, Json, refuse_missing, refuse_unemulated, refuse_value

if TYPE_CHECKING:
    from collections.abc import Iterable

_TYPES = "google.cloud.compute_v1.types.compute"
# How a field's description begins in the messages' docstrings.
_OUTPUT_ONLY = re.compile(r"^        (\w+) \(.*?\):\n            (?:Output only\.|\[Output Only\])", re.MULTILINE)
# google.protobuf.descriptor.FieldDescriptor.TYPE_*
_BOOL, _TEXT, _MESSAGE = 8, 9, 11
_LONG, _SHORT = {3, 4, 6, 16, 18}, {5, 7, 13, 15, 17}
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LARGEST = 2**63

Descriptor = Any
"""Protocol buffers' descriptors have no types of their own."""


@dataclass(frozen=True, slots=True)
class BodySchema:
    """A message of `google.cloud.compute_v1`, and the paths in it that are emulated; lists count as their items.

    A path that is a prefix of nothing else takes everything that the message has below it.
    """

    message: str
    emulated: frozenset[str]

    def clean(self, document: object, root: str = "resource") -> Json:
        """The document as Google keeps it: without output-only fields, 64-bit numbers as text; raises GoogleRefusal."""
        cleaned = _clean_message(_descriptor(self.message), document, root)
        self._check_emulated(cleaned, "", root)
        return cleaned

    def _check_emulated(self, value: object, path: str, shown: str) -> None:
        if path in self.emulated:
            return
        if isinstance(value, list):
            for index, item in enumerate(value):
                self._check_emulated(item, path, f"{shown}[{index}]")
        elif isinstance(value, dict) and (not path or any(name.startswith(path + ".") for name in self.emulated)):
            for name, item in value.items():
                self._check_emulated(item, f"{path}.{name}" if path else name, f"{shown}.{name}")
        else:
            refuse_unemulated(shown, f"this field of {self.message}")


def emulated(*paths: str) -> frozenset[str]:
    """The paths of a schema; `a.{b,c}` stands for two."""
    result: set[str] = set()
    for path in paths:
        head, brace, tail = path.partition("{")
        result.update(head + name for name in tail.rstrip("}").split(",")) if brace else result.add(path)
    return frozenset(result)


def take_name(body: Json, root: str = "resource") -> str:
    """The resource's name, by the rule for all of them."""
    name = body.get("name") or refuse_missing(f"{root}.name")
    return checked_name(name, f"{root}.name")


def checked_name(name: str, field: str) -> str:
    """A name as resources may have it."""
    if _NAME.fullmatch(name) is None:
        why = f"Must be a match of regex '(?:{_NAME.pattern})'"
        refuse_value(field, name, why)
    return name


def checked_answer(message: str, document: object) -> Json:
    """An answer as the SDK's message takes it: equal to the document; raises GoogleRefusal where it doesn't fit."""
    return _clean_message(_descriptor(message), document, message, whole=True)


def _descriptor(message: str) -> Descriptor:
    kind = getattr(import_module(_TYPES), message)
    return kind.pb(kind()).DESCRIPTOR


@cache
def _fields(message: str) -> dict[str, Descriptor]:
    return {field.json_name: field for field in _descriptor(message).fields}


@cache
def _output_only(message: str) -> frozenset[str]:
    said = set(_OUTPUT_ONLY.findall(getattr(import_module(_TYPES), message).__doc__ or ""))
    return frozenset(field.json_name for field in _descriptor(message).fields if field.name in said)


def _clean_message(descriptor: Descriptor, document: object, path: str, *, whole: bool = False) -> Json:
    """`whole` keeps what only the service writes."""
    if not isinstance(document, dict):
        refuse_value(path, document, "It isn't a JSON object.")
    fields = _fields(descriptor.name)
    cleaned: Json = {}
    for name, value in document.items():
        if name not in fields:
            message = f"Invalid JSON payload received. Unknown name \"{name}\" at '{path}': Cannot find field."
            raise GoogleRefusal(400, "badRequest", message)
        if value is not None and (whole or name not in _output_only(descriptor.name)):
            cleaned[name] = _clean_field(fields[name], value, f"{path}.{name}", whole=whole)
    return cleaned


def _clean_field(field: Descriptor, value: object, path: str, *, whole: bool) -> object:
    if field.type == _MESSAGE and field.message_type.GetOptions().map_entry:
        return _clean_map(field.message_type.fields_by_name["value"], value, path, whole=whole)
    if field.is_repeated:
        if not isinstance(value, list):
            refuse_value(path, value, "It isn't a JSON array.")
        return [_clean_one(field, item, f"{path}[{index}]", whole=whole) for index, item in enumerate(value)]
    return _clean_one(field, value, path, whole=whole)


def _clean_map(field: Descriptor, value: object, path: str, *, whole: bool) -> Json:
    if not isinstance(value, dict):
        refuse_value(path, value, "It isn't a JSON object.")
    return {name: _clean_one(field, item, f"{path}.{name}", whole=whole) for name, item in value.items()}


def _clean_one(field: Descriptor, value: object, path: str, *, whole: bool) -> object:
    if field.type == _MESSAGE:
        return _clean_message(field.message_type, value, path, whole=whole)
    if field.type == _TEXT:
        return _clean_text(value, _choices(field), path)
    if field.type == _BOOL:
        if not isinstance(value, bool):
            refuse_value(path, value, "It isn't a boolean.")
        return value
    if field.type in _LONG | _SHORT:
        return _clean_number(value, path, as_text=field.type in _LONG)
    return value


def _choices(field: Descriptor) -> Iterable[str]:
    """The values that the message's enum of the field's name lists; empty where it has none."""
    name = "".join(part.capitalize() for part in field.name.rstrip("_").split("_"))
    enum = field.containing_type.enum_types_by_name.get(name)
    return [each.name for each in enum.values if not each.name.startswith("UNDEFINED_")] if enum else ()


def _clean_text(value: object, choices: Iterable[str], path: str) -> str:
    if not isinstance(value, str):
        refuse_value(path, value, "It isn't a string.")
    if choices and value not in choices:
        refuse_value(path, value, f"It's none of: {', '.join(sorted(choices))}.")
    return value


def _clean_number(value: object, path: str, *, as_text: bool) -> str | int:
    """Whole numbers come as such or as text; 64-bit ones are always answered as text."""
    text = str(value)
    if isinstance(value, bool) or re.fullmatch(r"-?\d{1,19}", text) is None or abs(int(text)) >= _LARGEST:
        refuse_value(path, value, "It isn't a whole number.")
    return text if as_text else int(text)
