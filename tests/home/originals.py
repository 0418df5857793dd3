"""Homes with a machine that was there before: in memory, and each cloud's adapter on its embedded cloud."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from failback.clouds.azure.machine_look import standing
from failback.clouds.google.machine_look import standing as standing_in_google
from failback.home_ports import DataDisk
from failback.model.agent import GOOGLE_ATTRIBUTE
from failback.model.original import OriginalDisk
from failback.model.run import HomeImage
from failback.naming import PREFIX
from localcloud.azure.user_identities import UserIdentity
from tests.clouds.azure.embedded import IDENTITY, SUBNET, SUBSCRIPTION, EmbeddedHome, embedded_home, small_image
from tests.clouds.google.embedded import GUEST, EmbeddedGoogle, archived, embedded_google
from tests.clouds.google.embedded import OWN as OWN_ACCOUNT
from tests.clouds.google.services import PROJECT, TARGET
from tests.home.memory import MemoryBelongings, MemoryHomeImages, MemoryHomeMachines, MemoryImage
from tests.home.memory_machines import MemoryDisk
from tests.home.memory_takeovers import MemorySigns, MemoryTakeovers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pytest

    from failback.model.original import Original
    from failback.ports import Belongings
    from failback.takeover_ports import Attachment, HomeSigns, HomeTakeovers

WEB, KEY = "web", "0123456789abcdef0123"
SIZES = {"system": 18, "data-1": 11, "data-5": 13}
"""GiB of the machine's disks: no home refuses them."""
OWN = UserIdentity("home", "own", "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002")
OWN_SETTINGS = "the server's own\n"


@dataclass(frozen=True)
class SeenMachine:
    """What the guest of a running machine finds: its data disks at what the home tells them by, in order."""

    boot: str
    data: Mapping[int | str, str]
    user_data: str
    identities: frozenset[str]
    address: str


class HomeWithOriginal(Protocol):
    """A home with the running machine `web`, which nobody's run has made: its system, and two data disks.

    `luns` are theirs, `caching` is how `data-1` is attached, in the home's own word.
    """

    identity: str
    luns: Mapping[str, int]
    caching: str

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

    def places(self, data: Sequence[Attachment]) -> Mapping[int | str, str]:
        """What a guest finds of disks that are attached so."""

    def together(self, own: frozenset[str]) -> frozenset[str]:
        """The identities of a machine that has its own and gets `identity`: one of them only, where there's one."""

    def silent(self, machine: Original) -> Original:
        """The machine as if it had been off, and told nothing."""

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
    luns: Mapping[str, int] = field(default_factory=lambda: {"data-1": 1, "data-5": 5})
    caching: str = "ReadOnly"

    def standing(self, machine: Original) -> object:
        return machine.document

    def seen(self, name: str) -> SeenMachine:
        document = self.takeovers.document(name)
        assert document is not None
        data: dict[int | str, str] = {each["lun"]: each["disk"] for each in document["data"]}
        address = self.takeovers.home.interfaces[name].address
        return SeenMachine(
            document["boot"], data, document["user_data"] or "", frozenset(document["identities"]), address
        )

    def places(self, data: Sequence[Attachment]) -> Mapping[int | str, str]:
        return {each.lun: each.disk for each in data}

    def together(self, own: frozenset[str]) -> frozenset[str]:
        return own | {self.identity}

    def silent(self, machine: Original) -> Original:
        return machine.model_copy(update={"document": {**machine.document, "user_data": None}, "running": False})

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
    luns: Mapping[str, int] = field(default_factory=lambda: {"data-1": 1, "data-5": 5})
    caching: str = "ReadOnly"

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
        data: dict[int | str, str] = {each.lun or 0: _name(each.resource_id) for each in spec.data_disks}
        settings = base64.b64decode(spec.user_data or "").decode()
        identities = frozenset(str(each.resource_id) for each in spec.identities)
        return SeenMachine(_name(spec.os_disk.resource_id), data, settings, identities, spec.nics[0].private_address)

    def places(self, data: Sequence[Attachment]) -> Mapping[int | str, str]:
        return {each.lun: each.disk for each in data}

    def together(self, own: frozenset[str]) -> frozenset[str]:
        return own | {self.identity}

    def silent(self, machine: Original) -> Original:
        properties: Any = machine.document["properties"]
        told_nothing = {name: value for name, value in properties.items() if name != "userData"}
        document = {**machine.document, "properties": told_nothing}
        return machine.model_copy(update={"document": document, "running": False})

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


