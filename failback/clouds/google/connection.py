"""The way into Google Cloud: a target's clients, and everything that's done by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.clouds.google import refusals
from failback.clouds.google.belongings import GoogleBelongings
from failback.clouds.google.credentials import sign_in
from failback.clouds.google.images import GoogleImages
from failback.clouds.google.machines import GoogleMachines
from failback.clouds.google.place import GoogleClients, GooglePlace
from failback.clouds.google.sessions import blot_logs
from failback.clouds.google.signs import GoogleSigns
from failback.clouds.google.takeovers import GoogleTakeovers
from failback.clouds.google.upload import MIB, Slice

if TYPE_CHECKING:
    from failback.clouds.google.credentials import Assertion
    from failback.errors import FailbackError
    from failback.home_ports import WayIn
    from failback.model.target import GoogleTarget


@dataclass(frozen=True, slots=True)
class GoogleHome:
    """A Home."""

    place: GooglePlace
    images: GoogleImages
    machines: GoogleMachines
    takeovers: GoogleTakeovers
    signs: GoogleSigns
    belongings: GoogleBelongings
    assertion: Assertion | None

    @property
    def foreign(self) -> tuple[type[Exception], ...]:
        return refusals.foreign()

    def translate(self, error: Exception) -> FailbackError:
        return refusals.translate(error, self.place.target, self.assertion.claims if self.assertion else {})


def connect(target: GoogleTarget, way_in: WayIn) -> GoogleHome:
    """Everything of one target; nothing is signed in to before the first call needs it."""
    blot_logs()
    credentials, assertion = sign_in(target, way_in)
    clients = GoogleClients(
        target.project,
        credentials,
        compute_url=way_in.endpoints.get("google_compute", ""),
        storage_url=way_in.endpoints.get("google_storage", ""),
    )
    place = GooglePlace(target, clients)
    images = GoogleImages(place, way_in.clock, Slice(size=way_in.slice_mib * MIB) if way_in.slice_mib else Slice())
    return GoogleHome(
        place=place,
        images=images,
        machines=GoogleMachines(place),
        takeovers=GoogleTakeovers(place),
        signs=GoogleSigns(place),
        belongings=GoogleBelongings(place),
        assertion=assertion,
    )
