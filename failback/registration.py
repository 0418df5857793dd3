"""Registering a client: DRS's initiation steps followed, keys given where the agent asks, until data may flow.

One look a call. A step that fails is looked at twice before it counts, and what fails for good comes with what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.client_keys import answer_wish, take_keys_back
from failback.client_machine import server_plan
from failback.console_marks import read_marks, tail
from failback.errors import RegistrationFailed
from failback.model.recovery import INITIATION_STEPS
from failback.model.stage import Progress, StageResult, cursor_of
from failback.model.way_home import RegisterCursor, Registration
from failback.registration_faults import Sighting, find_fault
from failback.replication import FLOWING

if TYPE_CHECKING:
    from failback.home_ports import HomeMachines
    from failback.model.recovery import RecoveryInstance
    from failback.model.run import RunState
    from failback.model.server import ServerPlan
    from failback.ports import Clock
    from failback.recovery_ports import KeyMint, RecoveryService, ServerBook
    from failback.settings import FunctionSettings

    Result = StageResult[Registration, RegisterCursor]

LOOK_AGAIN = 25
"""Seconds between two looks: registering takes five to ten minutes, and Azure's console is half a minute behind. A look
is three transitions of the state machine: in the stage's 90 minutes some 2,500 of the 25,000 events it may have."""

SILENCE = 25 * 60
"""Seconds without anything new that fail a client: the agent waits up to 15 minutes for its settings or a role without
a word, a boot takes two, a console may be some behind; once its client runs the agent speaks every five."""


@dataclass(frozen=True, slots=True)
class ClientDesk:
    """What registering takes of AWS and of the home; `silence` in seconds."""

    recovery: RecoveryService
    servers: ServerBook
    machines: HomeMachines
    mint: KeyMint
    settings: FunctionSettings
    clock: Clock
    silence: float = SILENCE


def register_client(state: RunState, desk: ClientDesk) -> Result:
    """Look once; `pending` until the client is paired with its recovery instance.

    Raises RegistrationFailed with the step that failed, what DRS and the agent say of it, and what to do.
    """
    plan = server_plan(state, desk.servers)
    cursor = cursor_of(state.register_client) or RegisterCursor(heard=desk.clock.now())
    seen = _look(plan, desk)
    if is_registered(seen.instance):
        take_keys_back(state, plan, machines=desk.machines, settings=desk.settings)
        facts = Registration(client=seen.instance.client, to_original=seen.instance.to_original)
        cursor = _kept(cursor, seen, desk).model_copy(update={"settings_clean": True})
        total = len(INITIATION_STEPS)
        progress = Progress(done=total, total=total, unit="steps")
        return StageResult(status="done", progress=progress, cursor=cursor, facts=facts)
    cursor = _kept(cursor, seen, desk)
    fault = find_fault(seen, quiet=_quiet(cursor, desk), limit=desk.silence)
    if fault is not None and (fault.final or fault.key == cursor.failing):
        raise RegistrationFailed(fault.told(plan, seen))
    cursor = cursor.model_copy(update={"failing": fault.key if fault else ""})
    if fault is None:
        cursor = answer_wish(state, plan, seen, cursor, desk)
    return StageResult(status="pending", wait_seconds=LOOK_AGAIN, progress=_progress(seen), cursor=cursor)


def is_registered(instance: RecoveryInstance) -> bool:
    """Whether the client is paired: all its steps are behind it, or data flows (DRS drops the steps some time)."""
    if instance.failback_state == "FAILBACK_NOT_STARTED":
        # Steps and states of an earlier failback may stand there still.
        return False
    statuses = {step.name: step.status for step in instance.steps}
    if all(statuses.get(name) in {"SUCCEEDED", "SKIPPED"} for name in INITIATION_STEPS):
        return True
    return instance.replication_state in FLOWING


def _look(plan: ServerPlan, desk: ClientDesk) -> Sighting:
    """Everything that one look sees.

    DRS is asked last: it knows of a step's failure before the agent gives up, and says more of it.
    """
    how = desk.machines.state(plan.machine)
    console = "" if how in {"absent", "building"} else desk.machines.console(plan.machine)
    instance = desk.recovery.instances([plan.id]).get(plan.id)
    if instance is None:
        message = (
            f"Recovery instance {plan.id} ({plan.hostname}) isn't there any more. Usually it was terminated or "
            "disconnected since the run began. Look for it in DRS's console; without it there's nothing to take home."
        )
        raise RegistrationFailed(message)
    return Sighting(instance, how, tuple(read_marks(console)), tail(console), len(console))


def _kept(cursor: RegisterCursor, seen: Sighting, desk: ClientDesk) -> RegisterCursor:
    """The cursor with what was seen; anything new counts as having heard of the client."""
    step, mark = seen.step, seen.marks[-1].short if seen.marks else ""
    news = (step, mark, seen.length) != (cursor.step, cursor.mark, cursor.console)
    heard = desk.clock.now() if news or cursor.heard is None else cursor.heard
    update = {"step": step, "mark": mark, "console": seen.length, "heard": heard}
    return cursor.model_copy(update=update)


def _quiet(cursor: RegisterCursor, desk: ClientDesk) -> float:
    """Seconds since anything was new."""
    return (desk.clock.now() - cursor.heard).total_seconds() if cursor.heard else 0.0


def _progress(seen: Sighting) -> Progress:
    """The step under way, and what the agent says."""
    agent = f"; the agent says: {seen.marks[-1].short}" if seen.marks else "; the machine has said nothing yet"
    doing = seen.step or "waiting for the client to get in touch with DRS"
    return Progress(done=seen.behind, total=len(INITIATION_STEPS), unit="steps", note=f"{doing}{agent}")
