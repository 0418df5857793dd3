"""A stage as a person calls it: without what tells the state machine whose it is, or that it waits there."""

from __future__ import annotations


def stage_words(stage: str) -> str:
    """`await_launch` is the launch, `verify_server` says verify."""
    return stage.removeprefix("await_").removesuffix("_server").replace("_", " ")
