"""Preconditions of requests, and the range of bytes that a read asks for.

Sources: Cloud Storage documentation, "Request preconditions"; RFC 9110 section 14.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localcloud.google_identity.refusal import ApiRefusal
from localcloud.google_storage.record import Condition

if TYPE_CHECKING:
    from localcloud.google_storage.exchange import StorageRequest
    from localcloud.google_storage.record import ObjectRecord

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def read_condition(request: StorageRequest) -> Condition:
    """What the query says; a value and its opposite at once are refused."""
    condition = Condition(
        generation=request.number("ifGenerationMatch"),
        not_generation=request.number("ifGenerationNotMatch"),
        metageneration=request.number("ifMetagenerationMatch"),
        not_metageneration=request.number("ifMetagenerationNotMatch"),
    )
    if condition.generation is not None and condition.not_generation is not None:
        message = "ifGenerationMatch and ifGenerationNotMatch can't be given together."
        raise ApiRefusal(400, "invalid", message)
    return condition


def check_write(condition: Condition, record: ObjectRecord | None) -> None:
    """Refuse with 412 where the live object, or there being none, isn't what the writer wants."""
    generation = record.generation if record else 0
    metageneration = record.metageneration if record else None
    held = (
        condition.generation in (None, generation)
        and condition.not_generation != generation
        and condition.metageneration in (None, metageneration)
        and (condition.not_metageneration is None or condition.not_metageneration != metageneration)
    )
    if not held:
        raise _unmet()


def check_read(condition: Condition, record: ObjectRecord) -> None:
    """Refuse with 412, or with 304 for a reader who has it."""
    check_write(Condition(generation=condition.generation, metageneration=condition.metageneration), record)
    if condition.not_generation == record.generation or condition.not_metageneration == record.metageneration:
        raise ApiRefusal(304, "notModified", "Not Modified")


def check_metageneration(condition: Condition, metageneration: int) -> None:
    """A bucket's conditions."""
    if condition.metageneration not in (None, metageneration) or condition.not_metageneration == metageneration:
        raise _unmet()


def _unmet() -> ApiRefusal:
    message = "At least one of the pre-conditions you specified did not hold."
    return ApiRefusal(412, "conditionNotMet", message, location=("header", "If-Match"))


def chosen_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and end (exclusive) of the bytes asked for; None for all."""
    if header is None:
        return None
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[1] == found[2] == "":
        raise ApiRefusal(400, "invalid", f"The range '{header}' isn't one that is emulated: bytes=first-last")
    if found[1] == "":
        start, end = max(size - int(found[2]), 0), size
    else:
        start, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
    if start >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise ApiRefusal(416, "requestedRangeNotSatisfiable", "Request range not satisfiable", headers=headers)
    return start, end