@dataclass
class InGoogle:
    """Google's adapter."""

    embedded: EmbeddedGoogle
    image: HomeImage
    identity: str = GUEST.email
    luns: Mapping[str, int] = field(default_factory=lambda: {"data-1": 1, "data-5": 2})
    caching: str = "logs"

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
        return standing_in_google(machine.document)

    def seen(self, name: str) -> SeenMachine:
        spec = self.embedded.machine(name).spec
        data: dict[int | str, str] = {each.device_name: _name(each.resource_id) for each in spec.data_disks}
        identities = frozenset({spec.identity.email} if spec.identity else ())
        settings = spec.attributes.get(GOOGLE_ATTRIBUTE, "")
        return SeenMachine(_name(spec.os_disk.resource_id), data, settings, identities, spec.nics[0].private_address)

    def places(self, data: Sequence[Attachment]) -> Mapping[int | str, str]:
        return {each.caching or each.disk: each.disk for each in data}

    def together(self, own: frozenset[str]) -> frozenset[str]:
        return frozenset({self.identity})

    def silent(self, machine: Original) -> Original:
        metadata: Any = machine.document["metadata"]
        items = [each for each in metadata["items"] if each["key"] != GOOGLE_ATTRIBUTE]
        document = {**machine.document, "metadata": {**metadata, "items": items}}
        return machine.model_copy(update={"document": document, "running": False})

    def disk_id(self, name: str) -> str:
        return f"{self.embedded.home.place.zone_path}/disks/{name}"

    def write(self, disk: str, text: str) -> None:
        with self.embedded.file("disks", disk).open("r+b") as file:
            file.seek(4096)
            file.write(text.encode().ljust(64))

    def read(self, disk: str) -> str:
        with self.embedded.file("disks", disk).open("rb") as file:
            file.seek(4096)
            return file.read(64).rstrip(b" \0").decode()

    def tags(self, kind: str, name: str) -> Mapping[str, str]:
        collection = "instances" if kind == "machine" else f"{kind}s"
        labels = self.embedded.document(collection, name).get("labels", {})
        return {key.replace(f"{PREFIX}-", f"{PREFIX}:"): value for key, value in labels.items()}

    def occupy(self, disk: str, tags: Mapping[str, str]) -> None:
        self.embedded.occupy("disk", disk, tags)

    def agent_says(self, name: str, text: str) -> None:
        self.embedded.agent_says(name, text)

    def changes(self) -> int:
        documents = self.embedded.compute.listing()
        return hash((len(self.embedded.driver.machines), repr(documents)))

    def our_error(self, error: Exception) -> Exception:
        home = self.embedded.home
        return home.translate(error) if isinstance(error, home.foreign) else error


@contextmanager
def home_with_original(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HomeWithOriginal]:
    """A fresh home of that kind with its machine."""
    if kind == "memory":
        yield home_in_memory()
    elif kind == "google":
        with home_in_google(folder / "google") as google:
            yield google
    else:
        with home_in_azure(folder / "azure", monkeypatch) as azure:
            yield azure


def home_in_memory() -> InMemory:
    """The home with its machine."""
    images, machines = MemoryHomeImages(), MemoryHomeMachines()
    image = HomeImage(id=f"memory/{KEY}", name=f"drs-failback-client-{KEY}", key=KEY)
    images.images[KEY] = MemoryImage(image, bytearray(1), {}, whole=True)
    takeovers = MemoryTakeovers(machines)
    disks = (("system", None, "ReadWrite"), ("data-1", 1, "ReadOnly"), ("data-5", 5, ""))
    takeovers.put(
        WEB,
        [OriginalDisk(name=name, id=name, size_gib=SIZES[name], lun=lun, caching=cache) for name, lun, cache in disks],
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


@contextmanager
def home_in_google(folder: Path, **settings: Any) -> Iterator[InGoogle]:  # noqa: ANN401 - any of the embedded cloud's
    """The home with its machine, one of whose disks would go with it, and which has a public address."""
    with embedded_google(folder, **settings) as embedded:
        content = archived({0: b"boot" * 1024})
        found = embedded.home.images.advance(KEY, content, cursor={}, tags={})
        while found.image is None:
            found = embedded.home.images.advance(KEY, content, cursor=found.cursor, tags={})
        make_web_in_google(embedded)
        yield InGoogle(embedded, found.image)


def make_web_in_google(embedded: EmbeddedGoogle) -> None:
    """Make the machine `web` with its disks."""
    licence = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/licenses/rhel"
    system = {"guestOsFeatures": [{"type": "VIRTIO_SCSI_MULTIQUEUE"}], "architecture": "X86_64", "licenses": [licence]}
    paths = {name: embedded.disk(name, size, labels={"part": name}, **(system if name == "system" else {}))
             for name, size in SIZES.items()}  # fmt: skip
    devices = {"system": "persistent-disk-0", "data-1": "logs", "data-5": "database"}
    disks = [{"source": path, "boot": name == "system", "autoDelete": name != "data-5", "deviceName": devices[name]}
             for name, path in paths.items()]  # fmt: skip
    items = {GOOGLE_ATTRIBUTE: OWN_SETTINGS, "startup-script": "#!/bin/sh\n"}
    embedded.instance(
        WEB,
        *disks,
        labels={"owner": "web"},
        metadata={"items": [{"key": key, "value": value} for key, value in items.items()]},
        serviceAccounts=[{"email": OWN_ACCOUNT.email, "scopes": ["https://www.googleapis.com/auth/logging.write"]}],
        networkInterfaces=[{"subnetwork": TARGET.subnetwork, "accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}],
        tags={"items": ["http-server"]},
    )


def make_web(embedded: EmbeddedHome) -> None:
    """Make the machine `web` with its disks."""
    make_disk(embedded, "system", SIZES["system"], osType="Linux", hyperVGeneration="V1")
    data = {1: make_disk(embedded, "data-1", SIZES["data-1"]),
            5: make_disk(embedded, "data-5", SIZES["data-5"], sku="StandardSSD_LRS")}  # fmt: skip
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
