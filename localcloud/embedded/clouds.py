"""The embedded clouds as one: AWS with its parts behind one address, two homes that trust AWS's roles, one folder."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from localcloud.azure.cloud import AzureCloud, AzureSettings
from localcloud.azure.identity import FederatedCredential
from localcloud.azure.network import VirtualNetwork
from localcloud.azure.user_identities import UserIdentity
from localcloud.drs.keys import keys_of_functions
from localcloud.drs.service import DrsService
from localcloud.drs.settings import DrsSettings
from localcloud.ebs.direct import EbsDirectService
from localcloud.ebs.images import ImageService
from localcloud.ebs.store import SnapshotStore
from localcloud.embedded.fault_points import AwsShape, FaultPoints
from localcloud.embedded.google import GoogleHome, NoMachines, run_google
from localcloud.embedded.guest_network import GuestNetwork
from localcloud.embedded.iso_bucket import publish_iso
from localcloud.federation import Federation
from localcloud.gateway.dispatch import Applications, PartOfService
from localcloud.gateway.run import AwsSettings, EmbeddedAws, run_aws
from localcloud.lambda_runner.code_store import CodeStore
from localcloud.lambda_runner.role_sessions import RoleSessions
from localcloud.objects.service import ObjectService
from localcloud.objects.store import ObjectStore
from localcloud.sts_assume import RoleAssumption

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from failback.model.target import HomeName
    from localcloud.azure.cloud import AzureEndpoints
    from localcloud.azure.driver import MachineDriver
    from localcloud.faults import Faultable, FaultPlan
    from localcloud.google.driver import MachineDriver as GoogleDriver

REGION = "us-east-1"
HOME_GROUP = "home"
HOME_NETWORK = VirtualNetwork(HOME_GROUP, "net", {"servers": "10.20.0.0/24"})
HOME_SUBNET = "servers"
HOME_LOCATION = "westeurope"
CLIENT_ID = "0b4a7a31-0000-4000-8000-5d1b7f3c9e10"
"""The application in the embedded tenant that may work in the resource group."""
AUDIENCE = "api://AzureADTokenExchange"

CLIENT_IDENTITY = UserIdentity(
    HOME_GROUP,
    "failback-client",
    principal_id="7d1c5a08-0000-4000-8000-2f6e9b04c1d3",
    client_id="2c9e4f70-0000-4000-8000-8a1b6d35e7f2",
)
"""The managed identity of client machines: AWS's role for them trusts its tokens."""
SERVER_IDENTITY = UserIdentity(
    HOME_GROUP,
    "servers",
    principal_id="c8f01d26-0000-4000-8000-19b4e7a0d553",
    client_id="e47a3b90-0000-4000-8000-60d2c8f5a711",
)
"""A managed identity that servers at home had before any failover: nothing of AWS's trusts it."""
CLIENT_AUDIENCE = "api://drs-failback-client"
"""The application that those tokens are for."""

Client = Any
"""boto3 makes its clients when it runs: they have no type of their own."""


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """What the clouds are started with. `folder` holds all their data, `iso` is what AWS publishes as client ISO.

    `driver` runs Azure's machines, `google_driver` Google's. `wait_scale` is how long a second of a Wait state lasts;
    `variables` reach every function's environment; `network` is what the drivers' machines reach, who have to know it
    as their surroundings and signer.
    """

    folder: Path
    iso: Path
    driver: MachineDriver
    faults: FaultPlan | None = None
    wait_scale: float = 1.0
    port: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)
    latency: Mapping[str, float] = field(default_factory=dict)
    drs: DrsSettings = field(default_factory=DrsSettings)
    network: GuestNetwork = field(default_factory=lambda: GuestNetwork())
    google_driver: GoogleDriver = field(default_factory=NoMachines)


@dataclass(frozen=True, slots=True)
class EmbeddedClouds:
    """Running clouds: AWS and the homes. `code` and `objects` are where a deployment puts functions and buckets.

    `sessions` gives a key by which a caller is a role's function. `drs_url` is the door of failback clients,
    `replication_port` stands for port 1500 of every recovery instance.
    """

    aws: EmbeddedAws
    azure: AzureCloud
    azure_at: AzureEndpoints
    azure_settings: AzureSettings
    google: GoogleHome
    objects: ObjectService
    object_store: ObjectStore
    snapshots: SnapshotStore
    images: ImageService
    drs: DrsService
    drs_url: str
    replication_port: int
    network: GuestNetwork
    federation: Federation
    sessions: RoleSessions
    code: CodeStore
    faults: FaultPoints
    iso_sha512: str
    region: str = REGION

    def client(self, service: str, **settings: object) -> Client:
        """boto3's client of a service, as an administrator's who isn't met by faults."""
        from botocore.config import Config

        config = Config(retries={"total_max_attempts": 2}, **settings)  # type: ignore[arg-type]
        # A session isn't safe while it makes a client.
        with _making:
            return _session(self.region).client(service, endpoint_url=self.aws.url, config=config)

    def trust_role(self, role_arn: str, *, home: HomeName = "azure") -> None:
        """Let a role of AWS's sign in at a home, as the application or the service account there."""
        if home == "google":
            self.google.trust(role_arn)
            return
        issuer = self.federation.issuer
        self.azure.trust(FederatedCredential(CLIENT_ID, issuer, role_arn, AUDIENCE))


