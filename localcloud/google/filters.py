"""Filters of list calls, pages and orders, as far as the SDK's callers use them.

Source: the description of `filter` in the SDK's list messages: `field = value` by AIP-160, several in parentheses or
joined by AND, `:*` for a key that's there, and the older `eq` and `ne` with regular expressions.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from localcloud.google.refusals import refuse_unemulated, refuse_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localcloud.google.refusals import Json

QUERIES = frozenset({"filter", "maxResults", "orderBy", "pageToken", "returnPartialSuccess"})
MOST_RESULTS = 500
_TERM = re.compile(
    r"\s*(?P<open>\()?\s*(?P<field>[A-Za-z][\w.-]*)\s*(?P<operator>!=|=|:|\beq\b|\bne\b)\s*"
    r'(?P<value>"[^"]*"|\'[^\']*\'|[^\s()]+)\s*(?P<close>\))?\s*(?:AND\b)?'
)


def page(items: Iterable[Json], query: Mapping[str, str]) -> tuple[list[Json], str]:
    """The items that a list call is answered with, and the token of its next page (empty: there's none)."""
    terms = _terms(query.get("filter", ""))
    found = [each for each in items if all(_fits(each, *term) for term in terms)]
    order = query.get("orderBy", "name")
    if order not in ("name", "creationTimestamp desc"):
        refuse_value("orderBy", order, "Only name and creationTimestamp desc are orders.")
    found.sort(key=lambda each: str(each[order.split()[0]]), reverse=order.endswith("desc"))
    most = query.get("maxResults", str(MOST_RESULTS))
    if not most.isdecimal() or int(most) > MOST_RESULTS:
        refuse_value("maxResults", most, f"It has to be from 0 to {MOST_RESULTS}.")
    start = _start(query["pageToken"]) if query.get("pageToken") else 0
    end = start + (int(most) or MOST_RESULTS)
    return found[start:end], _token(end) if end < len(found) else ""


def _terms(text: str) -> list[tuple[str, str, str]]:
    terms, at = [], 0
    while text[at:].strip():
        match = _TERM.match(text, at)
        if match is None or bool(match["open"]) != bool(match["close"]):
            refuse_value("filter", text, "Invalid list filter expression.")
        if match["value"] == "OR" or re.match(r"\s*(OR|NOT)\b", text[match.end() :]):
            refuse_unemulated("filter", "filters with OR or NOT")
        terms.append((match["field"], match["operator"], match["value"].strip("\"'")))
        at = match.end()
    return terms


def _fits(item: Json, field: str, operator: str, value: str) -> bool:
    found = _value(item, field)
    if operator == ":":
        if value != "*":
            refuse_unemulated("filter", f"'{field}:{value}' (only :*)")
        return found is not None
    text = {True: "true", False: "false", None: ""}.get(found, str(found)) if not isinstance(found, str) else found
    same = bool(re.fullmatch(value, text)) if operator in ("eq", "ne") else text == value
    return same == (operator in ("=", "eq"))


def _value(item: Json, field: str) -> Any:  # noqa: ANN401 - whatever JSON has there
    found: Any = item
    for name in field.split("."):
        if isinstance(found, list):
            refuse_unemulated("filter", f"a filter within the list of '{field}'")
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(f"from {start}".encode()).decode("ascii")


def _start(token: str) -> int:
    try:
        text = base64.urlsafe_b64decode(token.encode("ascii")).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    match = re.fullmatch(r"from (\d+)", text)
    return int(match[1]) if match else refuse_value("pageToken", token, "It isn't one that was given.")
