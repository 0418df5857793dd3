"""One embedded Azure: a tenant, a subscription with its resource groups, and the two servers in front of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trustme

from localcloud.azure.access import AccessDesk
from localcloud.azure.arm import ArmFront
from localcloud.azure.clock import Clock, SystemClock
from localcloud.azure.disks import Disks
from localcloud.azure.identity import EntraTenant, FederatedCredential
from localcloud.azure.machine_power import PowerRoom
from localcloud.azure.machines import Machines
from localcloud.azure.network import ADDRESSES, NICS, SECURITY_GROUPS, NetworkKind, Networks, VirtualNetwork
from localcloud.azure.operations import OperationBoard
from localcloud.azure.page_blobs import PageBlobs
from localcloud.azure.sizes import Skus
from localcloud.azure.snapshots import Snapshots
from localcloud.azure.state import CloudState
from localcloud.azure.tls import server_context, write_ca_file
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from localcloud.azure.arm import Kind
    from localcloud.azure.driver import MachineDriver
    from localcloud.azure.operations import Fault
    from localcloud.azure.refusals import Json
    from localcloud.tokens import TokenSigner


@dataclass(frozen=True, slots=True)
class AzureSettings:
    """What exists from the start. `latency` maps an operation (`disks/write`, `virtualMachines/start`) to seconds."""

    folder: Path
    credentials: tuple[FederatedCredential, ...]
    issuers: Mapping[str, RSAPublicKey]
    groups: tuple[str, ...] = ("home",)
    networks: tuple[VirtualNetwork, ...] = (VirtualNetwork("home", "net", {"servers": "10.20.0.0/24"}),)
    location: str = "westeurope"
    subscription: str = "3f0e4b6a-0000-4000-8000-6f1d2b9c7a01"
    tenant: str = "72f988bf-0000-4000-8000-2d7cd011db47"
    latency: Mapping[str, float] = field(default_factory=dict)


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
        self._blobs = PageBlobs(desk)
        tenant = EntraTenant(
            settings.tenant, clock=clock, credentials=settings.credentials, issuers=settings.issuers, signer=signer
        )
        disks, networks = Disks(self._state, self._board, desk), Networks(self._state)
        for network in settings.networks:
            networks.add(settings.subscription, settings.location, network)
        self._room = PowerRoom(self._state, driver, settings.tenant)
        machines = Machines(self._state, self._board, desk, disks, self._room)
        kinds: list[Kind] = [disks, Snapshots(self._state, self._board, desk), machines, networks]
        kinds += [NetworkKind(self._state, self._board, each) for each in (NICS, ADDRESSES, SECURITY_GROUPS)]
        self._front = ArmFront(
            subscription=settings.subscription,
            state=self._state,
            board=self._board,
            tenant=tenant,
            kinds=kinds,
            collections=[Skus(settings.location)],
        )

    @contextmanager
    def serve(self, *, port: int = 0, blob_port: int = 0) -> Iterator[AzureEndpoints]:
        """Serve on 127.0.0.1 by TLS."""
        ca_file = write_ca_file(self._authority, self._settings.folder)
        context = server_context(self._authority, "127.0.0.1", "localhost")
        with (
            self._blobs.serve(port=blob_port, tls=context) as blob_url,
            serve_application(self._front, port=port, tls=context) as base_url,
        ):
            try:
                yield AzureEndpoints(base_url, blob_url, ca_file)
            finally:
                with self._state.lock:
                    self._room.stop_all()
                    self._state.save()

    def everything(self) -> dict[str, Json]:
        """Every resource's document by its id."""
        with self._state.lock:
            self._board.settle()
            return self._state.everything()

    def fail_next(self, *faults: Fault) -> None:
        """Let the next requests for these operations fail, one each."""
        self._board.fail_next(*faults)
