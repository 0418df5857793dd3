"""Partial answers: the `fields` parameter, as `name,items(name,size),items/metadata`.

Source: Google's "Partial response" (commas, slashes, parentheses, `*`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localcloud.google_identity.refusal import ApiRefusal

if TYPE_CHECKING:
    from localcloud.google_identity.refusal import Json

_TOKEN = re.compile(r"[A-Za-z0-9_\-*]+|[(),/]")
Mask = dict[str, "Mask"]


def masked(document: Json, fields: str | None) -> Json:
    """The parts of a document that are asked for."""
    if fields is None:
        return document
    tokens = _TOKEN.findall(fields)
    if "".join(tokens) != fields.replace(" ", "") or not tokens:
        raise _invalid(fields)
    mask = _parse(tokens, fields)
    if tokens:
        raise _invalid(fields)
    return _pick(document, mask)


def _parse(tokens: list[str], fields: str) -> Mask:
    mask: Mask = {}
    while True:
        name = tokens.pop(0) if tokens else ""
        if name in {"", "(", ")", ",", "/"}:
            raise _invalid(fields)
        below = mask.setdefault(name, {})
        while tokens and tokens[0] == "/":
            tokens.pop(0)
            below = below.setdefault(tokens.pop(0) if tokens else "", {})
        if tokens and tokens[0] == "(":
            tokens.pop(0)
            below.update(_parse(tokens, fields))
            if not tokens or tokens.pop(0) != ")":
                raise _invalid(fields)
        if not tokens or tokens[0] != ",":
            return mask
        tokens.pop(0)


def _pick(document: Json, mask: Mask) -> Json:
    if not mask or "*" in mask:
        return document
    result: Json = {}
    for name, below in mask.items():
        if name in document:
            value = document[name]
            if isinstance(value, list):
                result[name] = [_pick(each, below) if isinstance(each, dict) else each for each in value]
            else:
                result[name] = _pick(value, below) if isinstance(value, dict) else value
    return result


def _invalid(fields: str) -> ApiRefusal:
    return ApiRefusal(400, "invalidParameter", f"Invalid field selection {fields}", location=("parameter", "fields"))
