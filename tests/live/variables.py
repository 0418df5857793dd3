"""The variables that say where the checks go; `docs/live.md` lists them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

AWS_REGION = "FAILBACK_LIVE_AWS_REGION"
AWS_BUCKET = "FAILBACK_LIVE_AWS_BUCKET"
AWS_TOKEN = "FAILBACK_LIVE_AWS_TOKEN"
AZURE_TARGET = "FAILBACK_LIVE_AZURE_TARGET"
AZURE_ARM = "FAILBACK_AZURE_ARM"
AZURE_AUTHORITY = "AZURE_AUTHORITY_HOST"
"""azure-identity's own variable."""
GOOGLE_TARGET = "FAILBACK_LIVE_GOOGLE_TARGET"
GOOGLE_COMPUTE, GOOGLE_STORAGE = "FAILBACK_GOOGLE_COMPUTE", "FAILBACK_GOOGLE_STORAGE"
STACK, STACK_TARGET = "FAILBACK_STACK", "FAILBACK_LIVE_TARGET"
LOOK_SECONDS = "FAILBACK_LIVE_LOOK_SECONDS"
ALL = (AWS_REGION, AWS_BUCKET, AWS_TOKEN, AZURE_TARGET, AZURE_ARM, AZURE_AUTHORITY, GOOGLE_TARGET, GOOGLE_COMPUTE,
       GOOGLE_STORAGE, STACK, STACK_TARGET, LOOK_SECONDS)  # fmt: skip

# Machines take the longest: some minutes.
PATIENCE_SECONDS = 900


def needed(name: str, what: str) -> str:
    """The variable's value; without it the test is skipped, with what it's for."""
    value = os.environ.get(name, "")
    if not value:
        pytest.skip(f"{name} isn't set: {what} (docs/live.md)")
    return value


def look_seconds() -> float:
    """How long it's waited between two looks at something that takes its time."""
    return float(os.environ.get(LOOK_SECONDS, "5"))


def wait_until(done: Callable[[], bool], what: str) -> None:
    """Look again and again; fails after a quarter of an hour with what it was waited for."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > end:
            pytest.fail(f"after {PATIENCE_SECONDS} s still not: {what}")
        time.sleep(look_seconds())
