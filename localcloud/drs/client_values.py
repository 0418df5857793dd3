"""Members of what a failback client sends: no model describes them, so each is asked for by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.drs.refusal import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

Values = dict[str, Any]
_WORDS: Mapping[type, str] = {str: "a text", int: "a number", list: "a list"}


def text(values: Mapping[str, Any], name: str) -> str:
    """A text; raises DrsRefusal where it's missing or something else, as all of these."""
    return str(_member(values, name, str))


def whole(values: Mapping[str, Any], name: str) -> int:
    """A number of bytes."""
    number = int(_member(values, name, int))
    if number < 0:
        raise invalid(name, "is negative")
    return number


def objects(values: Mapping[str, Any], name: str) -> list[Values]:
    """A list of objects."""
    found: list[Values] = _member(values, name, list)
    if not all(isinstance(each, dict) for each in found):
        raise invalid(name, "isn't a list of objects")
    return found


def word(value: bool) -> str:
    """Yes or no as a text, which a shell reads most easily."""
    return "true" if value else "false"


def _member(values: Mapping[str, Any], name: str, kind: type) -> Any:  # noqa: ANN401 - of the kind that's asked for
    value = values.get(name, "" if name == "rawError" else None)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise invalid(name, f"isn't {_WORDS[kind]}")
    return value
