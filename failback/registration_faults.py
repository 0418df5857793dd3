"""What's wrong with a client that isn't registered yet: the first of all signs, with the step that it concerns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.model.recovery import INITIATION_STEPS
from failback.registration_advice import (
    GONE,
    INSTANCE_GONE,
    INSTANCE_OFF,
    SILENT,
    STOPPED,
    advice_on_agent,
    advice_on_step,
)

if TYPE_CHECKING:
    from failback.console_marks import Mark
    from failback.home_ports import MachineState
    from failback.model.recovery import RecoveryInstance
    from failback.model.server import ServerPlan


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look: DRS's record, the machine, its marks, its console's end and how many characters that has."""

    instance: RecoveryInstance
    machine: MachineState
    marks: tuple[Mark, ...]
    console: str
    length: int

    @property
    def steps(self) -> dict[str, str]:
        """The status of each of a client's initiation steps that DRS tells of, in their order."""
        told = {step.name: step.status for step in self.instance.steps}
        return {name: told[name] for name in INITIATION_STEPS if name in told}

    @property
    def step(self) -> str:
        """The step that's under way: the first one that isn't behind; empty before there are any."""
        return next((name for name, how in self.steps.items() if how not in {"SUCCEEDED", "SKIPPED"}), "")

    @property
    def behind(self) -> int:
        """How many steps are."""
        return sum(how in {"SUCCEEDED", "SKIPPED"} for how in self.steps.values())


@dataclass(frozen=True, slots=True)
class Fault:
    """A sign of failure: what it concerns, what is said of it, what to do; a `final` one never passes by itself."""

    key: str
    what: str
    advice: str
    final: bool = False

    def told(self, plan: ServerPlan, seen: Sighting) -> str:
        """The failure's whole text."""
        last = f" The agent says: {seen.marks[-1].text}." if seen.marks else ""
        console = seen.console or "(nothing)"
        return (
            f"The client of {plan.hostname} ({plan.id}) isn't registered: {self.what}.{last} {self.advice} "
            f"The end of {plan.machine}'s console:\n{console}"
        )


def find_fault(seen: Sighting, *, quiet: float, limit: float) -> Fault | None:
    """The sign that says most; None while all is well. `quiet`: seconds without news, of which `limit` are too many.

    What DRS says may pass: it tries a step again by itself. Where the agent has given up, nobody does.
    """
    given_up = bool(seen.marks) and seen.marks[-1].state == "failed"
    fault = _of_drs(seen) or _of_host(seen)
    if fault is not None:
        return Fault(fault.key, fault.what, fault.advice, final=given_up)
    if given_up:
        step = seen.marks[-1].detail.split(" ", 1)[0]
        return Fault(f"agent {step}", f"its agent gave up at {step}", advice_on_agent(step), final=True)
    return _of_machine(seen) or _of_silence(seen, quiet, limit)


def _of_drs(seen: Sighting) -> Fault | None:
    """DRS's own word: a step, the whole failback, or replication before it has begun."""
    drs = seen.instance
    if drs.failback_state == "FAILBACK_NOT_STARTED":
        # What stands there is of an earlier failback.
        return None
    said = f" ({drs.raw_error or drs.error})" if drs.raw_error or drs.error else ""
    failed = next((name for name, how in seen.steps.items() if how == "FAILED"), "")
    if failed:
        return Fault(failed, f"step {failed} failed{said}", advice_on_step(failed, drs.error))
    at = f" at step {seen.step}" if seen.step else ""
    if drs.failback_state == "FAILBACK_ERROR":
        return Fault("FAILBACK_ERROR", f"DRS reports an error{at}{said}", advice_on_step(seen.step, drs.error))
    if drs.replication_state == "STALLED" and drs.error:
        return Fault(drs.error, f"replication is stalled{at}{said}", advice_on_step(seen.step, drs.error))
    return None


def _of_host(seen: Sighting) -> Fault | None:
    """The EC2 instance: one that doesn't run answers no client."""
    state = seen.instance.ec2_state.upper()
    if state in {"", "PENDING", "RUNNING"}:
        return None
    gone = state in {"SHUTTING-DOWN", "TERMINATED", "NOT_FOUND"}
    return Fault(f"host {state}", f"its recovery instance is {state} in EC2", INSTANCE_GONE if gone else INSTANCE_OFF)


def _of_machine(seen: Sighting) -> Fault | None:
    """The machine itself. Its power state may be ahead of its console, so this counts when it's seen twice."""
    if seen.machine == "absent":
        return Fault("absent", "its machine is gone", GONE)
    if seen.machine in {"stopped", "failed"}:
        return Fault(seen.machine, f"its machine is {seen.machine}", STOPPED)
    return None


def _of_silence(seen: Sighting, quiet: float, limit: float) -> Fault | None:
    if quiet < limit:
        return None
    at = f", and DRS is at step {seen.step}" if seen.step else ", and DRS hasn't heard of it"
    return Fault("silent", f"nothing new was heard of it for {quiet / 60:.0f} minutes{at}", SILENT, final=True)
