"""Machines of a home in memory as wholes: taken over, put together anew, restored, handed over.

The machines, their disks and their interfaces are those of a MemoryHomeMachines; what it doesn't know of a machine is
in a document of this file's own. Everything takes several calls: one step each.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from failback.home_ports import DataDisk, MachineToBuild
from failback.model.original import Original, OriginalDisk
from failback.model.run import HomeImage
from failback.naming import RUN_TAG
from tests.home.memory_documents import (
    TAKEN_TAG,
    Document,
    attachment,
    built_document,
    changed,
    check_maker,
    copied,
    disks_in,
    refuse,
    wanted_document,
    without_ours,
)
from tests.home.memory_machines import MemoryDisk, MemoryHomeMachines, MemoryInterface, MemoryMachine
from tests.home.memory_signs import MemorySigns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.model.guest import GuestOs
    from failback.model.recovery import Firmware
    from failback.takeover_ports import Arrangement, ClientDisk, DiskCopy

__all__ = ["MemorySigns", "MemoryTakeovers"]


@dataclass
class MemoryTakeovers:
    """A HomeTakeovers.

    `documents` are the machines' as they stand (power aside), `contents` what's on the disks, `snapshots` the tags of
    snapshots, `taken` what's on them, `sources` what they're of; `done` lists the steps in order. All of it is public.
    """

    home: MemoryHomeMachines = field(default_factory=MemoryHomeMachines)
    documents: dict[str, Document] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, Mapping[str, str]] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    obstacles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    barriers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ending: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    def put(
        self,
        name: str,
        disks: Sequence[OriginalDisk],
        *,
        os: GuestOs = "linux",
        firmware: Firmware = "bios",
        user_data: str | None = "own settings",
        running: bool = True,
    ) -> Original:
        """Have a machine there that isn't ours, with these disks: the first is what it boots from."""
        for each in disks:
            destiny = (os, firmware) if each.lun is None else (None, None)
            disk = DataDisk(each.name, each.size_gib, each.lun or 0, each.sku, *destiny)
            self.home.disks[each.name] = MemoryDisk(disk, {}, "")
            self.contents[each.name] = f"{each.name} as it was"
        nowhere = HomeImage(id="memory/none", name="none", key="0" * 20)
        machine = MachineToBuild(name, nowhere, firmware, user_data or "", {}, os=os)
        self.home.machines[name] = MemoryMachine(machine, "running" if running else "stopped", size="medium")
        self.home.interfaces[name] = MemoryInterface(f"10.30.1.{len(self.home.interfaces) + 4}", {}, looks=1)
        boot, *data = disks
        self.documents[name] = {
            "id": f"machine/{name}", "tags": {"owner": "web"}, "size": "medium", "os": os, "firmware": firmware,
            "boot": boot.name, "data": [attachment(each.name, each.lun or 0, each.caching) for each in data],
            "user_data": user_data, "identities": ["own identity"], "caching": boot.caching,
        }  # fmt: skip
        return self._there(name)

    def find(self, name: str) -> Original | None:
        document = self.document(name)
        if document is None:
            return None
        boot = self._disk(document["boot"]).model_copy(update={"caching": document["caching"]})
        data = [self._disk(each["disk"]).model_copy(update={"lun": each["lun"], "caching": each["caching"]})
                for each in document["data"]]  # fmt: skip
        return Original(
            name=name, id=document["id"], os=document["os"], firmware=document["firmware"], running=self._runs(name),
            address=self.home.interfaces[name].address if name in self.home.interfaces else "", size=document["size"],
            disks=(boot, *data), obstacles=self.obstacles.get(name, ()), barriers=self.barriers.get(name, ()),
            document=copied(document),
        )  # fmt: skip

    def power_off(self, name: str) -> bool:
        held = self.home.machines.get(name)
        if held is None or held.state == "stopped":
            return True
        if name not in self.ending:
            self.ending.add(name)
            return False
        self.ending.discard(name)
        held.state = "stopped"
        self.done.append(f"{name}: off")
        return True

    def copy(self, copies: Sequence[DiskCopy]) -> bool:
        for each in copies:
            self._check_source(each)
        missing = [each for each in copies if each.snapshot not in self.snapshots]
        for each in missing:
            self.snapshots[each.snapshot], self.sources[each.snapshot] = dict(each.tags), each.source
            self.taken[each.snapshot] = self.contents.get(_name(each.source), "")
        unmade = [] if missing else [each for each in copies if each.name and each.name not in self.home.disks]
        for each in unmade:
            source = self.home.disks[_name(each.source)].disk
            disk = replace(source, name=each.name, sku=each.sku or source.sku)
            self.home.disks[each.name] = MemoryDisk(disk, dict(each.tags), "")
            self.contents[each.name] = self.taken[each.snapshot]
        return not missing and not unmade

    def client_disk(self, disk: ClientDisk) -> bool:
        found = self.home.disks.get(disk.name)
        if found is not None:
            check_maker(disk.name, found.tags, disk.tags)
            return True
        made = DataDisk(disk.name, 1, 0, os=disk.os, firmware=disk.firmware)
        self.home.disks[disk.name] = MemoryDisk(made, dict(disk.tags), "")
        self.contents[disk.name] = f"client {disk.image.key}"
        return False

    def arrange(self, wanted: Arrangement) -> bool:
        present = self.document(wanted.machine)
        if present is None:
            if wanted.like is not None:
                changed(wanted.machine)
            self._check_disks(wanted)
            self._make(wanted)
            return False
        if wanted.like is None:
            check_maker(wanted.machine, present["tags"], wanted.tags)
        elif present["tags"].get(TAKEN_TAG, wanted.tags[RUN_TAG]) != wanted.tags[RUN_TAG]:
            refuse(f"Another run has taken over {wanted.machine}: wait until it has ended.")
        elif present["id"] != wanted.like.id:
            changed(wanted.machine)
        self._check_disks(wanted)
        return self._reached(wanted.machine, wanted_document(wanted, present), running=wanted.running)

    def restore(self, before: Original) -> bool:
        present = self.document(before.name)
        if present is None or present["id"] != before.id:
            changed(before.name)
        for each in before.disks:
            if each.name not in self.home.disks:
                changed(f"{before.name}'s disk {each.name}")
        return self._reached(before.name, copied(before.document), running=before.running)

    def hand_over(self, name: str, *, run: str) -> bool:
        document = self.document(name)
        if document is None:
            return True
        if run in {document["tags"].get(RUN_TAG), document["tags"].get(TAKEN_TAG)}:
            document["tags"] = without_ours(document["tags"])
            self._mirror(name)
            return False
        parts: list[Any] = [self.home.disks[disk] for disk in disks_in(document)]
        for each in [*parts, *([self.home.interfaces[name]] if name in self.home.interfaces else [])]:
            if each.tags.get(RUN_TAG) == run:
                each.tags = without_ours(each.tags)
        return True

    def document(self, name: str) -> Document | None:
        """How the machine stands now, to look at or to change; also of one that MemoryHomeMachines has built."""
        held = self.home.machines.get(name)
        if held is None:
            self.documents.pop(name, None)
            return None
        if name not in self.documents:
            self.documents[name] = self._first_document(held)
        document = self.documents[name]
        document["user_data"] = held.machine.user_data or (None if document["user_data"] is None else "")
        return document

    def user_of(self, disk: str) -> str:
        """The machine that a disk is attached to; empty for none."""
        return next((name for name, each in self.find_all().items() if disk in disks_in(each)), "")

    def find_all(self) -> dict[str, Document]:
        """The documents of all machines."""
        found = {name: self.document(name) for name in self.home.machines}
        return {name: each for name, each in found.items() if each is not None}

    def _first_document(self, held: MemoryMachine) -> Document:
        machine = held.machine
        boot = f"{machine.name}-disk"
        made = DataDisk(boot, 1, 0, os=machine.os, firmware=machine.firmware)
        self.home.disks.setdefault(boot, MemoryDisk(made, dict(machine.tags), machine.name))
        self.contents.setdefault(boot, f"client {machine.image.key}")
        return built_document(held, boot)

    def _make(self, wanted: Arrangement) -> None:
        nowhere = HomeImage(id="memory/none", name="none", key="0" * 20)
        machine = MachineToBuild(
            wanted.machine, nowhere, wanted.firmware, wanted.user_data or "", dict(wanted.tags), os=wanted.os
        )
        self.home.address(wanted.machine, tags=wanted.tags)
        for disk in [wanted.boot, *(each.disk for each in wanted.data)]:
            self._free(disk)
        self.home.machines[wanted.machine] = MemoryMachine(machine, "stopped", size=wanted.size or "small")
        first = {"id": f"machine/{wanted.machine}", "size": wanted.size or "small", "caching": "", "identities": []}
        self.documents[wanted.machine] = wanted_document(wanted, {**first, "tags": {}})
        self.done.append(f"{wanted.machine}: made")

    def _reached(self, name: str, goal: Document, *, running: bool) -> bool:
        """Take one step towards the goal; True once nothing is left to do."""
        present = self.documents[name]
        if any(present[part] != goal[part] for part in ("boot", "data", "caching", "size", "os", "firmware")):
            if not self.power_off(name):
                return False
            for disk in disks_in(goal):
                if self.user_of(disk) not in {"", name}:
                    self._free(disk)
            steps: list[Document] = [{"data": [each for each in present["data"] if each in goal["data"]]},
                     {part: goal[part] for part in ("boot", "caching", "size", "os", "firmware")},
                     {"data": goal["data"]}]  # fmt: skip
        else:
            steps = [{part: goal[part] for part in ("user_data", "identities", "tags")}]
        for step in steps:
            if any(present[part] != value for part, value in step.items()):
                present.update(copied(step))
                self._mirror(name)
                self.done.append(f"{name}: {', '.join(step)}")
                return False
        if self._runs(name) == running:
            self.ending.discard(name)
            return True
        if not running:
            return self.power_off(name)
        self.home.machines[name].state = "running"
        self.done.append(f"{name}: on, from {present['boot']}")
        return False

    def _mirror(self, name: str) -> None:
        """Let MemoryHomeMachines see what the document says."""
        document, held = self.documents[name], self.home.machines[name]
        disks = tuple(replace(self.home.disks[each["disk"]].disk, lun=each["lun"]) for each in document["data"])
        settings, identity = document["user_data"] or "", (document["identities"] or [""])[-1]
        tags = dict(document["tags"])
        held.machine = replace(held.machine, tags=tags, disks=disks, user_data=settings, identity=identity)

    def _free(self, disk: str) -> None:
        user = self.user_of(disk)
        if user:
            data = self.documents[user]["data"]
            self.documents[user]["data"] = [each for each in data if each["disk"] != disk]
            self._mirror(user)

    def _check_disks(self, wanted: Arrangement) -> None:
        luns = [each.lun for each in wanted.data]
        if len(set(luns)) < len(luns):
            refuse(f"Two disks of {wanted.machine} have the same LUN.")
        run = wanted.tags[RUN_TAG]
        for disk in [wanted.boot, *(each.disk for each in wanted.data)]:
            found = self.home.disks.get(disk)
            if found is None:
                refuse(f"There's no disk {disk}.")
            if found.tags.get(RUN_TAG, run) != run:
                refuse(f"The disk {disk} is another run's.")
            user = self.user_of(disk)
            if user not in {"", wanted.machine}:
                self._check_taken_from(user, disk, run)
        boot = self.home.disks[wanted.boot].disk
        if (boot.os or wanted.os, boot.firmware or wanted.firmware) != (wanted.os, wanted.firmware):
            refuse(f"The disk {wanted.boot} is for {boot.os} by {boot.firmware}.")

    def _check_taken_from(self, user: str, disk: str, run: str) -> None:
        document = self.documents[user]
        ours = document["tags"].get(RUN_TAG) == run
        if not ours or self.home.machines[user].state != "stopped" or document["boot"] == disk:
            refuse(f"The disk {disk} is attached to {user}, which isn't off or isn't this run's.")

    def _check_source(self, copy: DiskCopy) -> None:
        if _name(copy.source) not in self.home.disks:
            refuse(f"There's no disk {copy.source} to copy.")
        if self.sources.get(copy.snapshot, copy.source) != copy.source:
            refuse(f"The snapshot {copy.snapshot} is one of {self.sources[copy.snapshot]}.")
        made = [(copy.snapshot, self.snapshots.get(copy.snapshot))]
        made += [(copy.name, self.home.disks[copy.name].tags)] if copy.name in self.home.disks else []
        for name, tags in made:
            if tags is not None:
                check_maker(name, tags, copy.tags)

    def _disk(self, name: str) -> OriginalDisk:
        disk = self.home.disks[name].disk
        return OriginalDisk(name=name, id=f"disk/{name}", size_gib=disk.size_gib, sku=disk.sku)

    def _runs(self, name: str) -> bool:
        return self.home.machines[name].state == "running"

    def _there(self, name: str) -> Original:
        found = self.find(name)
        assert found is not None
        return found


def _name(disk_id: str) -> str:
    return disk_id.removeprefix("disk/")
