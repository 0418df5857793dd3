"""Targets: named places at home, and the ways in. One class a home; a deployment names as many targets as it likes."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from failback.model.agent import Audience, Identifier
from failback.model.facts import Facts

HomeName = Literal["azure", "google"]

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


class MintedKeys(Facts):
    """Client machines get at AWS by keys for one hour, handed to them through their settings when they ask for them."""

    kind: Literal["keys"]


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


# The next home adds its class here: Annotated[AzureTarget | GoogleTarget, Field(discriminator="home")].
Target = AzureTarget

TARGET = TypeAdapter[Target](Target)
