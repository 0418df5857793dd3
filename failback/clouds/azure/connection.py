"""The way into Azure: a target's clients, signed in by an identity token of AWS or by a stored secret."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from failback.clouds.azure import refusals
from failback.clouds.azure.belongings import AzureBelongings
from failback.clouds.azure.images import MIB, AzureImages, Slice
from failback.clouds.azure.machines import AzureMachines
from failback.clouds.azure.place import AzurePlace
from failback.clouds.azure.signatures import blot_logs
from failback.clouds.azure.signs import AzureSigns
from failback.clouds.azure.takeovers import AzureTakeovers
from failback.model.target import StoredSecret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.credentials import TokenCredential

    from failback.errors import FailbackError
    from failback.home_ports import WayIn
    from failback.model.target import AzureTarget

SCOPE = "https://management.azure.com/.default"
"""What tokens are for, also where ARM is served elsewhere."""

RETRIES, BACKOFF = 5, 0.8
"""Waits of 0, 1.6, 3.2, 6.4 and 12.8 s, or what the service asks for: longer than most of ARM's throttling."""
CONNECT_SECONDS, ANSWER_SECONDS = 10, 60
POLL_SECONDS = 2
"""Between two looks at an operation that doesn't say itself when to look; the SDK's own 30 s is a slice's half."""


@dataclass(slots=True)
class Assertion:
    """Gives the token that Entra ID takes for the client's own; what it says of its bearer is kept, it itself isn't."""

    way_in: WayIn
    audience: str
    claims: Mapping[str, str] = field(default_factory=dict)

    def __call__(self) -> str:
        token = self.way_in.token(self.audience)
        self.claims = _public_claims(token)
        return token


@dataclass(frozen=True, slots=True)
class AzureHome:
    """A Home."""

    place: AzurePlace
    images: AzureImages
    machines: AzureMachines
    takeovers: AzureTakeovers
    signs: AzureSigns
    belongings: AzureBelongings
    assertion: Assertion | None

    @property
    def foreign(self) -> tuple[type[Exception], ...]:
        return refusals.foreign()

    def translate(self, error: Exception) -> FailbackError:
        return refusals.translate(error, self.place.target, self.assertion.claims if self.assertion else {})


def connect(target: AzureTarget, way_in: WayIn) -> AzureHome:
    """Everything of one target; nothing is signed in to before the first call needs it."""
    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.network import NetworkManagementClient

    blot_logs()
    credential, assertion = _credential(target, way_in)
    settings: dict[str, Any] = {
        "credential": credential,
        "subscription_id": target.subscription_id,
        "base_url": way_in.endpoints.get("arm") or None,
        "credential_scopes": [SCOPE],
        "retry_total": RETRIES,
        "retry_status": RETRIES,
        "retry_backoff_factor": BACKOFF,
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": ANSWER_SECONDS,
        "polling_interval": POLL_SECONDS,
    }
    place = AzurePlace(target, ComputeManagementClient(**settings), NetworkManagementClient(**settings))
    images = AzureImages(place, way_in.clock, Slice(size=way_in.slice_mib * MIB) if way_in.slice_mib else Slice())
    return AzureHome(
        place=place,
        images=images,
        machines=AzureMachines(place),
        takeovers=AzureTakeovers(place),
        signs=AzureSigns(place),
        belongings=AzureBelongings(place),
        assertion=assertion,
    )


def _credential(target: AzureTarget, way_in: WayIn) -> tuple[TokenCredential, Assertion | None]:
    """What signs in at Entra ID, or at an authority of its own, which then isn't looked up in Entra's directory."""
    from azure.identity import ClientAssertionCredential, ClientSecretCredential

    authority = way_in.endpoints.get("authority") or ""
    options: dict[str, Any] = {"authority": authority, "disable_instance_discovery": True} if authority else {}
    way = target.credential
    if isinstance(way, StoredSecret):
        secret = way_in.secret(way.secret_arn).strip()
        return ClientSecretCredential(target.tenant_id, target.client_id, secret, **options), None
    assertion = Assertion(way_in, way.audience)
    return ClientAssertionCredential(target.tenant_id, target.client_id, assertion, **options), assertion


def _public_claims(token: str) -> dict[str, str]:
    """Who a token is from, about and for (RFC 7519, section 4.1): what its reader has to be set up with."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return {name: str(claims[name]) for name in ("iss", "sub", "aud") if name in claims}
