"""How each home's calls are written down, for recordings made by hand: the same deeds in ARM's and Compute's words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from failback.clouds.google.labels import labels_of
from failback.naming import RUN_TAG, SERVER_TAG
from tests.localcloud.runs.safety_azure import changed as changed_at_azure
from tests.localcloud.runs.safety_google import path_of
from tests.localcloud.runs.safety_things import Held, Stand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from failback.model.target import HomeName

Json = Any
Call = dict[str, Any]
RUN, SERVER = "run-1", "i-00000000000000001"
TAGS = {RUN_TAG: RUN, SERVER_TAG: SERVER}


@dataclass(frozen=True)
class Moved:
    """Other disks for a machine, in as many calls as the home takes for that; None is what stays as it is."""

    machine: str
    boot: str = ""
    data: tuple[str, ...] | None = None


class Words(Protocol):
    """What's asked of a home, as its front has it recorded. Things are named by their ids."""

    home: HomeName

    def thing(self, kind: str, name: str) -> str:
        """The id of a `machine`, a `disk` or a `snapshot`."""

    def made(self, thing: str, tags: Mapping[str, str], *, boot: str = "", source: str = "") -> Call:
        """Something's making: a machine that boots from `boot`, a snapshot of `source`."""

    def tagged(self, thing: str, tags: Mapping[str, str]) -> Call:
        """Other tags for something."""

    def act(self, operation: str, thing: str, body: Json = None) -> Call:
        """Anything else that's asked of it: a machine's `start` or `off`, a disk's `open`, a look at its `console`."""

    def removed(self, thing: str, *, status: int = 202) -> Call:
        """Something's removal."""

    def moves(self, moved: Moved, stand: Stand) -> Iterator[tuple[Call, Stand]]:
        """The calls that give a machine other disks, and how its disks stand after each."""

    def document(self, boot: str, data: str) -> Json:
        """A machine with these disks, as it's noted before anything is changed."""


OF_ARM = {"machine": "virtualMachines", "disk": "disks", "snapshot": "snapshots",
          "off": "deallocate", "open": "beginGetAccess", "console": "retrieveBootDiagnosticsData"}  # fmt: skip
OF_COMPUTE = {"machine": "zones/z-1-a/instances", "disk": "zones/z-1-a/disks", "snapshot": "global/snapshots",
              "off": "stop", "open": "resize"}  # fmt: skip


class AzureWords:
    """Words of ARM."""

    home: HomeName = "azure"

    def thing(self, kind: str, name: str) -> str:
        return f"/subscriptions/s/resourceGroups/home/providers/Microsoft.Compute/{OF_ARM[kind]}/{name}"

    def made(self, thing: str, tags: Mapping[str, str], *, boot: str = "", source: str = "") -> Call:
        properties: Json = {"creationData": {"sourceResourceId": source}} if source else {}
        if boot:
            properties["storageProfile"] = {"osDisk": {"managedDisk": {"id": boot}}, "dataDisks": []}
        return self._call("write", thing, {"tags": dict(tags), "properties": properties}, status=202)

    def tagged(self, thing: str, tags: Mapping[str, str]) -> Call:
        return self._call("write", thing, {"tags": dict(tags)}, method="PATCH")

    def act(self, operation: str, thing: str, body: Json = None) -> Call:
        word = OF_ARM.get(operation, operation)
        return {**self._call(word, thing, body, method="POST"), "path": f"{thing}/{word}"}

    def removed(self, thing: str, *, status: int = 202) -> Call:
        return self._call("delete", thing, method="DELETE", status=status)

    def moves(self, moved: Moved, stand: Stand) -> Iterator[tuple[Call, Stand]]:
        boots = {"osDisk": {"managedDisk": {"id": moved.boot}}} if moved.boot else {}
        others = {} if moved.data is None else {"dataDisks": [{"managedDisk": {"id": each}} for each in moved.data]}
        storage = {**boots, **others}
        body = {"properties": {"storageProfile": storage}}
        yield self._call("write", moved.machine, body, method="PATCH"), changed_at_azure(storage, stand)

    def document(self, boot: str, data: str) -> Json:
        disks = {"osDisk": {"managedDisk": {"id": boot}}, "dataDisks": [{"managedDisk": {"id": data}}]}
        return {"properties": {"storageProfile": disks}}

    def _call(self, operation: str, path: str, body: Json = None, *, method: str = "PUT", status: int = 200) -> Call:
        kind = path.rsplit("/", 2)[1]
        return {"service": "arm", "operation": f"{kind}/{operation}", "method": method, "path": path, "body": body,
                "status": status}  # fmt: skip


