"""Giving a server back on AWS's side: its failback stopped, its fence lifted, what the run changed put back.

A recovery instance itself is never touched otherwise: it serves on. Whatever can't be undone comes with the command by
which a person does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from failback.errors import CloudBusy, FailbackError
from failback.fence import lift_command, lift_fence
from failback.model.ending import Belonging
from failback.naming import TARGET_TAG, server_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from failback.clearing import Clearing, Guard
    from failback.fence import FenceDesk
    from failback.model.recovery import FailbackConfiguration, RecoveryInstance
    from failback.model.run import RunState
    from failback.model.server import BeforeImage, ServerRecord
    from failback.ports import Clock, RunLog
    from failback.recovery_ports import DecisionBook, RecoveryService, ServerBook

LOCK_TIME = timedelta(hours=3)
"""The run holds a server for so much longer at each call: giving back has two hours in all its calls."""


@dataclass(frozen=True, slots=True)
class AwsSide:
    """What giving servers back takes of AWS."""

    recovery: RecoveryService
    servers: ServerBook
    run_log: RunLog
    clock: Clock
    fence: FenceDesk
    decisions: DecisionBook


@dataclass(slots=True)
class Standing:
    """What DRS says of servers; `blind` is why it doesn't: what needs no answer of its is tried all the same."""

    instances: Mapping[str, RecoveryInstance] = field(default_factory=dict)
    blind: str = ""

    @classmethod
    def look(cls, ids: Sequence[str], recovery: RecoveryService, guard: Guard) -> Standing:
        """What it says now."""
        if not ids:
            return cls()
        try:
            return cls(guard(partial(recovery.instances, ids)))
        except CloudBusy:
            raise
        except FailbackError as error:
            return cls(blind=str(error))


def hold(record: ServerRecord, run: str, side: AwsSide) -> bool:
    """Whether the server is still the run's: a call that's repeated late may meet another run's work."""
    now = side.clock.now()
    return side.run_log.lease(server_lock(record.id), run, now=now, until=now + LOCK_TIME) == run


def rules_of(record: ServerRecord | None, server: str, of_run: Callable[[], Sequence[ServerRecord]]) -> Sequence[str]:
    """Whose rules may be removed with one server: its own, if no other goes by it.

    Servers that replicate by public addresses come from the same ones, and a security group has a rule but once. So
    the last one of its wave to end takes it away; where one goes on, it stays. Other waves' servers have ended, or
    haven't begun and look for a rule themselves. One that's launched and not accepted keeps its own.
    """
    if record is None or record.plan is None or record.plan.private_ip:
        return [server]
    plan = record.plan
    sharing = [each for each in of_run() if each.plan and each.plan.group == plan.group and not each.plan.private_ip]
    if any(each.outcome is None and each.id != server and each.plan and each.plan.wave == plan.wave
           for each in sharing):  # fmt: skip
        return []
    return [each.id for each in sharing if each.id == server or (each.outcome and each.outcome.outcome != "launched")]


@dataclass(slots=True)
class ServerReturn:
    """One call's work on one server that the run has changed; `kept` is why it may serve at home already, if it may.

    `undone` is what was put back; it's told once all of it is.
    """

    state: RunState
    record: ServerRecord
    before: BeforeImage
    side: AwsSide
    clearing: Clearing
    standing: Standing
    kept: str = ""
    undone: list[Belonging] = field(default_factory=list)

    @property
    def instance(self) -> RecoveryInstance | None:
        """What DRS says of it; None where it says nothing, or doesn't have it any more."""
        return self.standing.instances.get(self.record.id)

    def stop(self) -> None:
        """Stop the failback, a completed one too where nobody can have used what came of it."""
        thing = self._thing("failback")
        if self.kept or not self._under_way() or any(each.belonging == thing for each in self.clearing.left):
            return
        command = f"aws drs stop-failback --recovery-instance-id {self.record.id}"
        if self._undo(thing, partial(self.side.recovery.stop, self.record.id), command):
            self.clearing.removed += [thing] if thing not in self.clearing.removed else []

    def restore(self) -> bool:
        """Put back what the run changed; what it made is gone by now. True once nothing is left to be done."""
        # A client that was still starting may have got in touch with DRS since.
        self.standing = Standing.look([self.record.id], self.side.recovery, self.clearing.guard)
        self.stop()
        if not self._lift():
            return False
        if self.standing.blind or self.instance is not None:
            self._put_back()
        return True

    def _lift(self) -> bool:
        """Let the workload on AWS serve again, unless it may serve at home: then only a person can say."""
        fence = self.state.cutover.fence
        if fence is None or fence.kind == "none" or self.record.milestones.fenced is None:
            return True
        thing, command = self._thing("fence"), lift_command(fence, self.record, self.state.run.id)
        if self.kept:
            self.clearing.leave(thing, self.kept, command)
            return True
        lift = partial(lift_fence, fence, self.record, self.state.run.id, self.side.fence)
        lifted = self.clearing.undo(thing, lift, command)
        if lifted is False:
            self.clearing.waiting.append(thing)
        self.undone += [thing] if lifted else []
        return lifted is not False

    def _put_back(self) -> None:
        recovery, server, instance = self.side.recovery, self.record.id, self.instance
        thing = self._thing("failback-configuration")
        configure = partial(recovery.configure, server, self.before.configuration)
        if self._undo(thing, configure, configure_command(server, self.before.configuration)):
            self.undone.append(thing)
        # Whatever stood there before was left by another run: nobody may have it that nobody takes home.
        thing, command = self._thing("tag"), f"aws drs untag-resource --tag-keys {TARGET_TAG} --resource-arn "
        if instance is None:
            arn = f"ARN, which 'aws drs describe-recovery-instances' gives for {server}"
            self.clearing.leave(thing, self.standing.blind, command + arn)
        elif self._undo(thing, partial(recovery.unmark, instance.arn, [TARGET_TAG]), command + instance.arn):
            self.undone.append(thing)

    def _undo(self, thing: Belonging, call: Callable[[], None], command: str) -> bool:
        def done() -> bool:
            call()
            return True

        return bool(self.clearing.undo(thing, done, command))

    def _thing(self, kind: str) -> Belonging:
        name = self.record.plan.hostname if self.record.plan else ""
        return Belonging(cloud="aws", kind=kind, id=self.record.id, name=name)

    def _under_way(self) -> bool:
        """Whether a failback may be; stopping none is fine."""
        if self.instance is None:
            return bool(self.standing.blind)
        return self.instance.failback_state != "FAILBACK_NOT_STARTED"


def configure_command(instance: str, configuration: FailbackConfiguration) -> str:
    """The command by which a person puts a failback configuration back."""
    words = [
        f"aws drs update-failback-replication-configuration --recovery-instance-id {instance}",
        f"--bandwidth-throttling {configuration.bandwidth_mbps}",
        "--use-private-ip" if configuration.private_ip else "--no-use-private-ip",
    ]
    if configuration.name:
        words.append(f"--name '{configuration.name}'")
    if configuration.protocol:
        words.append(f"--internet-protocol {configuration.protocol}")
    return " ".join(words)
