"""The home of the contract's bodies at a real project: signed in by whatever google-auth finds here."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.google.belongings import GoogleBelongings
from failback.clouds.google.credentials import SCOPES, shared
from failback.clouds.google.images import GoogleImages
from failback.clouds.google.machines import GoogleMachines
from failback.clouds.google.place import GoogleClients, GooglePlace
from failback.clouds.google.upload import Slice
from failback.model.target import GoogleTarget
from failback.naming import image_name
from lambdas.connections import SystemClock
from tests.home.conftest import ArchivedImages
from tests.home.test_contract import KEY
from tests.live.giving_back import give_back
from tests.live.variables import GOOGLE_COMPUTE, GOOGLE_STORAGE, GOOGLE_TARGET, look_seconds, needed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

    from failback.home_ports import ImageContent, ImageImport, MachineState, MachineToBuild
    from failback.model.ending import Belonging

# The contract's own names of runs.
RUNS = ("run-1", "run-2")


class PatientImages(GoogleImages):
    """Waits as long as each step says."""

    def advance(
        self, key: str, content: ImageContent, *, cursor: Mapping[str, JsonValue], tags: Mapping[str, str]
    ) -> ImageImport:
        step = super().advance(key, content, cursor=cursor, tags=tags)
        time.sleep(min(step.wait_seconds, look_seconds()))
        return step


class PatientMachines(GoogleMachines):
    """Gives a machine time between two looks."""

    def build(self, machine: MachineToBuild) -> MachineState:
        state = super().build(machine)
        if state == "building":
            time.sleep(look_seconds())
        return state


class PatientBelongings(GoogleBelongings):
    """Gives a removal time between two looks."""

    def remove(self, belonging: Belonging) -> bool:
        gone = super().remove(belonging)
        if not gone:
            time.sleep(4 * look_seconds())
        return gone


@dataclass(frozen=True)
class LiveHome(ArchivedImages):
    """A home in test whose guests nobody has a hand in, and whose images nobody reads."""

    place: GooglePlace

    @property
    def images(self) -> PatientImages:
        return PatientImages(self.place, SystemClock(), Slice(size=3 << 20, part=1 << 20))

    @property
    def machines(self) -> PatientMachines:
        return PatientMachines(self.place)

    @property
    def belongings(self) -> PatientBelongings:
        return PatientBelongings(self.place)

    def disk(self, key: str) -> bytes:
        pytest.fail(f"nobody reads the image of {key} here")

    def say(self, name: str, text: str) -> None:
        pytest.fail(f"nobody can make {name} say {text!r}")

    def power_off(self, name: str) -> None:
        pytest.fail(f"nobody is in {name} to turn it off")


def read_target() -> tuple[GoogleTarget, bool]:
    """The target given, and whether it has a subnetwork for machines."""
    path = needed(GOOGLE_TARGET, "a JSON file with a target, as a deployment has it")
    given = json.loads(Path(path).read_text(encoding="utf-8"))
    nowhere = {
        "subnetwork": f"projects/{given['project']}/regions/{given['zone'].rpartition('-')[0]}/subnetworks/none",
        "credential": {
            "kind": "federation",
            "provider": "projects/1/locations/global/workloadIdentityPools/none/providers/none",
        },
    }
    return GoogleTarget.model_validate({**nowhere, **given}), "subnetwork" in given


def connected(target: GoogleTarget) -> GooglePlace:
    """The target's place, by google-auth's own search: a file that its variable names, or `gcloud auth`."""
    import google.auth

    find: Any = google.auth.default
    credentials, _ = find(scopes=list(SCOPES))
    clients = GoogleClients(
        target.project,
        shared(credentials),
        compute_url=os.environ.get(GOOGLE_COMPUTE, ""),
        storage_url=os.environ.get(GOOGLE_STORAGE, ""),
    )
    return GooglePlace(target, clients)


@pytest.fixture
def home() -> Iterator[LiveHome]:
    """The home; what the contract's runs have made there is removed when the test has ended."""
    target, _ = read_target()
    live = LiveHome(connected(target))
    if live.place.image(image_name(KEY)) or any(live.belongings.made_by(run) for run in RUNS):
        pytest.fail(f"{target.project} has something of a run called {' or '.join(RUNS)}: remove it first")
    try:
        yield live
    finally:
        for run in RUNS:
            give_back(live.belongings, run)


@pytest.fixture
def with_machines(home: LiveHome) -> LiveHome:
    """The same, where machines may be made."""
    if not read_target()[1]:
        pytest.skip(f"the target of {GOOGLE_TARGET} has no subnetwork: machines need one (docs/live.md)")
    return home
