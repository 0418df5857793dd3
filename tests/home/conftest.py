"""Each home that the contract is asked of: in memory, and Azure's adapter on the embedded Azure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest

from failback.clouds.azure.images import AzureImages, Slice
from tests.clouds.azure.embedded import EmbeddedHome, embedded_home
from tests.home.memory import MemoryBelongings, MemoryHomeImages, MemoryHomeMachines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from failback.home_ports import HomeImages, HomeMachines
    from failback.ports import Belongings

SLICE = 3 << 20


class HomeInTest(Protocol):
    """A home, and the hands of a guest in it."""

    @property
    def images(self) -> HomeImages: ...

    @property
    def machines(self) -> HomeMachines: ...

    @property
    def belongings(self) -> Belongings: ...

    def disk(self, key: str) -> bytes:
        """The bytes of an imported disk, without its footer."""

    def say(self, name: str, text: str) -> None:
        """Let a machine write to its serial port."""

    def power_off(self, name: str) -> None:
        """Let a guest turn itself off."""


@dataclass
class InMemory:
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


@dataclass
class InAzure:
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


@pytest.fixture(params=["memory", "azure"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HomeInTest]:
    """A fresh home."""
    if request.param == "memory":
        images, machines = MemoryHomeImages(SLICE), MemoryHomeMachines()
        yield InMemory(images, machines, MemoryBelongings(images, machines))
        return
    with embedded_home(tmp_path / "azure", monkeypatch) as embedded:
        yield InAzure(embedded)
