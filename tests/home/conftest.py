"""Each home that the contract is asked of: in memory, and each cloud's adapter on its embedded cloud."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import pytest

from failback.clouds.azure.images import AzureImages, Slice
from failback.clouds.google.images import GoogleImages
from failback.clouds.google.upload import Slice as GoogleSlice
from failback.errors import FailbackError
from failback.home_ports import DataDisk, MachineToBuild
from failback.model.agent import GOOGLE_ATTRIBUTE
from failback.model.run import HomeImage
from tests.clouds.azure.embedded import (
    GIB,
    IDENTITY,
    SUBSCRIPTION,
    EmbeddedHome,
    client_image,
    embedded_home,
    occupy,
    small_image,
)
from tests.clouds.google.embedded import DATA, GUEST, EmbeddedGoogle, archived, embedded_google, unpacked
from tests.home.memory import MemoryBelongings, MemoryContent, MemoryHomeImages, MemoryHomeMachines, MemoryMachine
from tests.home.memory_machines import MemoryDisk, MemoryInterface

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from failback.home_ports import HomeImages, HomeMachines
    from failback.ports import Belongings

SLICE = 3 << 20
Kind = Literal["machine", "disk", "interface"]


class HomeInTest(Protocol):
    """A home, and the hands of a guest in it."""

    @property
    def images(self) -> HomeImages: ...

    @property
    def machines(self) -> HomeMachines: ...

    @property
    def belongings(self) -> Belongings: ...

    def client_image(self) -> MemoryContent:
        """An image in the home's dress that takes several slices: dense here, with gaps there."""

    def small_image(self) -> MemoryContent:
        """One with little in it, for tests of what comes after its import."""

    def misshaped(self) -> MemoryContent:
        """One of a size that no disk has."""

    def raw(self, content: MemoryContent) -> bytes:
        """The disk that's within an image's dress, up to its last data."""

    def disk(self, key: str) -> bytes:
        """The bytes of an imported disk, as far as an image of this home's has data."""

    def say(self, name: str, text: str) -> None:
        """Let a machine write to its serial port."""

    def power_off(self, name: str) -> None:
        """Let a guest turn itself off."""


class SeenInside(HomeInTest, Protocol):
    """The same, where a test also looks at what a guest finds, and puts things there that aren't ours."""

    @property
    def sku(self) -> str:
        """A kind of disk, in the home's word."""

    @property
    def identity(self) -> str:
        """The id of an identity that machines can be given."""

    @property
    def unknown(self) -> HomeImage:
        """An image that isn't there."""

    def settings(self, name: str) -> str:
        """What the guest reads as its settings now."""

    def place(self, disk: DataDisk) -> int | str:
        """What a guest tells a machine's data disk by."""

    def disks(self, name: str) -> dict[int | str, int]:
        """The GiB of the guest's data disks, by what it tells them by."""

    def address(self, name: str) -> str:
        """The guest's address."""

    def identities(self, name: str) -> list[str]:
        """The identities that the guest can have tokens of."""

    def occupy(self, kind: Kind, name: str, tags: Mapping[str, str]) -> None:
        """Have a thing of that name there, the machine's own or a data disk, with these tags."""

    def our_error(self, error: Exception) -> FailbackError:
        """An error as the doorway would have it."""


class VhdImages:
    """The images of a home that takes VHDs."""

    def client_image(self) -> MemoryContent:
        return client_image()

    def small_image(self) -> MemoryContent:
        return small_image()

    def misshaped(self) -> MemoryContent:
        return MemoryContent((24 << 20) + 1024, {})

    def raw(self, content: MemoryContent) -> bytes:
        return content.whole()[:-512]


class ArchivedImages:
    """The images of a home that takes archives."""

    def client_image(self) -> MemoryContent:
        return archived(DATA)

    def small_image(self) -> MemoryContent:
        return archived({0: b"boot" * 1024})

    def misshaped(self) -> MemoryContent:
        return MemoryContent(3 << 20, {0: b"none of an archive's" * 1024})

    def raw(self, content: MemoryContent) -> bytes:
        return unpacked(content)


@dataclass
class InMemory(VhdImages):
    """The home in memory."""

    images: MemoryHomeImages
    machines: MemoryHomeMachines
    belongings: MemoryBelongings

    def disk(self, key: str) -> bytes:
        return bytes(self.images.images[key].data[:-512])

    def say(self, name: str, text: str) -> None:
        self.machines.machines[name].text += text

    def power_off(self, name: str) -> None:
        self.machines.machines[name].state = "stopped"

    @property
    def sku(self) -> str:
        return "fast"

    @property
    def identity(self) -> str:
        return "identity-1"

    @property
    def unknown(self) -> HomeImage:
        return HomeImage(id="memory/none", name="none", key="0" * 20)

    def settings(self, name: str) -> str:
        return self.machines.machines[name].machine.user_data

    def place(self, disk: DataDisk) -> int | str:
        return disk.lun

    def disks(self, name: str) -> dict[int | str, int]:
        return {each.lun: each.size_gib for each in self.machines.machines[name].machine.disks}

    def address(self, name: str) -> str:
        return self.machines.interfaces[name].address

    def identities(self, name: str) -> list[str]:
        identity = self.machines.machines[name].machine.identity
        return [identity] if identity else []

    def occupy(self, kind: Kind, name: str, tags: Mapping[str, str]) -> None:
        if kind == "disk":
            self.machines.disks[name] = MemoryDisk(DataDisk(name, 1, 0), dict(tags), "somebody's")
        elif kind == "interface":
            self.machines.interfaces[name] = MemoryInterface("10.30.0.99", dict(tags))
        else:
            machine = MachineToBuild(name, self.unknown, "bios", "", dict(tags))
            self.machines.machines[name] = MemoryMachine(machine, "running")

    def our_error(self, error: Exception) -> FailbackError:
        return error_of_ours(error)


