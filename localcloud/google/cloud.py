"""One embedded Google Compute Engine: a project in one region, and the server in front of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcloud.azure.clock import Clock, SystemClock
from localcloud.faults import FaultInjector
from localcloud.google.access import OpenGate
from localcloud.google.addresses import Addresses
from localcloud.google.administrator import Administrator
from localcloud.google.attached import DiskRack
from localcloud.google.catalog import DiskTypes, MachineTypes
from localcloud.google.compute_faults import ComputeShape
from localcloud.google.disks import Disks
from localcloud.google.front import ComputeFront
from localcloud.google.images import Images
from localcloud.google.instance_changes import InstanceChanges
from localcloud.google.instances import Instances
from localcloud.google.operations import OperationBoard
from localcloud.google.places import QUOTAS, Network, Networking, Projects, Quotas, Regions, Zones
from localcloud.google.power import PowerRoom
from localcloud.google.snapshots import Snapshots
from localcloud.google.state import CloudState
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from _typeshed.wsgi import WSGIApplication

    from localcloud.faults import FaultPlan, FaultRecord
    from localcloud.google.driver import MachineDriver
    from localcloud.google.front import Kind
    from localcloud.google.images import ObjectReader
    from localcloud.google.operations import Fault
    from localcloud.google.refusals import Json
    from localcloud.google_identity.gate import Gate

PROJECT, NUMBER = "embedded-home", "414243444546"
"""The project, unless another one is given."""


@dataclass(frozen=True, slots=True)
class ComputeSettings:
    """What exists from the start; `accounts` are service accounts' unique ids by e-mail address.

    `latency` maps an operation (`disks.insert`, `instances.start`) to seconds. `faults` are those of the service
    `compute`. `around` puts something before it.
    """

    folder: Path
    project: str = PROJECT
    number: str = NUMBER
    region: str = "europe-west4"
    zones: tuple[str, ...] = ("europe-west4-a", "europe-west4-b")
    networks: tuple[Network, ...] = (Network("net", {"servers": "10.30.0.0/24"}),)
    accounts: Mapping[str, str] = field(default_factory=dict)
    quotas: Mapping[str, float] = field(default_factory=dict)
    latency: Mapping[str, float] = field(default_factory=dict)
    faults: FaultPlan | None = None
    around: Callable[[WSGIApplication], WSGIApplication] = lambda front: front

    @property
    def default_account(self) -> str:
        """The e-mail address of the project's default service account."""
        return f"{self.number}-compute@developer.gserviceaccount.com"


class GoogleCompute:
    """An embedded Compute Engine whose state lies in a folder; `driver` runs its machines.

    `gate` says whose a bearer token is and who may what; without one `verify` says whose it is (None: nobody's), and
    everybody may do everything. `objects` reads what lies in buckets.
    """

    def __init__(
        self,
        settings: ComputeSettings,
        *,
        driver: MachineDriver,
        gate: Gate | None = None,
        verify: Callable[[str], str | None] = lambda _token: None,
        objects: ObjectReader,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._state = CloudState(settings.folder, clock or SystemClock(), settings.project)
        self._board = OperationBoard(self._state, settings.latency)
        for network in settings.networks:
            network.add_to(self._state, settings.region)
        self._quotas = Quotas(self._state, settings.region, {**QUOTAS, **settings.quotas})
        accounts = {settings.default_account: f"1{settings.number}000000001", **settings.accounts}
        self._room = PowerRoom(self._state, driver, accounts)
        self._images = Images(self._state, self._board, self._quotas, objects)
        kinds = self._kinds()
        places = {"zones": settings.zones, "regions": (settings.region,)}
        projects = [each.project for each in settings.networks if each.project]

        def front(before: Gate) -> ComputeFront:
            return ComputeFront(
                state=self._state, board=self._board, gate=before, kinds=kinds, places=places, projects=projects
            )

        self._front, self._own_front = front(gate or OpenGate(verify)), front(OpenGate(str))
        self._injector = FaultInjector(self._front, settings.faults, ComputeShape()) if settings.faults else None

    def _kinds(self) -> list[Kind]:
        settings, state, board, quotas = self._settings, self._state, self._board, self._quotas
        snapshots, rack = Snapshots(state, board, quotas), DiskRack(state, quotas)
        account = settings.default_account
        changes = InstanceChanges(state, board, rack, self._room, account)
        return [
            Projects(quotas, account),
            Regions(quotas, settings.zones),
            Zones(settings.project, settings.region, settings.zones),
            MachineTypes(settings.project),
            DiskTypes(settings.project),
            Networking(state, "networks", "global", "network"),
            Networking(state, "subnetworks", "regions", "subnetwork"),
            Addresses(state, board),
            Disks(state, board, quotas, snapshots),
            snapshots,
            self._images,
            Instances(state, board, quotas, rack, self._room, changes, settings.region, account),
        ]

    @contextmanager
    def serve(self, *, port: int = 0) -> Iterator[str]:
        """Serve on 127.0.0.1; gives the base URL, without a slash at its end."""
        with serve_application(self._settings.around(self._injector or self._front), port=port) as url:
            try:
                yield url
            finally:
                self._images.wait()
                with self._state.lock:
                    self._room.stop_all()
                    self._state.save()

    @property
    def settings(self) -> ComputeSettings:
        """What it was started with."""
        return self._settings

    @property
    def fault_records(self) -> tuple[FaultRecord, ...]:
        """What was done by the plan of faults, in order."""
        return self._injector.records if self._injector else ()

    @property
    def administrator(self) -> Administrator:
        """Makes what was there before anybody else came."""
        return Administrator(self._own_front, self._state)

    def everything(self) -> dict[str, Json]:
        """Every resource's document by its path."""
        with self._state.lock:
            self._board.settle()
            return self._state.everything()

    def listing(self) -> dict[str, Json]:
        """Every resource as GET shows it, by its path, to compare before and after: looking changes nothing in it."""
        return self._front.documents()

    def fail_next(self, *faults: Fault) -> None:
        """Let the next requests for these operations fail, one each."""
        self._board.fail_next(*faults)
