"""One embedded Azure: a tenant, a subscription with its resource groups, and the two servers in front of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trustme

from localcloud.azure.access import AccessDesk
from localcloud.azure.administrator import Administrator
from localcloud.azure.arm import ArmFront
from localcloud.azure.arm_faults import ArmShape
from localcloud.azure.clock import Clock, SystemClock
from localcloud.azure.disks import Disks
from localcloud.azure.identity import EntraTenant, FederatedCredential
from localcloud.azure.machine_power import PowerRoom
from localcloud.azure.machines import TYPE as MACHINES
from localcloud.azure.machines import Machines
from localcloud.azure.network import ADDRESSES, NICS, SECURITY_GROUPS, NetworkKind, Networks, VirtualNetwork
from localcloud.azure.operations import OperationBoard
from localcloud.azure.page_blobs import PageBlobs
from localcloud.azure.sizes import Skus
from localcloud.azure.snapshots import Snapshots
from localcloud.azure.state import CloudState
from localcloud.azure.tls import server_context, write_ca_file
from localcloud.azure.user_identities import IdentityDesk, UserIdentity
from localcloud.faults import FaultInjector
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from _typeshed.wsgi import WSGIApplication
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from localcloud.azure.arm import Kind
    from localcloud.azure.blob_http import Answering
    from localcloud.azure.driver import MachineDriver
    from localcloud.azure.operations import Fault
    from localcloud.azure.refusals import Json
    from localcloud.faults import FaultPlan, FaultRecord
    from localcloud.tokens import TokenSigner

TENANT = "72f988bf-0000-4000-8000-2d7cd011db47"
"""The tenant, unless another one is given."""
_ADMINISTRATOR = "5e2b90c4-0000-4000-8000-a7d0c3f18e26"


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """What exists from the start; `identities` are managed identities that can be assigned to machines.

    `latency` maps an operation (`disks/write`, `virtualMachines/start`) to seconds. Its keys `blob/PutPage` (GetBlob,
    GetPageRanges, GetBlobProperties) are what each such call takes, by the machine's own clock.
    `copy_keeps_generation` refuses copies of disks that state another generation or kind of system than their source.
    `faults` are those of the services `arm`, `entra` and `blob`. `around` puts something before ARM and Entra,
    `around_blobs` before the disks' pages.
    """

    folder: Path
    credentials: tuple[FederatedCredential, ...]
    issuers: Mapping[str, RSAPublicKey]
    groups: tuple[str, ...] = ("home",)
    networks: tuple[VirtualNetwork, ...] = (VirtualNetwork("home", "net", {"servers": "10.20.0.0/24"}),)
    identities: tuple[UserIdentity, ...] = ()
    location: str = "westeurope"
    subscription: str = "3f0e4b6a-0000-4000-8000-6f1d2b9c7a01"
    tenant: str = TENANT
    latency: Mapping[str, float] = field(default_factory=dict)
    copy_keeps_generation: bool = False
    faults: FaultPlan | None = None
    around: Callable[[WSGIApplication], WSGIApplication] = lambda front: front
    around_blobs: Callable[[Answering], Answering] = lambda answer: answer


@dataclass(frozen=True, slots=True)
class AzureEndpoints:
    """Where it's served: ARM and Entra share `base_url`; `ca_file` is what clients have to trust."""

    base_url: str
    blob_url: str
    ca_file: Path


class AzureCloud:
    """The whole cloud; `serve` it for the length of a `with` block."""

    def __init__(
        self,
        settings: AzureSettings,
        *,
        driver: MachineDriver,
        clock: Clock | None = None,
        authority: trustme.CA | None = None,
        signer: TokenSigner | None = None,
    ) -> None:
        self._settings, self._authority = settings, authority or trustme.CA()
        clock = clock or SystemClock()
        self._state = CloudState(settings.folder, clock, settings.groups)
        self._board = OperationBoard(self._state, settings.latency)
        desk = AccessDesk(clock)
        self._desk = desk
        self._blobs = PageBlobs(desk, settings.around_blobs, settings.latency, faults=settings.faults)
        self._tenant = EntraTenant(
            settings.tenant, clock=clock, credentials=settings.credentials, issuers=settings.issuers, signer=signer
        )
        disks = Disks(self._state, self._board, desk, settings.copy_keeps_generation)
        networks = Networks(self._state)
        for network in settings.networks:
            networks.add(settings.subscription, settings.location, network)
        self._room = PowerRoom(self._state, driver, settings.tenant)
        known = {each.resource_id(settings.subscription).lower(): each for each in settings.identities}
        identities = IdentityDesk(settings.tenant, known)
        machines = Machines(self._state, self._board, desk, disks, self._room, identities)
        kinds: list[Kind] = [disks, Snapshots(self._state, self._board, desk), machines, networks]
        kinds += [NetworkKind(self._state, self._board, each) for each in (NICS, ADDRESSES, SECURITY_GROUPS)]
        self._front = ArmFront(
            subscription=settings.subscription,
            state=self._state,
            board=self._board,
            tenant=self._tenant,
            kinds=kinds,
            collections=[Skus(settings.location)],
        )
        self._injector = FaultInjector(self._front, settings.faults, ArmShape()) if settings.faults else None

    @contextmanager
    def serve(self, *, port: int = 0, blob_port: int = 0) -> Iterator[AzureEndpoints]:
        """Serve on 127.0.0.1 by TLS."""
        ca_file = write_ca_file(self._authority, self._settings.folder)
        context = server_context(self._authority, "127.0.0.1", "localhost")
        with (
            self._blobs.serve(port=blob_port, tls=context) as blob_url,
            serve_application(self._settings.around(self._injector or self._front), port=port, tls=context) as base_url,
        ):
            try:
                yield AzureEndpoints(base_url, blob_url, ca_file)
            finally:
                with self._state.lock:
                    self._room.stop_all()
                    self._state.save()

    @property
    def fault_records(self) -> tuple[FaultRecord, ...]:
        """What was done by the plan of faults: ARM's and Entra's in order, then the blobs'."""
        done = (self._injector, self._blobs.injector)
        return tuple(record for each in done if each for record in each.records)

    @property
    def administrator(self) -> Administrator:
        """Makes what was there before anybody else came."""
        subscription = self._settings.subscription
        return Administrator(self._front, self._state, subscription, lambda: self._tenant.give_token(_ADMINISTRATOR))

    def everything(self) -> dict[str, Json]:
        """Every resource's document by its id."""
        with self._state.lock:
            self._board.settle()
            return self._state.everything()

    def listing(self) -> dict[str, Json]:
        """Every resource as GET shows it, by its id, to compare before and after: looking changes nothing in it.

        With `activeAccess`, the signatures of a disk or snapshot that can be used, and a machine's `powerState`.
        """
        with self._state.lock:
            documents = self._front.documents()
            for resource_id, document in documents.items():
                document["activeAccess"] = self._desk.count(resource_id)
                resource = self._state.find(resource_id)
                if resource and resource.id.type == MACHINES:
                    document["powerState"] = self._room.power_of(resource)
            return documents

    def trust(self, credential: FederatedCredential) -> None:
        """Let an application take one more subject's tokens for its own."""
        self._tenant.trust(credential)

    def fail_next(self, *faults: Fault) -> None:
        """Let the next requests for these operations fail, one each."""
        self._board.fail_next(*faults)
