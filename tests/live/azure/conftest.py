"""The home of the contract's bodies at a real subscription: signed in by whatever azure-identity finds here."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.azure.belongings import AzureBelongings
from failback.clouds.azure.connection import BACKOFF, POLL_SECONDS, RETRIES, SCOPE, AzureHome
from failback.clouds.azure.images import AzureImages, Slice
from failback.clouds.azure.machines import AzureMachines
from failback.clouds.azure.place import AzurePlace
from failback.clouds.azure.signs import AzureSigns
from failback.clouds.azure.takeovers import AzureTakeovers
from failback.model.target import AzureTarget
from failback.naming import image_name
from lambdas.connections import SystemClock
from tests.home.conftest import SLICE, VhdImages
from tests.home.test_contract import KEY
from tests.live.giving_back import give_back
from tests.live.variables import AZURE_ARM, AZURE_AUTHORITY, AZURE_TARGET, look_seconds, needed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

    from failback.home_ports import ImageContent, ImageImport, MachineState, MachineToBuild
    from failback.model.ending import Belonging

# The contract's own names of runs, and our own.
RUNS = ("run-1", "run-2")


class PatientImages(AzureImages):
    """Waits as long as each step says."""

    def advance(
        self, key: str, content: ImageContent, *, cursor: Mapping[str, JsonValue], tags: Mapping[str, str]
    ) -> ImageImport:
        step = super().advance(key, content, cursor=cursor, tags=tags)
        time.sleep(min(step.wait_seconds, look_seconds()))
        return step


class PatientMachines(AzureMachines):
    """Gives a machine time between two looks."""

    def build(self, machine: MachineToBuild) -> MachineState:
        state = super().build(machine)
        if state == "building":
            # A machine takes some minutes.
            time.sleep(4 * look_seconds())
        return state


class PatientBelongings(AzureBelongings):
    """Gives a removal time between two looks."""

    def remove(self, belonging: Belonging) -> bool:
        gone = super().remove(belonging)
        if not gone:
            time.sleep(4 * look_seconds())
        return gone


@dataclass(frozen=True)
class LiveHome(VhdImages):
    """A home in test whose guests nobody has a hand in."""

    place: AzurePlace

    @property
    def images(self) -> PatientImages:
        return PatientImages(self.place, SystemClock(), Slice(size=SLICE))

    @property
    def machines(self) -> PatientMachines:
        return PatientMachines(self.place)

    @property
    def belongings(self) -> PatientBelongings:
        return PatientBelongings(self.place)

    def disk(self, key: str) -> bytes:
        """Read back by an access of its own."""
        from azure.storage.blob import BlobClient

        disks, name = self.place.compute.disks, image_name(key)
        size = disks.get(self.place.group, name).disk_size_bytes
        asked: Any = {"access": "Read", "durationInSeconds": 600}
        access = disks.begin_grant_access(self.place.group, name, asked).result()
        try:
            with BlobClient.from_blob_url(str(access.access_sas)) as blob:
                return bytes(blob.download_blob(0, size).readall())
        finally:
            disks.begin_revoke_access(self.place.group, name).result()

    def say(self, name: str, text: str) -> None:
        pytest.fail(f"nobody can make {name} say {text!r}")

    def power_off(self, name: str) -> None:
        pytest.fail(f"nobody is in {name} to turn it off")


def read_target() -> tuple[AzureTarget, bool]:
    """The target given, and whether it has a subnet for machines."""
    path = needed(AZURE_TARGET, "a JSON file with a target, as a deployment has it")
    given = json.loads(Path(path).read_text(encoding="utf-8"))
    no_subnet = (
        f"/subscriptions/{given['subscription_id']}/resourceGroups/none/providers/Microsoft.Network"
        "/virtualNetworks/none/subnets/none"
    )
    return AzureTarget.model_validate({"subnet_id": no_subnet, **given}), "subnet_id" in given


def connected(target: AzureTarget) -> AzureHome:
    """The target's home by azure-identity's own search: a secret in the environment, a federated token, `az login`."""
    from azure.identity import DefaultAzureCredential
    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.network import NetworkManagementClient

    # An authority that isn't Entra's is in no directory of Entra's.
    elsewhere: Any = {"disable_instance_discovery": True} if os.environ.get(AZURE_AUTHORITY) else {}
    settings: dict[str, Any] = {
        "credential": DefaultAzureCredential(**elsewhere),
        "subscription_id": target.subscription_id,
        "base_url": os.environ.get(AZURE_ARM) or None,
        "credential_scopes": [SCOPE],
        "retry_total": RETRIES,
        "retry_backoff_factor": BACKOFF,
        "polling_interval": POLL_SECONDS,
    }
    place = AzurePlace(target, ComputeManagementClient(**settings), NetworkManagementClient(**settings))
    images = AzureImages(place, SystemClock())
    takeovers, signs = AzureTakeovers(place), AzureSigns(place)
    return AzureHome(place, images, AzureMachines(place), takeovers, signs, AzureBelongings(place), None)


@pytest.fixture
def home() -> Iterator[LiveHome]:
    """The home; what the contract's runs have made there is removed when the test has ended."""
    target, _ = read_target()
    connection = connected(target)
    with connection.place.compute, connection.place.network:
        live = LiveHome(connection.place)
        if connection.place.disk(image_name(KEY)) or any(live.belongings.made_by(run) for run in RUNS):
            pytest.fail(f"{target.resource_group} has something of a run called {' or '.join(RUNS)}: remove it first")
        try:
            yield live
        finally:
            for run in RUNS:
                give_back(live.belongings, run)


@pytest.fixture
def with_machines(home: LiveHome) -> LiveHome:
    """The same, where machines may be made."""
    if not read_target()[1]:
        pytest.skip(f"the target of {AZURE_TARGET} has no subnet_id: machines need one (docs/live.md)")
    return home
