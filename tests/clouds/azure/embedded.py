"""The Azure adapter on an embedded Azure with machines that do nothing, and what's seen there from behind."""

from __future__ import annotations

import random
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.connection import AzureHome, connect
from failback.home_ports import WayIn
from failback.model.target import AzureTarget
from failback.sinks.vhd import vhd_footer
from localcloud.azure.clock import VirtualClock
from localcloud.azure.cloud import AzureCloud, AzureEndpoints, AzureSettings
from localcloud.azure.identity import FederatedCredential
from localcloud.azure.network import VirtualNetwork
from localcloud.azure.user_identities import UserIdentity
from tests.home.memory import MemoryContent
from tests.localcloud.azure.clients import AUTHORITY, ISSUER, SIGNER, SUBJECT, RecordedMachine, RecordingDriver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pytest

    from localcloud.azure.refusals import Json

AUDIENCE = "api://AzureADTokenExchange"
CLIENT_ID = "0b4a7a31-0000-4000-8000-5d1b7f3c9e10"
TENANT = "72f988bf-0000-4000-8000-2d7cd011db47"
SUBSCRIPTION = "3f0e4b6a-0000-4000-8000-6f1d2b9c7a01"
SUBNET = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/home/providers/Microsoft.Network/virtualNetworks/net/subnets/servers"
)
IDENTITY = UserIdentity(
    "home", "failback-client", "9d1c2b3a-0000-4000-8000-1a2b3c4d5e6f", "4e5f6a7b-0000-4000-8000-6f5e4d3c2b1a"
)
MIB, GIB = 1 << 20, 1 << 30
TARGET = AzureTarget(
    name="office", home="azure", tenant_id=TENANT, client_id=CLIENT_ID, subscription_id=SUBSCRIPTION,
    resource_group="home", location="westeurope", subnet_id=SUBNET,
)  # fmt: skip


def token(audience: str) -> str:
    """What AWS gives the stage's role."""
    now = int(time.time())
    return SIGNER.sign({"iss": ISSUER, "sub": SUBJECT, "aud": audience, "iat": now, "exp": now + 300})


@dataclass
class EmbeddedHome:
    """The adapter (`home`), and behind it the cloud with its clock and driver."""

    home: AzureHome
    cloud: AzureCloud
    at: AzureEndpoints
    clock: VirtualClock
    driver: RecordingDriver
    folder: Path

    def document(self, name: str) -> Json:
        """The resource of that name, as GET shows it."""
        (found,) = [each for each in self.cloud.listing().values() if each["name"] == name]
        return found

    def names(self) -> set[str]:
        """Everything there is but the network."""
        return {each["name"] for each in self.cloud.listing().values()} - {"net"}

    def active_access(self) -> int:
        """How many signatures of disks can be used."""
        return sum(each["activeAccess"] for each in self.cloud.listing().values())

    def disk_bytes(self, name: str) -> bytes:
        """The raw file behind a disk."""
        return (self.folder / "disks" / f"{self.document(name)['properties']['uniqueId']}.raw").read_bytes()

    def machine(self, name: str) -> RecordedMachine:
        """The started machine of that name."""
        return next(each for each in reversed(self.driver.machines) if each.spec.name == name)

    def way_in(self, **changes: Any) -> WayIn:  # noqa: ANN401 - any field
        """The way in, changed."""
        endpoints = {"arm": self.at.base_url, "authority": self.at.base_url}
        return replace(WayIn(token, lambda arn: "", endpoints, self.clock), **changes)


@contextmanager
def embedded_home(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    **settings: Any,  # noqa: ANN401 - any setting
) -> Iterator[EmbeddedHome]:
    """Serve a fresh cloud by a clock that only the test moves, and connect to it."""
    clock, driver = VirtualClock(), RecordingDriver()
    values: dict[str, Any] = {
        "folder": folder,
        "credentials": (FederatedCredential(CLIENT_ID, ISSUER, SUBJECT, AUDIENCE),),
        "issuers": {ISSUER: SIGNER.public_key},
        "networks": (VirtualNetwork("home", "net", {"servers": "10.20.0.0/24"}),),
        "identities": (IDENTITY,),
        "subscription": SUBSCRIPTION,
        "tenant": TENANT,
    }
    cloud = AzureCloud(AzureSettings(**values | settings), driver=driver, clock=clock, authority=AUTHORITY,
                       signer=SIGNER)  # fmt: skip
    with cloud.serve() as at:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(at.ca_file))
        way_in = WayIn(token, lambda arn: "", {"arm": at.base_url, "authority": at.base_url}, clock)
        home = connect(TARGET, way_in)
        with home.place.compute, home.place.network:
            yield EmbeddedHome(home, cloud, at, clock, driver, folder)


def occupy(azure: EmbeddedHome, kind: str, name: str, tags: Mapping[str, str]) -> None:
    """Make a thing that isn't ours, as somebody at home would: a machine named so with its parts, or one part."""
    place = azure.home.place
    compute, network = place.compute, place.network
    common: dict[str, Any] = {"location": "westeurope", "tags": dict(tags)}
    if kind in {"disk", "machine"}:
        values = {"diskSizeGB": 1, "osType": "Linux", "creationData": {"createOption": "Empty"}}
        disk = f"{name}-of-another" if kind == "machine" else name
        disk_body: Any = {**common, "properties": values}
        disk_id = compute.disks.begin_create_or_update(place.group, disk, disk_body).result().id
    if kind in {"interface", "machine"}:
        configuration = {"name": "ip", "properties": {"subnet": {"id": SUBNET}}}
        nic = f"{name}-of-another" if kind == "machine" else f"{name}-nic"
        nic_body: Any = {**common, "properties": {"ipConfigurations": [configuration]}}
        nic_id = network.network_interfaces.begin_create_or_update(place.group, nic, nic_body).result().id
    if kind == "machine":
        os_disk = {"createOption": "Attach", "osType": "Linux", "managedDisk": {"id": disk_id}}
        values = {
            "hardwareProfile": {"vmSize": "Standard_B2ms"},
            "storageProfile": {"osDisk": os_disk},
            "networkProfile": {"networkInterfaces": [{"id": nic_id}]},
        }
        body: Any = {**common, "properties": values}
        compute.virtual_machines.begin_create_or_update(place.group, name, body).result()


def client_image(size: int = 24 * MIB, *, seed: int = 1, good_footer: bool = True) -> MemoryContent:
    """A VHD with data here and there: dense, with a long gap in it, and single pages."""
    noise = random.Random(seed).randbytes
    parts = {
        0: noise(512) + bytes(100 * 512) + noise(70_000 // 512 * 512),
        4 * MIB: noise(5 * MIB),
        12 * MIB: noise(1024) + bytes(300 * 1024) + noise(1024),
        size: vhd_footer(size, uuid.UUID(int=seed)) if good_footer else noise(512),
    }
    return MemoryContent(size + 512, parts)


def small_image(size: int = 20 * MIB) -> MemoryContent:
    """A VHD with little in it, for tests of what comes after its import."""
    return MemoryContent(size + 512, {0: b"boot" * 1024, size: vhd_footer(size, uuid.UUID(int=9))})
