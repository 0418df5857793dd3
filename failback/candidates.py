"""The servers of a run while they're judged: what was asked for each, what the clouds know, what becomes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.home_ports import MachineNeeds
from failback.machine_names import name_after, trial_name
from failback.model.request import FIRST_WAVE
from failback.model.server import ServerPlan
from failback.naming import client_machine_name, short_hash
from failback.volumes import GIB, VolumePlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.model.original import Original
    from failback.model.recovery import Host, RecoveryInstance, SourceServer
    from failback.model.run import RunState
    from failback.model.server import ServerRecord
    from failback.model.target import HomeName
    from failback.recovery_ports import RecoveryHosts, RecoveryService, ServerBook
    from failback.ways_home import WayHome

CLIENT_MEMORY_GIB = 8.0
"""The client refuses less than 3.8 GB, and a nominal 4 GiB is borderline (its start script; see MEMORY_GB in Azure)."""
LEAST_MEMORY_GIB = 4.0
"""What a machine that's there already has to have: borderline, and still better than a full copy of everything."""

NOTHING = VolumePlan((), (), ())


@dataclass(slots=True)
class Candidate:
    """One server: faults and hints gather here; `way`, `disks` and the sizes are there once they're known.

    `original` is the machine at home that it's to be taken into, if any; `rehearsed` makes all names those of a trial.
    `home` says what names may look like.
    """

    record: ServerRecord
    instance: RecoveryInstance
    source: SourceServer | None
    host: Host | None
    home: HomeName
    faults: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    way: WayHome | None = None
    disks: VolumePlan = NOTHING
    size: str = ""
    own_size: str = ""
    original: Original | None = None
    rehearsed: bool = False

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
        if self.original:
            return self.original.name
        name = self.record.request.name or name_after(self.hostname, self.home)
        return trial_name(name, self.home) if self.rehearsed and name else name

    @property
    def original_name(self) -> str:
        """What the machine is called that was failed over; empty where none is to be taken over."""
        request = self.record.request
        guessed = request.name or name_after(self.hostname, self.home) if request.way == "original" else ""
        return request.original or guessed

    def machine(self, run: str) -> str:
        """What the machine that boots the client is called: unless the way is helper it's the server's own."""
        return client_machine_name(run, self.id) if self.way and self.way.way == "helper" else self.name

    def prefix(self, run: str) -> str:
        """What its new disks are called after: beside an original's own disks, the run too."""
        return f"{self.name[:40]}-{short_hash(run)}" if self.original else self.name

    def machines_to_be(self, run: str) -> list[str]:
        """The machines that will be made for it: what's called so mustn't be there yet."""
        if self.way is None or not self.name or self.way.way == "original":
            return []
        names = [self.machine(run), *([] if self.original else [self.name])]
        return list(dict.fromkeys(names))

    def needs(self, way: WayHome) -> tuple[MachineNeeds, MachineNeeds | None]:
        """What the client's machine needs; and the server's own, where that's another one."""
        memory = max(CLIENT_MEMORY_GIB, float(math.ceil(self.instance.ram_bytes / GIB)))
        disks, cpus = len(self.disks.disks), max(1, self.instance.cpus)
        own = MachineNeeds(way.firmware, disks, cpus, memory, self.record.request.size or "")
        if way.way == "new":
            return own, None
        if way.way == "original" and self.original:
            # It has the size that it has; the client only has to run in it.
            return MachineNeeds(way.client_firmware, disks, 1, LEAST_MEMORY_GIB, self.original.size), None
        client = MachineNeeds(way.client_firmware, disks, 1, CLIENT_MEMORY_GIB)
        return client, None if self.original else own

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
            home_machine=self.name,
            home_size=self.own_size,
            original=self.original.name if self.original else "",
            overwrite=self.record.request.overwrite,
            wave=self.record.request.wave or FIRST_WAVE,
            on_failure=self.record.request.on_failure or state.cutover.on_failure,
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
        Candidate(
            records[each],
            instances[each],
            sources.get(instances[each].source_server),
            found.get(each),
            state.target.home,
            rehearsed=state.goal == "rehearse",
        )
        for each in ids
        if each in records and each in instances
    ]
    known = {candidate.id for candidate in candidates}
    return candidates, {each: [_unknown(each, instances)] for each in ids if each not in known}


def _unknown(server: str, instances: Mapping[str, RecoveryInstance]) -> str:
    if server in instances:
        return "request: the run log doesn't hold what was asked for it; start again"
    return "recovery instance: DRS knows none of that id; look at the id, and at which account and Region it's in"
