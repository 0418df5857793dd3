"""AMIs in memory, over snapshots in memory."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from failback.errors import AmiUnsuitable, CloudRefused
from failback.model.run import Ami

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.memory.snapshots import MemorySnapshots


class MemoryMachineImages:
    """MachineImages; `add` makes one of somebody else's known."""

    def __init__(self, snapshots: MemorySnapshots) -> None:
        self._snapshots = snapshots
        self.images: dict[str, Ami] = {}
        self.tags: dict[str, Mapping[str, str]] = {}
        self._others: dict[str, Ami] = {}
        self._numbers = itertools.count(1)

    def add(self, ami: Ami) -> None:
        self._others[ami.id] = ami

    def find(self, name: str) -> Ami | None:
        return next((ami for ami in self.images.values() if ami.name == name), None)

    def describe(self, image: str) -> Ami:
        found = self.images.get(image) or self._others.get(image)
        if found is None or found.snapshot not in self._snapshots.snapshots:
            raise AmiUnsuitable(image)
        return found

    def register(self, name: str, *, snapshot: str, size_gib: int, tags: Mapping[str, str]) -> Ami:
        same = self.find(name)
        if same is not None and same.snapshot == snapshot:
            return same
        if same is not None:
            raise CloudRefused(name)
        made = self._snapshots.snapshots[snapshot]
        assert self._snapshots.state(snapshot) == "completed", "an AMI needs a completed snapshot"
        assert size_gib >= made.size_gib
        ami = Ami(id=f"ami-{next(self._numbers):017x}", name=name, snapshot=snapshot, size_gib=size_gib)
        self.images[ami.id], self.tags[ami.id] = ami, dict(tags)
        return ami
