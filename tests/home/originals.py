"""Homes with a machine that was there before: in memory, and Azure's adapter on the embedded Azure."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from failback.clouds.azure.machine_look import standing
from failback.home_ports import DataDisk
from failback.model.original import OriginalDisk
from failback.model.run import HomeImage
from localcloud.azure.user_identities import UserIdentity
from tests.clouds.azure.embedded import IDENTITY, SUBNET, SUBSCRIPTION, EmbeddedHome, embedded_home, small_image
from tests.home.memory import MemoryBelongings, MemoryHomeImages, MemoryHomeMachines, MemoryImage
from tests.home.memory_machines import MemoryDisk
from tests.home.memory_takeovers import MemorySigns, MemoryTakeovers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pytest

    from failback.model.original import Original
    from failback.ports import Belongings
    from failback.takeover_ports import HomeSigns, HomeTakeovers

WEB, KEY = "web", "0123456789abcdef0123"
OWN = UserIdentity("home", "own", "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002")
OWN_SETTINGS = "the server's own\n"


@dataclass(frozen=True)
class SeenMachine:
    """What the guest of a running machine finds."""

    boot: str
    data: Mapping[int, str]
    user_data: str
    identities: frozenset[str]
    address: str


class HomeWithOriginal(Protocol):
    """A home with the running machine `web`, which nobody's run has made: its system, and disks at LUN 1 and 5."""

    identity: str

    @property
    def takeovers(self) -> HomeTakeovers: ...

    @property
    def signs(self) -> HomeSigns: ...

    @property
    def belongings(self) -> Belongings: ...

    @property
    def image(self) -> HomeImage: ...

    def standing(self, machine: Original) -> object:
        """What of a machine is compared."""

    def seen(self, name: str) -> SeenMachine:
        """What the guest finds now."""

    def disk_id(self, name: str) -> str:
        """A disk's resource id."""

    def write(self, disk: str, text: str) -> None:
        """Let something write to a disk."""

    def read(self, disk: str) -> str:
        """What's on it."""

    def tags(self, kind: str, name: str) -> Mapping[str, str]:
        """The tags of a machine, disk or snapshot."""

    def occupy(self, disk: str, tags: Mapping[str, str]) -> None:
        """Have a disk of that name there."""

    def agent_says(self, name: str, text: str) -> None:
        """Let a machine's guest agent be ready."""

    def changes(self) -> int:
        """How often anything was changed so far."""

    def our_error(self, error: Exception) -> Exception:
        """An error as the doorway would have it."""


@dataclass
class InMemory:
    """The home in memory."""

    takeovers: MemoryTakeovers
    signs: MemorySigns
    belongings: MemoryBelongings
    image: HomeImage
    identity: str = "client identity"

    def standing(self, machine: Original) -> object:
        return machine.document

    def seen(self, name: str) -> SeenMachine:
        document = self.takeovers.document(name)
        assert document is not None
        data = {each["lun"]: each["disk"] for each in document["data"]}
        address = self.takeovers.home.interfaces[name].address
        return SeenMachine(
            document["boot"], data, document["user_data"] or "", frozenset(document["identities"]), address
        )

    def disk_id(self, name: str) -> str:
        return f"disk/{name}"

    def write(self, disk: str, text: str) -> None:
        self.takeovers.contents[disk] = text

    def read(self, disk: str) -> str:
        return self.takeovers.contents[disk]

    def tags(self, kind: str, name: str) -> Mapping[str, str]:
        if kind == "machine":
            return self.takeovers.home.machines[name].machine.tags
        return self.takeovers.snapshots[name] if kind == "snapshot" else self.takeovers.home.disks[name].tags

    def occupy(self, disk: str, tags: Mapping[str, str]) -> None:
        self.takeovers.home.disks[disk] = MemoryDisk(DataDisk(disk, 1, 0), dict(tags), "")

    def agent_says(self, name: str, text: str) -> None:
        self.signs.agents[name] = text

    def changes(self) -> int:
        return len(self.takeovers.done)

    def our_error(self, error: Exception) -> Exception:
        return error


@dataclass
class InAzure:
    """Azure's adapter."""

    embedded: EmbeddedHome
    image: HomeImage
    identity: str = IDENTITY.resource_id(SUBSCRIPTION)

    @property
    def takeovers(self) -> HomeTakeovers:
        return self.embedded.home.takeovers

    @property
    def signs(self) -> HomeSigns:
        return self.embedded.home.signs

    @property
    def belongings(self) -> Belongings:
        return self.embedded.home.belongings

    def standing(self, machine: Original) -> object:
        return standing(machine.document)

    def seen(self, name: str) -> SeenMachine:
        spec = self.embedded.machine(name).spec
        data = {each.lun or 0: _name(each.resource_id) for each in spec.data_disks}
        settings = base64.b64decode(spec.user_data or "").decode()
        identities = frozenset(str(each.resource_id) for each in spec.identities)
        return SeenMachine(_name(spec.os_disk.resource_id), data, settings, identities, spec.nics[0].private_address)

    def disk_id(self, name: str) -> str:
        return f"{self.embedded.home.place.group_path}/providers/Microsoft.Compute/disks/{name}"

    def write(self, disk: str, text: str) -> None:
        with self._file(disk).open("r+b") as file:
            file.seek(4096)
            file.write(text.encode().ljust(64))

    def read(self, disk: str) -> str:
        with self._file(disk).open("rb") as file:
            file.seek(4096)
            return file.read(64).rstrip(b" \0").decode()

    def tags(self, kind: str, name: str) -> Mapping[str, str]:
        found = self.embedded.document(name)
        assert found["type"].lower().startswith(f"microsoft.compute/{'virtualmachine' if kind == 'machine' else kind}")
        tags: Mapping[str, str] = found["tags"]
        return tags

    def occupy(self, disk: str, tags: Mapping[str, str]) -> None:
        make_disk(self.embedded, disk, tags=tags)

    def agent_says(self, name: str, text: str) -> None:
        self.embedded.machine(name).agent = text

    def changes(self) -> int:
        documents = self.embedded.cloud.listing()
        # Each start is another machine to the driver; each document is another text once it's changed.
        return hash((len(self.embedded.driver.machines), repr(documents)))

    def our_error(self, error: Exception) -> Exception:
        home = self.embedded.home
        return home.translate(error) if isinstance(error, home.foreign) else error

    def _file(self, disk: str) -> Path:
        unique = self.embedded.document(disk)["properties"]["uniqueId"]
        return self.embedded.folder / "disks" / f"{unique}.raw"


