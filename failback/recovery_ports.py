"""What the domain asks of AWS on a server's way home: DRS, the instances behind it, whoever waits for a milestone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from pydantic import SecretStr

    from failback.model.decision import Decision, LaunchBatch, Subject
    from failback.model.recovery import FailbackConfiguration, Host, LaunchJob, RecoveryInstance, SourceServer
    from failback.model.request import ServerRequest
    from failback.model.server import (
        BeforeImage,
        Milestone,
        Milestones,
        Parked,
        ReplicationProgress,
        ServerOutcome,
        ServerPlan,
        ServerRecord,
    )

MOST_IDS = 200
"""Recovery instances that one call describes (DescribeRecoveryInstances, filters.recoveryInstanceIDs)."""


class RecoveryService(Protocol):
    """AWS Elastic Disaster Recovery, as far as failing back takes it."""

    def instances(self, ids: Sequence[str]) -> Mapping[str, RecoveryInstance]:
        """Those of the recovery instances that there are, by id: one call for each 200 ids."""
        ...

    def sources(self, ids: Sequence[str]) -> Mapping[str, SourceServer]:
        """Those of the source servers that there are, by id."""
        ...

    def configuration(self, instance: str) -> FailbackConfiguration:
        """How the recovery instance replicates to its client."""
        ...

    def configure(self, instance: str, configuration: FailbackConfiguration) -> None:
        """Set that; it counts for a client that's booted afterwards."""
        ...

    def stop(self, instance: str) -> None:
        """End the failback that's under way, if there is one: the recovery instance stays as it is and serves on."""
        ...

    def mark(self, arn: str, tags: Mapping[str, str]) -> None:
        """Put tags on a recovery instance."""
        ...

    def unmark(self, arn: str, names: Iterable[str]) -> None:
        """Take tags off it; ones that aren't there are fine."""
        ...


class RecoveryHosts(Protocol):
    """The EC2 instances that recovery instances are, and the way to their port 1500."""

    def describe(self, ids: Sequence[str]) -> Mapping[str, Host]:
        """Those of the instances that there are, by id."""
        ...

    def admits(self, groups: Sequence[str], cidr: str) -> bool:
        """Whether any rule of the security groups lets that address in to TCP port 1500 already."""
        ...

    def admit(self, group: str, cidr: str, *, tags: Mapping[str, str]) -> str:
        """Let that address in to TCP port 1500 and return the rule's id; a rule of the same tags is adopted."""
        ...

    def exchange_groups(self, instance: str, groups: Sequence[str], *, holding: str = "") -> None:
        """Give its network interfaces exactly these security groups; with `holding` only those that have that one.

        Raises CloudRefused for an instance that isn't there.
        """
        ...


class RecoveryLaunches(Protocol):
    """Launches of failbacks, as DRS's jobs."""

    def start(self, instances: Sequence[str], *, tags: Mapping[str, str]) -> str:
        """Begin one and return the job's id. Raises LaunchConflict where DRS refuses it for one of them, CloudBusy
        where a quota is used up."""
        ...

    def find(self, tags: Mapping[str, str], *, since: datetime) -> str:
        """The id of the job with these tags that was begun at `since` or later; empty for none."""
        ...

    def jobs(self, ids: Sequence[str]) -> Mapping[str, LaunchJob]:
        """Those of the jobs that there are, by id."""
        ...

    def log(self, job: str) -> Sequence[str]:
        """What the job's log says, a line each, oldest first."""
        ...


class Documents(Protocol):
    """SSM documents run inside a recovery instance."""

    def run(
        self, instance: str, document: str, parameters: Mapping[str, Sequence[str]], *, token: str, minutes: int
    ) -> str:
        """Begin one, unless one with that `token` (100 characters at most) has begun already; the command's id.

        What doesn't reach the instance within `minutes` never runs there. Raises CloudRefused where it can't be run.
        """
        ...

    def begun(self, instance: str, *, token: str) -> Sequence[str]:
        """The commands whose token begins with this one, oldest first."""
        ...

    def outcome(self, instance: str, command: str) -> tuple[Literal["pending", "done", "failed"], str]:
        """How it stands, and what it said."""
        ...


class KeyMint(Protocol):
    """Short-lived keys for a client machine whose home can't vouch for it."""

    def mint(self, role: str, *, session: str, instance_arn: str) -> tuple[SecretStr, SecretStr, SecretStr]:
        """Access key, secret key and session token for one hour, good for that recovery instance only."""
        ...


class TaskTokens(Protocol):
    """Executions that wait with a task token."""

    def succeed(self, token: str, output: str) -> bool:
        """Let one go on with `output` (JSON); False where nobody waits with that token any more."""
        ...

    def fail(self, token: str, *, error: str, cause: str) -> bool:
        """Let one fail; False where nobody waits with that token any more."""
        ...


class WaitingRoom(Protocol):
    """Who waits for a milestone."""

    def park(self, parked: Parked) -> None:
        """Take in, in place of what waited there for the same milestone before: its token is the one that counts."""
        ...

    def everyone(self, unreadable: Callable[[str], object] | None = None) -> Iterable[Parked]:
        """All that wait; `unreadable` is told of each that can't be read: where it lies, why, what to do.

        Raises ValueError with that where nobody is to be told.
        """
        ...

    def keep(self, parked: Parked) -> None:
        """Keep what changed about one, unless another token has taken its place, or it has left."""
        ...

    def leave(self, parked: Parked) -> None:
        """Let it out, unless another token has taken its place; one that isn't there is fine."""
        ...


class ServerBook(Protocol):
    """What is known of a run's servers."""

    def enlist(self, run: str, requests: Sequence[ServerRequest]) -> None:
        """Note the servers of a run; those that are there already stay as they are."""
        ...

    def find(self, run: str, server: str) -> ServerRecord | None:
        """One server's record."""
        ...

    def of(self, run: str) -> Sequence[ServerRecord]:
        """All of a run, in the order of their ids."""
        ...

    def plan(self, run: str, plan: ServerPlan) -> None:
        """Keep what's planned for a server, in place of an earlier plan, or of faults found before."""
        ...

    def remember(self, run: str, server: str, before: BeforeImage) -> BeforeImage:
        """Keep how things were before the first change: the first one counts, and is what's returned."""
        ...

    def progress(self, run: str, server: str, progress: ReplicationProgress) -> None:
        """Keep how far a server's replication is."""
        ...

    def settle(self, run: str, server: str, outcome: ServerOutcome) -> None:
        """Keep how a server's part of the run ended."""
        ...

    def reach(self, run: str, server: str, milestone: Milestone, at: datetime) -> Milestones:
        """Note that a milestone is about to be passed: the first time counts; returns all of them."""
        ...


class DecisionBook(Protocol):
    """What people have decided on a run."""

    def decide(self, run: str, decision: Decision) -> None:
        """Note a decision; the same one again changes nothing."""
        ...

    def of(self, run: str, *, subject: Subject | None = None) -> Sequence[Decision]:
        """All of a run, or those on a subject; oldest first."""
        ...


class LaunchBook(Protocol):
    """Batches of launches, noted before they're asked for."""

    def keep(self, batch: LaunchBatch) -> None:
        """Note a batch, in place of what was known of it."""
        ...

    def of(self, run: str) -> Sequence[LaunchBatch]:
        """All of a run, oldest first."""
        ...
