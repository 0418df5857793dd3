"""Await approval: the server's execution is taken in with its task token, until it may be launched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.door import door
from failback.waiting import ParkEvent, take_in
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.door import Event, Visit
    from failback.waiting import Waited


def await_approval(event: Event, around: Connections, visit: Visit) -> Waited:
    """The stage's work."""
    from aws_lambda_powertools.utilities.parser import parse

    arrival = parse(event=event, model=ParkEvent)
    visit.logger.append_keys(run=arrival.state.run.id, server=arrival.state.one)
    return take_in(arrival, "approval", around)


handler = door("await_approval", await_approval, connect)