class GoogleWords:
    """Words of Compute Engine; a disk is found in its machine by its own name."""

    home: HomeName = "google"

    def thing(self, kind: str, name: str) -> str:
        return f"projects/p/{OF_COMPUTE[kind]}/{name}"

    def made(self, thing: str, tags: Mapping[str, str], *, boot: str = "", source: str = "") -> Call:
        collection, _, name = thing.rpartition("/")
        body: Json = {"name": name, "labels": labels_of(tags)}
        if boot:
            body["disks"] = [_attached(boot, boot=True)]
        if source:
            body["sourceDisk"] = source
        return self._call("insert", collection, body, kind=collection.rpartition("/")[2])

    def tagged(self, thing: str, tags: Mapping[str, str]) -> Call:
        # The SDK leaves out what's empty.
        return self._act("setLabels", thing, {"labelFingerprint": "f", **({"labels": labels_of(tags)} if tags else {})})

    def act(self, operation: str, thing: str, body: Json = None) -> Call:
        if operation == "console":
            return {**self._act("getSerialPortOutput", thing), "method": "GET"}
        return self._act(OF_COMPUTE.get(operation, operation), thing, body)

    def removed(self, thing: str, *, status: int = 200) -> Call:
        # Its answer to a second removal.
        return {**self._call("delete", thing), "method": "DELETE", "status": 404 if status == 204 else 200}

    def moves(self, moved: Moved, stand: Stand) -> Iterator[tuple[Call, Stand]]:
        """Taken out one by one, and put in one by one: what boots before the others."""
        wanted = [Held(path_of(moved.boot), boot=True)] if moved.boot else [each for each in stand.held if each.boot]
        wanted += [each for each in stand.held if not each.boot] if moved.data is None else map(Held, moved.data)
        disks = {(each.disk, each.boot) for each in wanted}
        for held in stand.held:
            if (held.disk, held.boot) not in disks:
                stand = Stand(tuple(each for each in stand.held if each != held))
                yield self._out(moved.machine, held.device), stand
        there = {(each.disk, each.boot) for each in stand.held}
        for new in wanted:
            if (new.disk, new.boot) not in there:
                stand = Stand((*stand.held, replace(new, device=_name(new.disk))))
                yield self._act("attachDisk", moved.machine, _attached(new.disk, boot=new.boot)), stand

    def document(self, boot: str, data: str) -> Json:
        return {"disks": [_attached(boot, boot=True), _attached(data)]}

    def goes_with_it(self, machine: str, disk: str) -> Call:
        """A disk is removed with its machine from now on."""
        query = [["autoDelete", "true"], ["deviceName", _name(disk)]]
        return {**self._act("setDiskAutoDelete", machine), "query": query}

    def _out(self, machine: str, device: str) -> Call:
        return {**self._act("detachDisk", machine), "query": [["deviceName", device]]}

    def _act(self, method: str, thing: str, body: Json = None) -> Call:
        return {**self._call(method, thing, body), "path": f"/compute/v1/{thing}/{method}"}

    def _call(self, method: str, path: str, body: Json = None, *, kind: str = "") -> Call:
        kind = kind or path.rsplit("/", 2)[1]
        return {"service": "compute", "operation": f"{kind}.{method}", "path": f"/compute/v1/{path}", "body": body}


def _attached(disk: str, *, boot: bool = False) -> Json:
    return {"source": f"https://c/compute/v1/{disk}", "deviceName": _name(disk), "boot": boot}


def _name(disk: str) -> str:
    return disk.rpartition("/")[2]


AZURE, GOOGLE = AzureWords(), GoogleWords()


@dataclass(frozen=True)
class Things:
    """What a story is of, in a home's words."""

    words: Words

    @property
    def machine(self) -> str:
        return self.words.thing("machine", "web")

    @property
    def elsewhere(self) -> str:
        return self.words.thing("machine", "elsewhere")

    @property
    def client(self) -> str:
        return self.disk("client-disk")

    @property
    def boot(self) -> str:
        return self.disk("web-0")

    @property
    def data(self) -> str:
        return self.disk("web-1")

    @property
    def clones(self) -> tuple[str, str]:
        return self.disk("clone-0"), self.disk("clone-1")

    def disk(self, name: str) -> str:
        """Any disk."""
        return self.words.thing("disk", name)

    def made(self, thing: str, **more: str) -> Call:
        """Something that's made with the run's tags."""
        return self.words.made(thing, TAGS, **more)

    def snapshot(self, name: str, disk: str) -> Call:
        """A disk's snapshot."""
        return self.made(self.words.thing("snapshot", name), source=disk)

    def started(self) -> Call:
        """The machine's start."""
        return self.words.act("start", self.machine)

    def moved(self, *, boot: str = "", data: tuple[str, ...] | None = None, to: str = "") -> Moved:
        """Other disks for the machine, or for another."""
        return Moved(to or self.machine, boot, data)
