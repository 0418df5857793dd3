"""Targets: named places at home, and the ways in. One class a home; a deployment names as many targets as it likes."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, TypeAdapter, model_validator

from failback.model.agent import Audience, Identifier
from failback.model.facts import Facts

HomeName = Literal["azure", "google"]
DiskMark = Literal["lun", "name"]
"""What a client finds a disk by in its machine, besides its size: the unit that it's at, or the name that it has."""

_GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
Guid = Annotated[str, StringConstraints(strict=True, pattern=f"^{_GUID}$")]
SecretArn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$")]
SubnetId = Annotated[
    str,
    StringConstraints(
        pattern=re.compile(
            f"^/subscriptions/{_GUID}/resourceGroups/[^/]+/providers/Microsoft.Network/virtualNetworks/[^/]+"
            r"/subnets/[^/]+$",
            re.IGNORECASE,
        )
    ),
]


class Federation(Facts):
    """Way in without a secret: AWS STS vouches for the stage's role, and the home trusts that role.

    `audience` is what the token is made out to (Entra's usual one by default).
    """

    kind: Literal["federation"] = "federation"
    audience: str = "api://AzureADTokenExchange"


class StoredSecret(Facts):
    """Way in by a secret kept in AWS Secrets Manager, where federation can't be set up: only its ARN stands here."""

    kind: Literal["secret"]
    secret_arn: SecretArn


IdentityId = Annotated[
    str,
    StringConstraints(
        pattern=re.compile(
            f"^/subscriptions/{_GUID}/resourceGroups/[^/]+/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
            r"[^/]+$",
            re.IGNORECASE,
        )
    ),
]
Cidr = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/([0-9]|[12][0-9]|3[0-2])$")]


class ManagedIdentity(Facts):
    """Client machines get at AWS by a managed identity of their own: AWS's role for them trusts it and nobody else.

    `identity_id` is its resource id, `principal_id` its object id, `audience` the application that its tokens are for.
    """

    kind: Literal["managed-identity"]
    identity_id: IdentityId
    principal_id: Guid
    audience: Audience

    @property
    def identity(self) -> str:
        """What the machine is given it by."""
        return self.identity_id

    @property
    def chosen_by(self) -> str:
        """What the client asks for it by: a machine that was taken over has others."""
        return self.identity_id


class MintedKeys(Facts):
    """Client machines get at AWS by keys for one hour, handed to them through their settings when they ask for them."""

    kind: Literal["keys"]

    @property
    def identity(self) -> str:
        """None: the machine proves nothing."""
        return ""


class AzureTarget(Facts):
    """A resource group of an Azure subscription, and the identity that may work in it.

    `size` is the virtual machine size for boot tests and client machines; None picks one that the location offers.
    `client` is how client machines get at AWS; without it nothing but images can be brought here. `egress` is where
    their connections come from when they go by the internet: the public addresses of the subnet's NAT gateway, say.
    """

    name: Identifier
    home: Literal["azure"]
    tenant_id: Guid
    client_id: Guid
    subscription_id: Guid
    resource_group: Annotated[str, StringConstraints(pattern=r"^[-\w.()]{0,89}[-\w()]$")]
    location: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")]
    subnet_id: SubnetId
    disk_sku: Literal["Standard_LRS", "StandardSSD_LRS", "Premium_LRS", "StandardSSD_ZRS", "Premium_ZRS"] = (
        "StandardSSD_LRS"
    )
    size: Annotated[str, StringConstraints(pattern=r"^(Standard|Basic)_[A-Za-z0-9_]+$")] | None = None
    credential: Annotated[Federation | StoredSecret, Field(discriminator="kind")] = Federation()
    client: Annotated[ManagedIdentity | MintedKeys, Field(discriminator="kind")] | None = None
    egress: tuple[Cidr, ...] = ()

    @property
    def finds_disks_by(self) -> DiskMark:
        """Azure numbers a machine's disks."""
        return "lun"