_making = threading.Lock()


@cache
def _session(region: str) -> Client:
    """One for all clients: it keeps the service models, which take long to read."""
    from boto3.session import Session

    return Session("local", "local", region_name=region)


@contextmanager
def run_clouds(settings: CloudSettings) -> Iterator[EmbeddedClouds]:
    """All clouds for the length of a `with` block; raises LocalCloudError if they can't be started."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    parts, faults = _AwsParts.make(settings), FaultPoints(settings.faults, clock=settings.drs.clock)
    sha512 = publish_iso(parts.objects, settings.iso, region=REGION, scratch=settings.folder)
    at_home = _azure_settings(settings, parts.federation, faults)
    azure = AzureCloud(at_home, driver=settings.driver)
    with (
        azure.serve() as endpoints,
        run_google(
            settings.folder / "google",
            parts.federation,
            faults,
            driver=settings.google_driver,
            latency=settings.latency,
        ) as google,
        run_aws(_aws_settings(settings, parts, endpoints, google, faults)) as aws,
        parts.drs.serve() as drs_url,
        parts.drs.replication.serve() as replication_port,
    ):
        clouds = EmbeddedClouds(
            aws=aws,
            azure=azure,
            azure_at=endpoints,
            azure_settings=at_home,
            google=google,
            objects=parts.objects,
            object_store=parts.object_store,
            snapshots=parts.snapshots,
            images=parts.images,
            drs=parts.drs,
            drs_url=drs_url,
            replication_port=replication_port,
            network=settings.network,
            federation=parts.federation,
            sessions=parts.sessions,
            code=parts.code,
            faults=faults,
            iso_sha512=sha512,
        )
        with settings.network.open(
            parts.drs, drs_url=drs_url, replication_port=replication_port, iam=lambda: clouds.client("iam")
        ):
            yield clouds


@dataclass(frozen=True, slots=True)
class _AwsParts:
    """The parts of AWS that aren't moto's."""

    object_store: ObjectStore
    objects: ObjectService
    snapshots: SnapshotStore
    direct: EbsDirectService
    images: ImageService
    drs: DrsService
    sessions: RoleSessions
    federation: Federation
    assumption: RoleAssumption
    code: CodeStore

    @classmethod
    def make(cls, settings: CloudSettings) -> _AwsParts:
        folder, network = settings.folder, settings.network
        object_store, snapshots, sessions = ObjectStore(folder / "s3"), SnapshotStore(folder / "ebs"), RoleSessions()
        return cls(
            object_store=object_store,
            objects=ObjectService(object_store, region=REGION),
            snapshots=snapshots,
            direct=EbsDirectService(snapshots),
            images=ImageService(snapshots),
            drs=DrsService(
                folder / "drs", region=REGION, settings=settings.drs, key_sources=(keys_of_functions(sessions),)
            ),
            sessions=sessions,
            federation=Federation(sessions),
            assumption=RoleAssumption(network.trusts, network.sessions, sessions),
            code=CodeStore(folder / "code"),
        )

    def applications(self) -> Applications:
        on_images = PartOfService("ec2", lambda call: self.images.handles(call.action, call.parameters), self.images)
        return Applications(
            services={"ebs": self.direct, "drs": self.drs},
            parts=(on_images, *self.federation.parts, self.assumption.part),
            bulk_objects=self.objects,
            bulk_bucket=self.objects.handles,
        )


def _azure_settings(settings: CloudSettings, federation: Federation, faults: FaultPoints) -> AzureSettings:
    return AzureSettings(
        folder=settings.folder / "azure",
        credentials=(),
        issuers=federation.issuers,
        groups=(HOME_GROUP,),
        networks=(HOME_NETWORK,),
        identities=(CLIENT_IDENTITY, SERVER_IDENTITY),
        location=HOME_LOCATION,
        latency=settings.latency,
        around=faults.before_arm,
        around_blobs=faults.before_blobs,
    )


def _aws_settings(
    settings: CloudSettings, parts: _AwsParts, azure: AzureEndpoints, google: GoogleHome, faults: FaultPoints
) -> AwsSettings:
    own: dict[str, Faultable] = {"ebs": parts.direct, "ec2": parts.images, "s3": parts.objects, "drs": parts.drs}
    shape = AwsShape(own, parts.objects)
    endpoints = {"FAILBACK_AZURE_ARM": azure.base_url, "FAILBACK_AZURE_AUTHORITY": azure.base_url}
    return AwsSettings(
        folder=settings.folder / "aws",
        applications=parts.applications(),
        port=settings.port,
        ca_bundle=azure.ca_file,
        variables={**endpoints, **google.variables, **settings.network.variables, **settings.variables},
        wait_scale=settings.wait_scale,
        sessions=parts.sessions,
        around=lambda gateway: faults.before_functions(gateway, shape, parts.sessions),
        code=parts.code,
    )
