"""Recovery instances whose failback is ready for launch, twice: in DRS's emulator behind boto3, and in memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.clouds.aws.launches import DrsLaunches
from failback.clouds.aws.recovery import DrsRecovery
from failback.model.recovery import RecoveryInstance
from localcloud.drs.plans import ClientPlan
from localcloud.drs.records import ClientLink, DiskProgress, NewInstance
from localcloud.drs.service import DrsService
from localcloud.drs.settings import DrsSettings
from localcloud.serving import serve_application
from tests.clouds.aws.embedded import client_at
from tests.clouds.aws.tables import REGION
from tests.memory.clock import FixedClock
from tests.memory.launches import READY, MemoryLaunches
from tests.memory.recovery import MemoryRecovery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from failback.recovery_ports import RecoveryLaunches, RecoveryService

MIB = 1 << 20
STALLED = {
    "failback_state": "FAILBACK_NOT_READY_FOR_LAUNCH", "replication_state": "STALLED", "error": "UNSTABLE_NETWORK"
}  # fmt: skip
LIMITS = {"concurrent_jobs": 3, "servers_per_job": 4, "servers_in_jobs": 6}
"""Quotas that are quickly used up."""


@dataclass(frozen=True)
class LaunchYard:
    """Both ports and their clock; `add` gives a server that's ready, `finish` is what its client makes of a launch.

    `spoil` has a server's launch fail with a raw error, `unready` has its replication stall.
    """

    recovery: RecoveryService
    launches: RecoveryLaunches
    clock: FixedClock
    add: Callable[[], str]
    finish: Callable[[str], None]
    spoil: Callable[[str, str], None]
    unready: Callable[[str], None]


def in_memory(*, says_launched: bool = True, limits: dict[str, int] | None = None) -> LaunchYard:
    """All of it in memory."""
    clock, recovery = FixedClock(), MemoryRecovery()
    launches = MemoryLaunches(recovery, clock, says_launched=says_launched)
    for name, value in (limits or {}).items():
        setattr(launches, name, value)

    def add() -> str:
        server = f"i-{len(recovery.known) + 1:017x}"
        recovery.add(ready_instance(server))
        return server

    return LaunchYard(
        recovery=recovery,
        launches=launches,
        clock=clock,
        add=add,
        finish=launches.finish,
        spoil=launches.errors.__setitem__,
        unready=lambda server: recovery.change(server, **STALLED),
    )


def ready_instance(server: str) -> RecoveryInstance:
    """One that DRS calls ready, and level."""
    return RecoveryInstance(
        id=server,
        arn=f"arn:aws:drs:{REGION}:123456789012:recovery-instance/{server}",
        source_server=f"s-{server[2:]}",
        ec2_state="RUNNING",
        failback_state=READY,
        replication_state="CONTINUOUS",
        client="c" * 32,
    )


@contextmanager
def emulated(folder: Path, *, says_launched: bool = True, limits: dict[str, int] | None = None) -> Iterator[LaunchYard]:
    """DRS's emulator served on loopback, in a cloud of moto's own."""
    from moto import mock_aws

    clock = FixedClock()
    told = "LAUNCHED" if says_launched else "absent"
    limits = limits or {}
    # However far a test puts the clock forward, nobody's client is silent.
    settings = DrsSettings(launch_status=told, clock=clock.now, patience=timedelta(days=30), **limits)  # type: ignore[arg-type]
    drs = DrsService(folder, region=REGION, settings=settings)

    def add() -> str:
        made = drs.world.add_recovery_instance(NewInstance({"/dev/xvda": MIB}))
        made.configuration.use_private = True
        link = made.link = ClientLink("c" * 32, original=False, started=clock.now(), seen=clock.now(), local={})
        link.steps = dict.fromkeys(link.steps, "SUCCEEDED")
        link.disks["/dev/xvda"] = DiskProgress(MIB, replicated=MIB)
        link.attained = link.consistent = link.first_byte = clock.now()
        drs.door.signed["IssueAgentCertificateForDrs"]({"recoveryInstanceID": made.id, "failbackClientID": link.client})
        return made.id

    def finish(server: str) -> None:
        link = drs.world.find(server).link
        assert link is not None
        call = {"recoveryInstanceID": server}
        drs.door.certified("GetFailbackLaunchRequestedForDrs", link.certificate, call)
        drs.door.certified("UpdateAgentReplicationProcessStateForDrs", link.certificate, {**call, "state": "COMPLETED"})

    with pytest.MonkeyPatch.context() as patch, mock_aws(), serve_application(drs) as url:
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        client = client_at("drs", url, attempts=1)
        yield LaunchYard(
            recovery=DrsRecovery(client, now=clock.now),
            launches=DrsLaunches(client),
            clock=clock,
            add=add,
            finish=finish,
            spoil=lambda server, error: drs.plan(server, ClientPlan(launch_error=error)),
            unready=lambda server: drs.plan(server, ClientPlan(stall="UNSTABLE_NETWORK")),
        )