_PROJECT = r"[a-z]([-a-z0-9]{4,28}[a-z0-9])"
_PROVIDER = (
    r"projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9][-a-z0-9]{2,30}[a-z0-9]"
    r"/providers/[a-z0-9][-a-z0-9]{2,30}[a-z0-9]"
)
ProjectId = Annotated[str, StringConstraints(pattern=f"^{_PROJECT}$")]
ServiceAccountEmail = Annotated[
    str,
    StringConstraints(pattern=rf"^([-a-z0-9]{{6,30}}@{_PROJECT}\.iam|[0-9]+-compute@developer)\.gserviceaccount\.com$"),
]


class WorkloadIdentity(Facts):
    """Way into Google without a secret: its workload identity pool trusts the stage's role by AWS STS's tokens.

    `provider` is the pool's OIDC provider, by its full name with the project's number; `service_account` is whom the
    stage acts as (empty: the role's own principal in the pool has the rights).
    """

    kind: Literal["federation"] = "federation"
    provider: Annotated[str, StringConstraints(pattern=f"^{_PROVIDER}$")]
    service_account: ServiceAccountEmail | Literal[""] = ""

    @property
    def audience(self) -> str:
        """What AWS's tokens are made out to: what an OIDC provider takes that names no audiences of its own."""
        return f"https://iam.googleapis.com/{self.provider}"


class ServiceAccount(Facts):
    """Client machines get at AWS by identity tokens of their own service account: AWS's role for them trusts only it.

    `unique_id` is the account's number, which tokens name as their subject; `audience` what they're made out to.
    """

    kind: Literal["service-account"]
    email: ServiceAccountEmail
    unique_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{15,25}$")]
    audience: Audience

    @property
    def identity(self) -> str:
        """What the machine is given it by."""
        return self.email

    @property
    def chosen_by(self) -> str:
        """Nothing: a machine has one service account, and asks for its tokens by no name."""
        return ""


class GoogleTarget(Facts):
    """A zone of a Google Cloud project, and the identity that may work in it.

    `subnetwork` is where client machines' interfaces are, in the zone's region (a shared network's is another
    project's); `network_tags` are what its firewall rules know them by. `bucket` is where client images are uploaded
    to before images are made of them. `machine_type` is that of boot tests and client machines; None picks one whose
    disks and network the client has drivers for. `client` and `egress` as with Azure.
    """

    name: Identifier
    home: Literal["google"]
    project: ProjectId
    zone: Annotated[str, StringConstraints(pattern=r"^[a-z]+-[a-z]+[0-9]+-[a-z]$")]
    subnetwork: Annotated[
        str,
        StringConstraints(
            pattern=rf"^projects/{_PROJECT}/regions/[a-z]+-[a-z]+[0-9]+/subnetworks/[a-z][-a-z0-9]{{0,62}}$"
        ),
    ]
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][-a-z0-9_.]{1,61}[a-z0-9]$")]
    network_tags: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")], ...] = ()
    disk_type: Literal["pd-standard", "pd-balanced", "pd-ssd"] = "pd-balanced"
    machine_type: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*-[a-z0-9]+(-[0-9]+)*$")] | None = None
    credential: Annotated[WorkloadIdentity | StoredSecret, Field(discriminator="kind")]
    client: Annotated[ServiceAccount | MintedKeys, Field(discriminator="kind")] | None = None
    egress: tuple[Cidr, ...] = ()

    @property
    def finds_disks_by(self) -> DiskMark:
        """Google has no units: a disk is attached by a name."""
        return "name"

    @property
    def region(self) -> str:
        """The zone's region."""
        return self.zone.rpartition("-")[0]

    @model_validator(mode="after")
    def _check_region(self) -> Self:
        if f"/regions/{self.region}/" not in self.subnetwork:
            message = f"subnetwork: it isn't in {self.region}, the region of the zone {self.zone}"
            raise ValueError(message)
        return self


Target = Annotated[AzureTarget | GoogleTarget, Field(discriminator="home")]

TARGET = TypeAdapter[AzureTarget | GoogleTarget](Target)