@dataclass
class InAzure(VhdImages):
    """Azure's adapter."""

    embedded: EmbeddedHome

    @property
    def images(self) -> AzureImages:
        home = self.embedded.home
        return AzureImages(home.place, self.embedded.clock, Slice(size=SLICE))

    @property
    def machines(self) -> HomeMachines:
        return self.embedded.home.machines

    @property
    def belongings(self) -> Belongings:
        return self.embedded.home.belongings

    def disk(self, key: str) -> bytes:
        return self.embedded.disk_bytes(f"drs-failback-client-{key}")

    def say(self, name: str, text: str) -> None:
        self.embedded.machine(name).text += text.encode()

    def power_off(self, name: str) -> None:
        self.embedded.machine(name).is_running = False

    @property
    def sku(self) -> str:
        return "Standard_LRS"

    @property
    def identity(self) -> str:
        return IDENTITY.resource_id(SUBSCRIPTION)

    @property
    def unknown(self) -> HomeImage:
        return HomeImage(id=f"{self._disks_path}/none", name="none", key="0" * 20)

    @property
    def _disks_path(self) -> str:
        return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/home/providers/Microsoft.Compute/disks"

    def settings(self, name: str) -> str:
        return base64.b64decode(self.embedded.machine(name).spec.user_data or "").decode()

    def place(self, disk: DataDisk) -> int | str:
        return disk.lun

    def disks(self, name: str) -> dict[int | str, int]:
        return {each.lun or 0: each.size // GIB for each in self.embedded.machine(name).spec.data_disks}

    def address(self, name: str) -> str:
        (nic,) = self.embedded.machine(name).spec.nics
        return nic.private_address

    def identities(self, name: str) -> list[str]:
        return [str(each.resource_id) for each in self.embedded.machine(name).spec.identities]

    def occupy(self, kind: Kind, name: str, tags: Mapping[str, str]) -> None:
        occupy(self.embedded, kind, name, tags)

    def our_error(self, error: Exception) -> FailbackError:
        home = self.embedded.home
        return home.translate(error) if isinstance(error, home.foreign) else error_of_ours(error)


@dataclass
class InGoogle(ArchivedImages):
    """Google's adapter."""

    embedded: EmbeddedGoogle

    @property
    def images(self) -> GoogleImages:
        home = self.embedded.home
        return GoogleImages(home.place, self.embedded.clock, GoogleSlice(size=SLICE, part=1 << 20))

    @property
    def machines(self) -> HomeMachines:
        return self.embedded.home.machines

    @property
    def belongings(self) -> Belongings:
        return self.embedded.home.belongings

    def disk(self, key: str) -> bytes:
        return self.embedded.data_of("images", f"drs-failback-client-{key}")

    def say(self, name: str, text: str) -> None:
        self.embedded.machine(name).written += text.encode()

    def power_off(self, name: str) -> None:
        self.embedded.machine(name).is_running = False

    @property
    def sku(self) -> str:
        return "pd-standard"

    @property
    def identity(self) -> str:
        return GUEST.email

    @property
    def unknown(self) -> HomeImage:
        path = f"{self.embedded.home.place.project_path}/global/images/none"
        return HomeImage(id=path, name="none", key="0" * 20)

    def settings(self, name: str) -> str:
        return self.embedded.machine(name).spec.attributes[GOOGLE_ATTRIBUTE]

    def place(self, disk: DataDisk) -> int | str:
        return disk.name

    def disks(self, name: str) -> dict[int | str, int]:
        return {each.device_name: each.size // GIB for each in self.embedded.machine(name).spec.data_disks}

    def address(self, name: str) -> str:
        (nic,) = self.embedded.machine(name).spec.nics
        return nic.private_address

    def identities(self, name: str) -> list[str]:
        identity = self.embedded.machine(name).spec.identity
        return [identity.email] if identity else []

    def occupy(self, kind: Kind, name: str, tags: Mapping[str, str]) -> None:
        self.embedded.occupy(kind, name, tags)

    def our_error(self, error: Exception) -> FailbackError:
        home = self.embedded.home
        return home.translate(error) if isinstance(error, home.foreign) else error_of_ours(error)


def error_of_ours(error: Exception) -> FailbackError:
    """The error, which has to be one of our vocabulary."""
    assert isinstance(error, FailbackError)
    return error


@pytest.fixture(params=["memory", "azure", pytest.param("google", marks=pytest.mark.embedded)])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SeenInside]:
    """A fresh home."""
    if request.param == "memory":
        images = MemoryHomeImages(SLICE)
        machines = MemoryHomeMachines(images=images, identities=frozenset({"identity-1"}))
        yield InMemory(images, machines, MemoryBelongings(images, machines))
        return
    if request.param == "google":
        with embedded_google(tmp_path / "google") as google:
            yield InGoogle(google)
        return
    with embedded_home(tmp_path / "azure", monkeypatch) as embedded:
        yield InAzure(embedded)
