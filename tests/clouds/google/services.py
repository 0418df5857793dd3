"""Google's services, embedded, with machines that do nothing; and the adapter on them."""

from __future__ import annotations

import random
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from failback.clouds.google.connection import GoogleHome, connect
from failback.home_ports import WayIn
from failback.model.target import GoogleTarget, WorkloadIdentity
from failback.sinks.gce import archive
from failback.sinks.gce_tar import SparseTar
from localcloud.azure.clock import VirtualClock
from localcloud.faults import FaultInjector, FaultPlan
from localcloud.google.cloud import ComputeSettings, GoogleCompute
from localcloud.google.images import StoredObject
from localcloud.google.places import Network
from localcloud.google_identity.service import GoogleIdentity
from localcloud.google_identity.settings import Grant, IdentitySettings, PoolProvider, ServiceAccount
from localcloud.google_storage.service import StorageService
from localcloud.tokens import TokenSigner
from tests.home.memory import MemoryContent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from localcloud.google.driver import MachineSpec

ISSUER, SUBJECT = "https://aws.test/issuer", "arn:aws:iam::123456789012:role/stage"
PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/aws-stages/providers/failback"
EMAIL = "failback@office-home.iam.gserviceaccount.com"
PROJECT, BUCKET = "office-home", "office-images"
SIGNER, ACCOUNT_KEY = TokenSigner(), TokenSigner()
TARGET = GoogleTarget(
    name="office",
    home="google",
    project=PROJECT,
    zone="europe-west3-a",
    subnetwork="projects/office-home/regions/europe-west3/subnetworks/servers",
    bucket=BUCKET,
    credential=WorkloadIdentity(provider=PROVIDER, service_account=EMAIL),
)
ACCOUNT = ServiceAccount(EMAIL, "100000000000000000001", {"key-1": ACCOUNT_KEY.public_key})
POOL = PoolProvider(PROVIDER, ISSUER)
OWN = POOL.principal(SUBJECT)
GRANTS = (
    Grant(OWN, "roles/iam.workloadIdentityUser", ACCOUNT.resource),
    Grant(ACCOUNT.principal, "roles/storage.objectAdmin", f"projects/_/buckets/{BUCKET}"),
    Grant(ACCOUNT.principal, "roles/compute.admin", f"projects/{PROJECT}"),
)


def token(audience: str) -> str:
    """What AWS gives the stage's role."""
    now = int(time.time())
    return SIGNER.sign({"iss": ISSUER, "sub": SUBJECT, "aud": audience, "iat": now, "exp": now + 300})


@dataclass
class RecordedMachine:
    """A machine that does nothing but what a test lets it write: on until it's stopped."""

    spec: MachineSpec
    is_running: bool = True
    written: bytes = b""

    def console(self) -> bytes:
        """What a test has put there."""
        return self.written

    def stop(self) -> None:
        """Off."""
        self.is_running = False

    def refresh(self, spec: MachineSpec) -> None:
        """Other metadata."""
        self.spec = spec


@dataclass
class RecordingDriver:
    """A MachineDriver that remembers what it has started."""

    machines: list[RecordedMachine] = field(default_factory=list)

    def start(self, spec: MachineSpec) -> RecordedMachine:
        """The machine, on."""
        self.machines.append(RecordedMachine(spec))
        return self.machines[-1]


@dataclass
class Reader:
    """What Compute needs of Cloud Storage: an object as a file."""

    storage: StorageService
    identity: GoogleIdentity
    folder: Path
    base: str = ""

    def read_object(self, bucket: str, name: str) -> StoredObject | None:
        """The object, downloaded."""
        if name not in self.storage.names(bucket):
            return None
        url = f"{self.base}/download/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media"
        bearer = self.identity.give_token(ACCOUNT.principal)
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": f"Bearer {bearer}"})) as got:
            path = self.folder / f"object-{random.randrange(1 << 40)}"
            path.write_bytes(got.read())
        return StoredObject(path, "")


@dataclass
class Services:
    """What's embedded, where it is, and the way to it."""

    identity: GoogleIdentity
    storage: StorageService
    compute: GoogleCompute
    driver: RecordingDriver
    endpoints: Mapping[str, str]
    clock: VirtualClock
    faults: FaultInjector
    """Of Cloud Storage."""
    at_sign_in: FaultInjector
    """Of what gives tokens."""

    def way_in(self, **changes: Any) -> WayIn:  # noqa: ANN401 - any field
        """The way in, changed."""
        return replace(WayIn(token, lambda arn: "", self.endpoints, self.clock), **changes)

    def connect(self, target: GoogleTarget = TARGET, **changes: Any) -> GoogleHome:  # noqa: ANN401 - any field
        """The adapter."""
        return connect(target, self.way_in(**changes))

    def names(self) -> list[str]:
        """The objects that are there."""
        return self.storage.names(BUCKET)


@contextmanager
def services(
    folder: Path,
    settings: IdentitySettings | None = None,
    **compute: Any,  # noqa: ANN401 - any of Compute's settings
) -> Iterator[Services]:
    """Serve them by a clock that only the test moves."""
    clock = VirtualClock()
    identity = GoogleIdentity(
        settings or IdentitySettings((POOL,), {ISSUER: SIGNER.public_key}, (ACCOUNT,), GRANTS),
    )
    storage = StorageService(folder / "storage", gate=identity, projects={PROJECT: "123456789012"})
    storage.add_bucket(BUCKET, project=PROJECT)
    faults, driver = FaultInjector(storage, FaultPlan(), storage.shape), RecordingDriver()
    at_sign_in = FaultInjector(identity, FaultPlan(), identity.shape)
    reader = Reader(storage, identity, folder)

    values: dict[str, Any] = {
        "folder": folder / "compute",
        "project": PROJECT,
        "region": TARGET.region,
        "zones": (TARGET.zone,),
        "networks": (Network("net", {"servers": "10.30.0.0/24"}),),
        "accounts": {EMAIL: ACCOUNT.unique_id},
    }
    cloud = GoogleCompute(
        ComputeSettings(**values | compute), driver=driver, gate=identity, objects=reader, clock=clock
    )
    with ExitStack() as stack:
        tokens = stack.enter_context(identity.serve(application=at_sign_in))
        reader.base = stack.enter_context(storage.serve(application=faults))
        endpoints = {
            "google_sts": tokens.sts,
            "google_oauth": tokens.oauth,
            "google_iam": tokens.iam,
            "google_storage": reader.base,
            "google_compute": stack.enter_context(cloud.serve()),
        }
        yield Services(identity, storage, cloud, driver, endpoints, clock, faults, at_sign_in)


def client_image(*, seed: int = 1, size: int = 600 << 10) -> MemoryContent:
    """An archive of a disk of 1 GiB that holds noise of that size."""
    noise, length = random.Random(seed).randbytes(size), 256 << 10

    def read(piece: tuple[int, int]) -> bytes:
        return noise[piece[0] : piece[0] + piece[1]]

    pieces = archive(SparseTar(1 << 30, [(0, size)]), read, longest=length, workers=1, ahead=1)
    data = b"".join(piece for piece, _ in pieces)
    return MemoryContent(len(data), {0: data})