def home_in_memory() -> InMemory:
    """The home with its machine."""
    images, machines = MemoryHomeImages(), MemoryHomeMachines()
    image = HomeImage(id=f"memory/{KEY}", name=f"drs-failback-client-{KEY}", key=KEY)
    images.images[KEY] = MemoryImage(image, bytearray(1), {}, whole=True)
    takeovers = MemoryTakeovers(machines)
    disks = (("system", 8, None, "ReadWrite"), ("data-1", 1, 1, "ReadOnly"), ("data-5", 3, 5, ""))
    takeovers.put(
        WEB,
        [OriginalDisk(name=name, id=name, size_gib=size, lun=lun, caching=cache) for name, size, lun, cache in disks],
        user_data=OWN_SETTINGS,
    )
    return InMemory(takeovers, MemorySigns(machines), MemoryBelongings(images, machines, takeovers), image)


@contextmanager
def home_in_azure(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    **settings: Any,  # noqa: ANN401 - any of the embedded cloud's
) -> Iterator[InAzure]:
    """The home with its machine, which has a public address beside its private one."""
    with embedded_home(folder, monkeypatch, identities=(IDENTITY, OWN), **settings) as embedded:
        found = embedded.home.images.advance(KEY, small_image(), cursor={}, tags={})
        while found.image is None:
            found = embedded.home.images.advance(KEY, small_image(), cursor=found.cursor, tags={})
        make_web(embedded)
        yield InAzure(embedded, found.image)


def make_web(embedded: EmbeddedHome) -> None:
    """Make the machine `web` with its disks."""
    make_disk(embedded, "system", 8, osType="Linux", hyperVGeneration="V1")
    data = {1: make_disk(embedded, "data-1"), 5: make_disk(embedded, "data-5", 3, sku="StandardSSD_LRS")}
    caching = {1: "ReadOnly", 5: "None"}
    attached = [{"lun": lun, "createOption": "Attach", "caching": caching[lun], "managedDisk": {"id": each}}
                for lun, each in data.items()]  # fmt: skip
    make_original(embedded, WEB, boot="system", data=attached, licenseType="RHEL_BYOS")


def make_original(
    embedded: EmbeddedHome,
    name: str,
    *,
    boot: str,
    data: Sequence[Mapping[str, object]] = (),
    zones: Sequence[str] = (),
    **more: object,
) -> None:
    """Make a running machine that isn't ours; `more` are further properties of it."""
    place = embedded.home.place
    system = {"createOption": "Attach", "osType": "Linux", "caching": "ReadWrite",
              "managedDisk": {"id": f"{place.group_path}/providers/Microsoft.Compute/disks/{boot}"}}  # fmt: skip
    body: Any = {
        "location": "westeurope",
        "tags": {"owner": name},
        "identity": {"type": "SystemAssigned, UserAssigned",
                     "userAssignedIdentities": {OWN.resource_id(SUBSCRIPTION): {}}},
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_D4s_v5"},
            "storageProfile": {"osDisk": system, "dataDisks": list(data)},
            "networkProfile": {"networkInterfaces": [{"id": _make_interface(embedded, name)}]},
            "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
            "userData": base64.b64encode(OWN_SETTINGS.encode()).decode(),
            **more,
        },
        **({"zones": list(zones)} if zones else {}),
    }  # fmt: skip
    place.compute.virtual_machines.begin_create_or_update(place.group, name, body).result()


def make_disk(
    embedded: EmbeddedHome,
    name: str,
    size: int = 1,
    *,
    sku: str = "Premium_LRS",
    tags: Mapping[str, str] | None = None,
    zones: Sequence[str] = (),
    **properties: object,
) -> str:
    """An empty disk that isn't ours; gives its id."""
    place = embedded.home.place
    values = {"diskSizeGB": size, "creationData": {"createOption": "Empty"}, **properties}
    body: Any = {"location": "westeurope", "sku": {"name": sku}, "tags": dict(tags or {}), "properties": values,
                 **({"zones": list(zones)} if zones else {})}  # fmt: skip
    return str(place.compute.disks.begin_create_or_update(place.group, name, body).result().id)


def _make_interface(embedded: EmbeddedHome, machine: str) -> str:
    place = embedded.home.place
    address: Any = {"location": "westeurope", "sku": {"name": "Standard"},
                    "properties": {"publicIPAllocationMethod": "Static"}}  # fmt: skip
    public = place.network.public_ip_addresses.begin_create_or_update(place.group, f"{machine}-ip", address).result().id
    configuration = {"name": "ip", "properties": {"subnet": {"id": SUBNET}, "publicIPAddress": {"id": public}}}
    body: Any = {"location": "westeurope", "properties": {"ipConfigurations": [configuration]}}
    made = place.network.network_interfaces.begin_create_or_update(place.group, f"{machine}-nic", body).result()
    return str(made.id)


def _name(resource_id: str) -> str:
    return resource_id.rpartition("/")[2]
