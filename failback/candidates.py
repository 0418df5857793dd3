"""The servers of a run while they're judged: what was asked for each, what AWS knows of it, and what becomes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.home_ports import MachineNeeds
from failback.machine_names import name_after
from failback.model.server import ServerPlan
from failback.naming import client_machine_name
from failback.volumes import GIB, VolumePlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.model.recovery import Host, RecoveryInstance, SourceServer
    from failback.model.run import RunState
    from failback.model.server import ServerRecord
    from failback.recovery_ports import RecoveryHosts, RecoveryService, ServerBook
    from failback.ways_home import WayHome

CLIENT_MEMORY_GIB = 8.0
"""The client refuses less than 3.8 GB, and a nominal 4 GiB is borderline (its start script; see MEMORY_GB in Azure)."""


NOTHING = VolumePlan((), (), ())


@dataclass(slots=True)
class Candidate:
    """One server: faults and hints gather here; `way`, `disks` and `size` are there once they're known."""

    record: ServerRecord
    instance: RecoveryInstance
    source: SourceServer | None
    host: Host | None
    faults: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    way: WayHome | None = None
    disks: VolumePlan = NOTHING
    size: str = ""

    @property
    def id(self) -> str:
        """The recovery instance's id."""
        return self.instance.id

    @property
    def hostname(self) -> str:
        """What DRS says that the server's called."""
        return self.instance.hostname or (self.source.hostname if self.source else "")

    @property
    def name(self) -> str:
        """What the server's own machine is called at home."""
        return self.record.request.name or name_after(self.hostname)

    def machine(self, run: str) -> str:
        """What the machine that boots the client is called: with the way new it's the server's own."""
        return client_machine_name(run, self.id) if self.way and self.way.way == "helper" else self.name

    def needs(self, way: WayHome) -> tuple[MachineNeeds, MachineNeeds | None]:
        """What the client's machine needs; and the server's own, where that's another one."""
        memory = max(CLIENT_MEMORY_GIB, float(math.ceil(self.instance.ram_bytes / GIB)))
        disks, cpus = len(self.disks.disks), max(1, self.instance.cpus)
        own = MachineNeeds(way.firmware, disks, cpus, memory, self.record.request.size or "")
        if way.way == "new":
            return own, None
        return MachineNeeds(way.client_firmware, disks, 1, CLIENT_MEMORY_GIB), own

    def plan(self, way: WayHome, host: Host, state: RunState) -> ServerPlan:
        """What will be made for it."""
        return ServerPlan(
            id=self.id,
            source_server=self.instance.source_server,
            hostname=self.hostname,
            os=way.os,
            way=way.way,
            firmware=way.firmware,
            client_firmware=way.client_firmware,
            machine=self.machine(state.run.id),
            size=self.size,
            disks=self.disks.disks,
            excluded=self.disks.excluded,
            group=host.groups[0],
            private_ip=state.replication.private_ip,
            bandwidth_mbps=state.replication.bandwidth_mbps,
            to_copy=sum(disk.bytes for disk in self.disks.disks),
            hints=tuple(self.hints),
        )


def find_candidates(
    state: RunState, *, book: ServerBook, recovery: RecoveryService, hosts: RecoveryHosts
) -> tuple[list[Candidate], dict[str, list[str]]]:
    """The servers of the run that AWS knows; and the faults of those that it doesn't, by id."""
    ids = [server.id for server in state.servers]
    records = {record.id: record for record in book.of(state.run.id)}
    instances, found = recovery.instances(ids), hosts.describe(ids)
    sources = recovery.sources(sorted({each.source_server for each in instances.values() if each.source_server}))
    candidates = [
        Candidate(records[each], instances[each], sources.get(instances[each].source_server), found.get(each))
        for each in ids
        if each in records and each in instances
    ]
    known = {candidate.id for candidate in candidates}
    return candidates, {each: [_unknown(each, instances)] for each in ids if each not in known}


def _unknown(server: str, instances: Mapping[str, RecoveryInstance]) -> str:
    if server in instances:
        return "request: the run log doesn't hold what was asked for it; start again"
    return "recovery instance: DRS knows none of that id; look at the id, and at which account and Region it's in"
