"""The embedded Google Cloud as a home beside AWS: a project whose workload identity pool trusts AWS's roles.

Compute Engine, Cloud Storage and the services that give tokens, each at an address of its own, in one folder.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from failback.errors import MachineError
from localcloud.embedded.google_archives import Archives
from localcloud.google.cloud import NUMBER, PROJECT, ComputeSettings, GoogleCompute
from localcloud.google.compute_faults import ComputeShape
from localcloud.google.places import Network
from localcloud.google_identity.service import GoogleIdentity
from localcloud.google_identity.settings import Grant, IdentitySettings, PoolProvider, ServiceAccount
from localcloud.google_storage.service import StorageService

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from localcloud.embedded.fault_points import FaultPoints
    from localcloud.federation import Federation
    from localcloud.google.driver import MachineDriver, MachineHandle, MachineSpec

__all__ = ["NUMBER", "PROJECT", "GoogleHome", "NoMachines", "google_target", "run_google"]

Json = dict[str, Any]
REGION, ZONE = "europe-west4", "europe-west4-a"
NETWORK = Network("net", {"servers": "10.30.0.0/24"})
SUBNETWORK = f"projects/{PROJECT}/regions/{REGION}/subnetworks/servers"
BUCKET = "embedded-home-images"
PROVIDER = f"projects/{NUMBER}/locations/global/workloadIdentityPools/aws-stages/providers/failback"

STAGE_ACCOUNT = ServiceAccount(f"failback@{PROJECT}.iam.gserviceaccount.com", "100000000000000000001")
"""Whom AWS's roles may act as in the project."""
CLIENT_ACCOUNT = ServiceAccount(f"failback-client@{PROJECT}.iam.gserviceaccount.com", "100000000000000000002")
"""The service account of client machines: AWS's role for them trusts its tokens."""
SERVER_ACCOUNT = ServiceAccount(f"web-servers@{PROJECT}.iam.gserviceaccount.com", "100000000000000000003")
"""A service account that servers at home had before any failover: nothing of AWS's trusts it."""
_GRANTS = (
    Grant(STAGE_ACCOUNT.principal, "roles/compute.admin", f"projects/{PROJECT}"),
    Grant(STAGE_ACCOUNT.principal, "roles/storage.objectAdmin", f"projects/_/buckets/{BUCKET}"),
    Grant(STAGE_ACCOUNT.principal, "roles/iam.serviceAccountUser", CLIENT_ACCOUNT.resource),
    Grant(STAGE_ACCOUNT.principal, "roles/iam.serviceAccountUser", SERVER_ACCOUNT.resource),
)
_ACCOUNTS = (STAGE_ACCOUNT, CLIENT_ACCOUNT, SERVER_ACCOUNT)


class NoMachines:
    """Runs none: for clouds in which nothing is to be started at Google."""

    def start(self, spec: MachineSpec) -> MachineHandle:
        """Refuse it."""
        message = f"{spec.name}: these embedded clouds were started without anything that runs Google's machines"
        raise MachineError(message)


@dataclass(frozen=True, slots=True)
class GoogleHome:
    """A running one. `endpoints` are base URLs by the names that the home's adapter has for them."""

    compute: GoogleCompute
    storage: StorageService
    identity: GoogleIdentity
    folder: Path
    endpoints: Mapping[str, str]

    @property
    def variables(self) -> Mapping[str, str]:
        """What functions are told of it."""
        return {f"FAILBACK_{name.upper()}": url for name, url in self.endpoints.items()}

    def trust(self, role_arn: str) -> None:
        """Let a role of AWS's act as the stages' service account."""
        member = PoolProvider(PROVIDER, "").principal(role_arn)
        self.identity.grant(Grant(member, "roles/iam.workloadIdentityUser", STAGE_ACCOUNT.resource))

    def listing(self) -> Json:
        """Compute's resources as GET shows them, the bucket's objects, and its uploads that are under way."""
        objects, uploads = self.storage.contents(BUCKET), self.storage.open_uploads(BUCKET)
        return {**self.compute.listing(), f"buckets/{BUCKET}": {"objects": objects, "uploads": uploads}}


@contextmanager
def run_google(
    folder: Path, federation: Federation, faults: FaultPoints, *, driver: MachineDriver, latency: Mapping[str, float]
) -> Iterator[GoogleHome]:
    """Serve it for the length of a `with` block; it trusts what AWS's `federation` signs."""
    provider = PoolProvider(PROVIDER, federation.issuer)
    identity = GoogleIdentity(IdentitySettings((provider,), federation.issuers, _ACCOUNTS, _GRANTS))
    storage = StorageService(folder / "storage", gate=identity, projects={PROJECT: NUMBER})
    storage.add_bucket(BUCKET, project=PROJECT)
    settings = ComputeSettings(
        folder / "compute",
        region=REGION,
        zones=(ZONE,),
        networks=(NETWORK,),
        accounts={each.email: each.unique_id for each in _ACCOUNTS},
        latency=latency,
        around=lambda front: faults.before(front, ComputeShape()),
    )
    archives = Archives(storage, folder / "archives")
    compute = GoogleCompute(settings, driver=driver, gate=identity, objects=archives)
    with (
        identity.serve(application=faults.before(identity, identity.shape)) as tokens,
        storage.serve(application=faults.before(storage, storage.shape)) as storage_url,
        compute.serve() as compute_url,
    ):
        endpoints = {
            "google_sts": tokens.sts,
            "google_oauth": tokens.oauth,
            "google_iam": tokens.iam,
            "google_storage": storage_url,
            "google_compute": compute_url,
        }
        yield GoogleHome(compute, storage, identity, folder, endpoints)


def google_target(name: str, *, audience: str) -> Json:
    """The target of a deployment that points to it; `audience` is what client machines' tokens are made out to."""
    client = {
        "kind": "service-account",
        "email": CLIENT_ACCOUNT.email,
        "unique_id": CLIENT_ACCOUNT.unique_id,
        "audience": audience,
    }
    return {
        "name": name,
        "home": "google",
        "project": PROJECT,
        "zone": ZONE,
        "subnetwork": SUBNETWORK,
        "bucket": BUCKET,
        "network_tags": ["failback-client"],
        "credential": {"kind": "federation", "provider": PROVIDER, "service_account": STAGE_ACCOUNT.email},
        "client": client,
    }
