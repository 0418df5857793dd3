"""What every stage gives back: how it stands, where it goes on, and its facts once it's done."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, Literal, TypeVar

from failback.model.facts import Facts

F = TypeVar("F")
C = TypeVar("C")

Status = Literal["done", "more", "pending"]
"""`done`; `more`: call again at once, there's more to copy; `pending`: call again after `wait_seconds`."""


class Progress(Facts):
    """How far a stage is, in bytes (or blocks of work: `unit`)."""

    done: int
    total: int
    unit: Literal["bytes", "steps"] = "bytes"
    note: str = ""


class StageResult(Facts, Generic[F, C]):
    """What a stage gives back. `since` is when it was first called in this run; `facts` are there once it's done."""

    status: Status
    wait_seconds: int = 0
    since: datetime | None = None
    progress: Progress | None = None
    cursor: C | None = None
    facts: F | None = None


def cursor_of(result: StageResult[F, C] | None) -> C | None:
    """Where a stage goes on; None in its first call."""
    return None if result is None else result.cursor


def facts_of(result: StageResult[F, C] | None) -> F | None:
    """What a stage left, once it's done."""
    return None if result is None else result.facts
