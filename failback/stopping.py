"""Stopping a run: a decision that every stage which begins something asks for first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.model.decision import WHOLE_RUN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from failback.model.decision import Decision


def stop_of(decisions: Iterable[Decision]) -> Decision | None:
    """The decision that stops the run; None while nobody has made one."""
    return next((each for each in decisions if each.subject == "stop" and each.scope == WHOLE_RUN), None)


def stopped_by(stop: Decision) -> str:
    """Who stopped the run, when and why."""
    why = f": {stop.why}" if stop.why else ""
    return (
        f"{stop.actor or 'somebody'} stopped the run at {stop.at:%Y-%m-%d %H:%M} UTC{why}. What it made is given back."
    )
