"""Keys for a client machine whose home can't vouch for it: minted when its agent asks, taken back once it's paired.

The keys go from the mint into the machine's settings and nowhere else: no state, cursor, record or log holds them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from failback.client_settings import client_role, client_settings, keys_on_demand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.console_marks import Mark
    from failback.home_ports import HomeMachines
    from failback.model.run import RunState
    from failback.model.server import ServerPlan
    from failback.model.way_home import RegisterCursor
    from failback.registration import ClientDesk
    from failback.registration_faults import Sighting
    from failback.settings import FunctionSettings

ANSWERED = timedelta(minutes=50)
"""How long an answer holds: the keys are good for an hour, and the agent says its wish again every minute until it has
read them, so a wish on the console isn't yet a new one."""


def answer_wish(
    state: RunState, plan: ServerPlan, seen: Sighting, cursor: RegisterCursor, desk: ClientDesk
) -> RegisterCursor:
    """Give the agent keys if it waits for some; a call that was lost gives others in their place."""
    now = desk.clock.now()
    answered = cursor.keys is not None and now - cursor.keys < ANSWERED
    if answered or not keys_on_demand(state) or not is_wanted(seen.marks, run=state.run.id, server=plan.id):
        return cursor
    role = client_role(state, desk.settings)
    keys = desk.mint.mint(role, session=plan.id, instance_arn=seen.instance.arn)
    desk.machines.tell(plan.machine, client_settings(state, plan, settings=desk.settings, keys=keys).to_text())
    return cursor.model_copy(update={"keys": now, "settings_clean": False})


def take_keys_back(state: RunState, plan: ServerPlan, *, machines: HomeMachines, settings: FunctionSettings) -> None:
    """Tell the machine its settings without keys, whether or not this run knows that there are any in them."""
    if keys_on_demand(state):
        machines.tell(plan.machine, client_settings(state, plan, settings=settings).to_text())


def is_wanted(marks: Sequence[Mark], *, run: str, server: str) -> bool:
    """Whether the agent still waits for keys: it has asked for them since it last got some."""
    told = [mark for mark in marks if mark.state in {"credentials-wanted", "credentials"}]
    return bool(told) and told[-1].state == "credentials-wanted" and told[-1].detail == f"{run} {server}"
