"""What a failover has left in AWS: recovery instances with their source servers, EC2 instances and volumes."""

from __future__ import annotations

import secrets
import string
import threading
from typing import TYPE_CHECKING

from localcloud.drs.ec2_side import Ec2Side
from localcloud.drs.records import Configuration, NewInstance, RecoveryInstance
from localcloud.drs.refusal import missing
from localcloud.drs.volume import Volume
from localcloud.sparse_files import copy_sparse, create_sparse

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from localcloud.drs.plans import ClientPlan

_LETTERS = string.ascii_lowercase + string.digits


def new_name(prefix: str) -> str:
    """An id of DRS's kind: 17 letters and digits after the prefix."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(17))


class World:
    """All recovery instances, in the order in which they were made; `lock` is held by whatever changes one."""

    def __init__(self, folder: Path, *, region: str, clock: Callable[[], datetime]) -> None:
        self._folder, self.region, self.clock = folder, region, clock
        self.lock = threading.RLock()
        self.ec2 = Ec2Side(region)
        self._instances: dict[str, RecoveryInstance] = {}
        # Tells DRS's jobs of a failover; they know more of it than belongs here.
        self.on_failover: Callable[[RecoveryInstance], None] = lambda _instance: None

    @property
    def instances(self) -> tuple[RecoveryInstance, ...]:
        """All of them."""
        with self.lock:
            return tuple(self._instances.values())

    def add_recovery_instance(self, wanted: NewInstance) -> RecoveryInstance:
        """Do what a failover does: EC2 instance, volumes, records of DRS. Its failback isn't started yet."""
        with self.lock:
            sizes = {name: _size(source) for name, source in wanted.volumes.items()}
            made = self.ec2.launch(wanted, sizes)
            now = self.clock()
            instance = RecoveryInstance(
                id=made.id,
                source=new_name("s-"),
                region=self.region,
                made_of=wanted,
                private_address=made.nics[0].private_ip_address,
                mac_address=made.nics[0].mac_address,
                security_group=made.security_groups[0].id,
                volumes={},
                launched=now,
                job=new_name("drsjob-"),
                configuration=Configuration(wanted.name),
                tags=dict(wanted.tags),
                source_tags={"Name": wanted.name, **wanted.source_tags},
                agent_seen=now,
            )
            for number, (device, ebs_id) in enumerate(zip(sizes, self.ec2.volume_ids(made), strict=True)):
                path = self._folder / instance.id / f"{number}.raw"
                _fill(path, wanted.volumes[device])
                instance.volumes[device] = Volume(path, device=device, ebs_id=ebs_id, rung=instance.bell.set)
            self._instances[instance.id] = instance
            self.on_failover(instance)
        return instance

    def plan(self, instance: str, plan: ClientPlan) -> None:
        """What is to go wrong with it from now on."""
        with self.lock:
            self.find(instance).plan = plan
            self.find(instance).bell.set()

    def volume(self, instance: str, device: str) -> Volume:
        """One of its volumes, by the guest's device name."""
        found = self.find(instance).volumes.get(device)
        if found is None:
            raise missing(device, "Volume")
        return found

    def find(self, instance: str) -> RecoveryInstance:
        """A recovery instance; raises DrsRefusal where there is none."""
        found = self._instances.get(instance)
        if found is None:
            raise missing(instance)
        return found

    def get(self, instance: str) -> RecoveryInstance | None:
        """A recovery instance, if there is one."""
        return self._instances.get(instance)

    def at(self, address: str) -> RecoveryInstance | None:
        """The one with that private or public address."""
        return next((each for each in self.instances if address in (each.private_address, each.public_address)), None)


def _size(source: int | Path) -> int:
    return source if isinstance(source, int) else source.stat().st_size


def _fill(path: Path, source: int | Path) -> None:
    if isinstance(source, int):
        create_sparse(path, source)
    else:
        copy_sparse(source, path, size=source.stat().st_size)
