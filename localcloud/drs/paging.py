"""Pages of DRS's lists: at most 200 items, and a token that says where the next page begins."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, TypeVar

from localcloud.drs.refusal import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LARGEST_PAGE = 200
Item = TypeVar("Item")


def page(operation: str, items: Sequence[Item], values: Mapping[str, Any]) -> tuple[Sequence[Item], str | None]:
    """The wanted page and the next one's token; raises DrsRefusal for a token of another list or filter."""
    asked = [operation, values.get("filters") or {}, values.get("jobID")]
    start = _start(values["nextToken"], asked) if values.get("nextToken") else 0
    end = start + min(values.get("maxResults", LARGEST_PAGE), LARGEST_PAGE)
    token = base64.urlsafe_b64encode(json.dumps([end, _mark(asked)]).encode()).decode() if end < len(items) else None
    return items[start:end], token


def _start(token: str, asked: list[object]) -> int:
    try:
        start, mark = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise invalid(field="nextToken", message="isn't a token of this service") from error
    if mark != _mark(asked) or not isinstance(start, int):
        raise invalid(field="nextToken", message="belongs to another request")
    return start


def _mark(asked: list[object]) -> int:
    return binascii.crc32(json.dumps(asked, sort_keys=True).encode())
