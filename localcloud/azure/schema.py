"""Checks request bodies against the SDK's own models: unknown members, wrong types and unknown enum values are refused.

A member that the SDK marks as read-only is dropped, as the service does; one that the service knows but this emulator
doesn't act on is refused by name.
"""

from __future__ import annotations

import enum
import typing
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module

from localcloud.azure.refusals import ArmRefusal, Json, refuse_unemulated, refuse_value

_PRIMITIVES: dict[type, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    float: (int, float),
    bool: (bool,),
    datetime: (str,),
}

# Enums that list only a part of what the service takes; who reads such a value judges it.
_OPEN = {"VirtualMachineSizeTypes"}


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a model: its JSON name, its annotation, and whether only the service writes it."""

    name: str
    annotation: object
    read_only: bool


@dataclass(frozen=True, slots=True)
class BodySchema:
    """A model of `azure.mgmt.<library>.models`, and the paths in it that are emulated; lists count as their items.

    A path that is a prefix of nothing else takes everything that the model has below it.
    """

    library: str
    model: str
    emulated: frozenset[str]

    def clean(self, document: object) -> Json:
        """The document without read-only members; raises ArmRefusal for what isn't known or isn't emulated."""
        package = import_module(f"azure.mgmt.{self.library}.models")
        cleaned = _clean_model(getattr(package, self.model), document, "")
        self._check_emulated(cleaned, "", "")
        return cleaned

    def _check_emulated(self, value: object, path: str, shown: str) -> None:
        if path in self.emulated:
            return
        if isinstance(value, list):
            for index, item in enumerate(value):
                self._check_emulated(item, path, f"{shown}[{index}]")
        elif isinstance(value, dict) and (not path or any(name.startswith(path + ".") for name in self.emulated)):
            for name, item in value.items():
                dot = "." if path else ""
                self._check_emulated(item, path + dot + name, shown + dot + name)
        else:
            refuse_unemulated(f"'{shown}' of {self.model}", shown)


def checked_answer(library: str, model: str, document: object) -> Json:
    """An answer as the SDK's model takes it: equal to the document, unless a value is null or an enum is misspelt.

    Raises ArmRefusal for a member that the model doesn't know, or a value of another type.
    """
    package = import_module(f"azure.mgmt.{library}.models")
    return _clean_model(getattr(package, model), document, "", whole=True)


def emulated(*paths: str) -> frozenset[str]:
    """The paths of a schema; `a.{b,c}` stands for two."""
    result: set[str] = set()
    for path in paths:
        head, brace, tail = path.partition("{")
        result.update(head + name for name in tail.rstrip("}").split(",")) if brace else result.add(path)
    return frozenset(result)


@cache
def _members(model: type) -> dict[str, Member]:
    """The members of an SDK model by their JSON names; the SDK fills its table when the first instance is made."""
    model({})
    package = import_module(model.__module__.rpartition(".")[0])
    hints = typing.get_type_hints(model, localns={"_models": package})
    fields = getattr(model, "_attr_to_rest_field")  # noqa: B009 - a name that the type checker doesn't know
    return {
        field._rest_name: Member(field._rest_name, hints[attribute], field._visibility == ["read"])
        for attribute, field in fields.items()
    }


def _clean_model(model: type, document: object, path: str, *, whole: bool = False) -> Json:
    """`whole` keeps what only the service writes."""
    if not isinstance(document, dict):
        refuse_value(f"'{path or 'the body'}' isn't a JSON object.", path)
    members = _members(model)
    cleaned: Json = {}
    for name, value in document.items():
        where = f"{path}.{name}" if path else name
        if name not in members:
            raise ArmRefusal(
                400,
                "InvalidRequestContent",
                f"Could not find member '{name}' on object of type '{model.__name__}'. Path '{where}'.",
                target=where,
            )
        if value is not None and (whole or not members[name].read_only):
            cleaned[name] = _clean_value(members[name].annotation, value, where, whole=whole)
    return cleaned


def _clean_value(annotation: object, value: object, path: str, *, whole: bool) -> object:
    choices = [each for each in typing.get_args(annotation) if each is not type(None)]
    if typing.get_origin(annotation) is list:
        return _clean_list(choices[0], value, path, whole=whole)
    if typing.get_origin(annotation) is dict:
        return _clean_map(choices[1], value, path, whole=whole)
    if choices:
        # Unions are Optional[X], or str with the enum of its known values: the last one says most.
        return _clean_value(choices[-1], value, path, whole=whole)
    if not isinstance(annotation, type):
        return value
    if hasattr(annotation, "_is_model"):
        return _clean_model(annotation, value, path, whole=whole)
    if annotation.__name__ in _OPEN:
        return _clean_primitive(str, value, path)
    if issubclass(annotation, enum.Enum):
        return _clean_enum(annotation, value, path)
    return _clean_primitive(annotation, value, path)


def _clean_list(annotation: object, value: object, path: str, *, whole: bool) -> list[object]:
    if not isinstance(value, list):
        refuse_value(f"'{path}' isn't a JSON array.", path)
    return [_clean_value(annotation, item, f"{path}[{index}]", whole=whole) for index, item in enumerate(value)]


def _clean_map(annotation: object, value: object, path: str, *, whole: bool) -> Json:
    if not isinstance(value, dict):
        refuse_value(f"'{path}' isn't a JSON object.", path)
    # In a map of objects, null is what takes one out.
    takes_null = hasattr(annotation, "_is_model") and not whole
    return {
        name: None if item is None and takes_null else _clean_value(annotation, item, f"{path}.{name}", whole=whole)
        for name, item in value.items()
    }


def _clean_enum(annotation: type[enum.Enum], value: object, path: str) -> str:
    """The value in the service's own spelling: ARM compares without case."""
    wanted = str(value).lower()
    found = [str(each.value) for each in annotation if isinstance(value, str) and str(each.value).lower() == wanted]
    if not found:
        refuse_value(f"The value '{value}' of parameter '{path}' is invalid.", path)
    return found[0]


def _clean_primitive(annotation: type, value: object, path: str) -> object:
    allowed = _PRIMITIVES.get(annotation)
    fits = allowed is None or (isinstance(value, allowed) and (annotation is bool or not isinstance(value, bool)))
    if not fits:
        refuse_value(f"The value '{value}' of parameter '{path}' isn't a {annotation.__name__}.", path)
    return value
