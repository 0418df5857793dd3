"""Giving servers back on AWS's side: failbacks stopped, what the run changed put back, locks released.

A recovery instance itself is never touched otherwise: it serves on. Whatever can't be undone comes with the command by
which a person does it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from failback.errors import CloudBusy, FailbackError
from failback.model.run import Belonging, LeftBehind
from failback.model.server import ServerOutcome
from failback.naming import TARGET_TAG, server_lock
from failback.report import LONGEST_CAUSE, explain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.give_back import Clearing
    from failback.model.recovery import FailbackConfiguration, RecoveryInstance
    from failback.model.run import RunState
    from failback.model.server import BeforeImage, ServerRecord
    from failback.ports import Clock, RunLog
    from failback.recovery_ports import RecoveryService, ServerBook

LOCK_TIME = timedelta(hours=3)
"""The run holds a server for so much longer at each call: giving back has two hours in all its calls."""


LAUNCHED = (
    "the server was launched here meanwhile: it may serve already, with data that its recovery instance doesn't have. "
    "Remove it only when you're sure that nobody needs it"
)
UNSEEN = (
    "DRS doesn't say whether the server was launched here meanwhile. Look it up in DRS's console, and remove it only "
    "when its failback isn't completed"
)
_OVER = frozenset({"FAILBACK_NOT_STARTED", "FAILBACK_COMPLETED"})


@dataclass(frozen=True, slots=True)
class AwsSide:
    """What giving servers back takes of AWS."""

    recovery: RecoveryService
    servers: ServerBook
    run_log: RunLog
    clock: Clock


@dataclass(slots=True)
class ServerReturn:
    """One call's work on the servers concerned: one, or all of a run.

    `changed` are those that the run has changed, and no other run has taken since. `blind` is why DRS doesn't say how
    they stand; what needs no answer of its is tried all the same.
    """

    state: RunState
    side: AwsSide
    clearing: Clearing
    records: Sequence[ServerRecord] = ()
    changed: list[ServerRecord] = field(default_factory=list)
    instances: Mapping[str, RecoveryInstance] = field(default_factory=dict)
    blind: str = ""

    @classmethod
    def begin(cls, state: RunState, side: AwsSide, clearing: Clearing) -> ServerReturn:
        """Note first that they have failed: that's known then whatever becomes of the rest."""
        returning = cls(state, side, clearing)
        if state.server is None and not state.servers:
            return returning
        returning.records = returning._of_run()
        for record in returning.records:
            returning._settle(record)
            if record.before is not None and returning._hold(record):
                returning.changed.append(record)
        return returning

    def stop(self) -> None:
        """Stop the failbacks that the run began."""
        self._look()
        left = {each.belonging.id for each in self.clearing.left if each.belonging.kind == "failback"}
        for record in self.changed:
            if record.id in left or not self._under_way(record.id):
                continue
            stop = partial(self.side.recovery.stop, record.id)
            self._undo("failback", record, stop, f"aws drs stop-failback --recovery-instance-id {record.id}")

    @property
    def kept(self) -> Mapping[str, str]:
        """Those that may have been launched meanwhile, and why: at home they may serve already, so they stay."""
        if self.blind:
            return {record.id: f"{UNSEEN} ({self.blind})" for record in self.changed}
        here = [self.instances[record.id] for record in self.changed if record.id in self.instances]
        return {instance.id: LAUNCHED for instance in here if instance.failback_state == "FAILBACK_COMPLETED"}

    def rules_of(self, server: str) -> Sequence[str]:
        """Whose rules may be removed: the server's own, if no other goes by it.

        Servers that replicate by public addresses come from the same ones, and a security group has a rule but once.
        So the last one of those that fail takes it away; where one goes on, it stays. Empty is the whole run's.
        """
        own = next((record for record in self.records if record.id == server), None)
        if own is None or own.plan is None or own.plan.private_ip:
            return [server]
        sharing = [
            record
            for record in self.side.servers.of(self.state.run.id)
            if record.plan and record.plan.group == own.plan.group and not record.plan.private_ip
        ]
        going_on = any(record.outcome is None or record.outcome.outcome == "ready" for record in sharing)
        return [] if going_on else [record.id for record in sharing]

    def restore(self) -> None:
        """Put back what the run changed, and let the servers go; their machines are gone by now."""
        # A client that was still starting may have got in touch with DRS since.
        self.stop()
        for record in self.changed:
            if record.before is not None and (self.blind or record.id in self.instances):
                self._put_back(record, record.before)
        for record in self.records:
            self.side.run_log.release(server_lock(record.id), self.state.run.id)

    def _put_back(self, record: ServerRecord, before: BeforeImage) -> None:
        recovery, instance = self.side.recovery, self.instances.get(record.id)
        configure = partial(recovery.configure, record.id, before.configuration)
        self._undo("failback-configuration", record, configure, configure_command(record.id, before.configuration))
        # Whatever stood there before was left by another run: nobody may have it that nobody takes home.
        command = f"aws drs untag-resource --tag-keys {TARGET_TAG} --resource-arn "
        if instance is not None:
            unmark = partial(recovery.unmark, instance.arn, [TARGET_TAG])
            self._undo("tag", record, unmark, command + instance.arn)
        else:
            thing = Belonging(cloud="aws", kind="tag", id=record.id)
            command += f"ARN, which 'aws drs describe-recovery-instances' gives for {record.id}"
            self.clearing.left.append(LeftBehind(belonging=thing, why=self.blind, command=command))

    def _undo(self, kind: str, record: ServerRecord, call: partial[None], command: str) -> None:
        name = record.plan.hostname if record.plan else ""
        thing = Belonging(cloud="aws", kind=kind, id=record.id, name=name)

        def done() -> bool:
            call()
            return True

        if self.clearing.undo(thing, done, command) and thing not in self.clearing.removed:
            self.clearing.removed.append(thing)

    def _look(self) -> None:
        """What DRS says of them now."""
        ids = [record.id for record in self.changed]
        if not ids:
            return
        try:
            self.instances, self.blind = self.clearing.guard(partial(self.side.recovery.instances, ids)), ""
        except CloudBusy:
            raise
        except FailbackError as error:
            self.instances, self.blind = {}, str(error)

    def _under_way(self, server: str) -> bool:
        """Whether a failback may be; stopping none is fine."""
        instance = self.instances.get(server)
        return bool(self.blind) if instance is None else instance.failback_state not in _OVER

    def _of_run(self) -> Sequence[ServerRecord]:
        if self.state.server is None:
            return self.side.servers.of(self.state.run.id)
        record = self.side.servers.find(self.state.run.id, self.state.server.id)
        return [] if record is None else [record]

    def _hold(self, record: ServerRecord) -> bool:
        """Whether the server is still the run's: a call that's repeated late may meet another run's work."""
        now, run = self.side.clock.now(), self.state.run.id
        return self.side.run_log.lease(server_lock(record.id), run, now=now, until=now + LOCK_TIME) == run

    def _settle(self, record: ServerRecord) -> None:
        """Say at which stage it failed, and why; a server that had failed before keeps its own cause."""
        if record.outcome is not None and record.outcome.outcome == "failed":
            return
        stage, failure = next(iter(self.state.failed.items()), ("", None))
        error, cause = explain(failure) if failure else ("", "")
        if self.state.server is None:
            cause = f"the run ended at {stage}; its report says why"
        outcome = ServerOutcome(
            outcome="failed", at=self.side.clock.now(), stage=stage, error=error, cause=cause[:LONGEST_CAUSE]
        )
        self.side.servers.settle(self.state.run.id, record.id, outcome)


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
