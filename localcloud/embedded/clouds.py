"""Both embedded clouds as one: AWS with its parts behind one address, Azure that trusts AWS's roles, one folder."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from localcloud.azure.cloud import AzureCloud, AzureSettings
from localcloud.azure.identity import FederatedCredential
from localcloud.azure.network import VirtualNetwork
from localcloud.ebs.direct import EbsDirectService
from localcloud.ebs.images import ImageService
from localcloud.ebs.store import SnapshotStore
from localcloud.embedded.fault_points import AwsShape, FaultPoints
from localcloud.embedded.iso_bucket import publish_iso
from localcloud.federation import Federation
from localcloud.gateway.dispatch import Applications, PartOfService
from localcloud.gateway.run import AwsSettings, EmbeddedAws, run_aws
from localcloud.lambda_runner.code_store import CodeStore
from localcloud.lambda_runner.role_sessions import RoleSessions
from localcloud.objects.service import ObjectService
from localcloud.objects.store import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from localcloud.azure.cloud import AzureEndpoints
    from localcloud.azure.driver import MachineDriver
    from localcloud.faults import FaultPlan

REGION = "us-east-1"
HOME_GROUP = "home"
HOME_NETWORK = VirtualNetwork(HOME_GROUP, "net", {"servers": "10.20.0.0/24"})
HOME_SUBNET = "servers"
HOME_LOCATION = "westeurope"
CLIENT_ID = "0b4a7a31-0000-4000-8000-5d1b7f3c9e10"
"""The application in the embedded tenant that may work in the resource group."""
AUDIENCE = "api://AzureADTokenExchange"

Client = Any
"""boto3 makes its clients when it runs: they have no type of their own."""


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """What both clouds are started with. `folder` holds all their data, `iso` is what AWS publishes as client ISO.

    `wait_scale` is how long a second of a Wait state lasts; `variables` reach every function's environment.
    """

    folder: Path
    iso: Path
    driver: MachineDriver
    faults: FaultPlan | None = None
    wait_scale: float = 1.0
    port: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)
    latency: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EmbeddedClouds:
    """Two running clouds. `code` and `objects` are where a deployment puts functions and buckets.

    `sessions` gives a key by which a caller is a role's function.
    """

    aws: EmbeddedAws
    azure: AzureCloud
    azure_at: AzureEndpoints
    azure_settings: AzureSettings
    objects: ObjectService
    object_store: ObjectStore
    snapshots: SnapshotStore
    images: ImageService
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

    def trust_role(self, role_arn: str) -> None:
        """Let a role of AWS's sign in as the application at home."""
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
    """Both clouds for the length of a `with` block; raises LocalCloudError if they can't be started."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    parts, faults = _AwsParts.make(settings.folder), FaultPoints(settings.faults)
    sha512 = publish_iso(parts.objects, settings.iso, region=REGION, scratch=settings.folder)
    at_home = _azure_settings(settings, parts.federation, faults)
    azure = AzureCloud(at_home, driver=settings.driver)
    with azure.serve() as endpoints, run_aws(_aws_settings(settings, parts, endpoints, faults)) as aws:
        yield EmbeddedClouds(
            aws=aws,
            azure=azure,
            azure_at=endpoints,
            azure_settings=at_home,
            objects=parts.objects,
            object_store=parts.object_store,
            snapshots=parts.snapshots,
            images=parts.images,
            federation=parts.federation,
            sessions=parts.sessions,
            code=parts.code,
            faults=faults,
            iso_sha512=sha512,
        )


@dataclass(frozen=True, slots=True)
class _AwsParts:
    """The parts of AWS that aren't moto's."""

    object_store: ObjectStore
    objects: ObjectService
    snapshots: SnapshotStore
    direct: EbsDirectService
    images: ImageService
    sessions: RoleSessions
    federation: Federation
    code: CodeStore

    @classmethod
    def make(cls, folder: Path) -> _AwsParts:
        object_store, snapshots, sessions = ObjectStore(folder / "s3"), SnapshotStore(folder / "ebs"), RoleSessions()
        return cls(
            object_store=object_store,
            objects=ObjectService(object_store, region=REGION),
            snapshots=snapshots,
            direct=EbsDirectService(snapshots),
            images=ImageService(snapshots),
            sessions=sessions,
            federation=Federation(sessions),
            code=CodeStore(folder / "code"),
        )

    def applications(self) -> Applications:
        on_images = PartOfService("ec2", lambda call: self.images.handles(call.action, call.parameters), self.images)
        return Applications(
            services={"ebs": self.direct},
            parts=(on_images, *self.federation.parts),
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
        location=HOME_LOCATION,
        latency=settings.latency,
        around=faults.before_arm,
        around_blobs=faults.before_blobs,
    )


def _aws_settings(settings: CloudSettings, parts: _AwsParts, azure: AzureEndpoints, faults: FaultPoints) -> AwsSettings:
    shape = AwsShape({"ebs": parts.direct, "ec2": parts.images, "s3": parts.objects}, parts.objects)
    endpoints = {"FAILBACK_AZURE_ARM": azure.base_url, "FAILBACK_AZURE_AUTHORITY": azure.base_url}
    return AwsSettings(
        folder=settings.folder / "aws",
        applications=parts.applications(),
        port=settings.port,
        ca_bundle=azure.ca_file,
        variables={**endpoints, **settings.variables},
        wait_scale=settings.wait_scale,
        sessions=parts.sessions,
        around=lambda gateway: faults.before_functions(gateway, shape, parts.sessions),
        code=parts.code,
    )
