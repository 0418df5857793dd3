"""What an embedded Google Cloud knows about identities from the start: providers, accounts, and who may do what."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

ROLES: Mapping[str, tuple[str, ...]] = {
    "roles/owner": ("*",),
    "roles/compute.admin": ("compute.*",),
    "roles/compute.instanceAdmin.v1": ("compute.[!n]*", "compute.networks.get", "compute.networks.use*"),
    "roles/compute.viewer": ("compute.*.get", "compute.*.list"),
    "roles/iam.serviceAccountTokenCreator": ("iam.serviceAccounts.getAccessToken",),
    "roles/iam.serviceAccountUser": ("iam.serviceAccounts.actAs",),
    "roles/iam.workloadIdentityUser": ("iam.serviceAccounts.getAccessToken",),
    "roles/storage.admin": ("storage.*",),
    "roles/storage.objectAdmin": ("storage.objects.*", "storage.multipartUploads.*"),
    "roles/storage.objectCreator": (
        "storage.objects.create", "storage.multipartUploads.abort", "storage.multipartUploads.create",
    ),
    "roles/storage.objectUser": ("storage.objects.*", "storage.multipartUploads.*"),
    "roles/storage.objectViewer": ("storage.objects.get", "storage.objects.list"),
    "roles/storage.legacyBucketReader": ("storage.buckets.get", "storage.objects.list"),
    "roles/storage.legacyBucketWriter": (
        "storage.buckets.get", "storage.objects.create", "storage.objects.delete", "storage.objects.list",
        "storage.multipartUploads.*",
    ),
}  # fmt: skip
"""The permissions, as patterns, of Google's roles, as far as the embedded services ask for them."""


@dataclass(frozen=True, slots=True)
class PoolProvider:
    """An OIDC provider of a workload identity pool that maps `google.subject` to the token's `sub`.

    `name` is `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`. Without `audiences` it
    takes its own full name, with or without `https:`, as Google's default is.
    """

    name: str
    issuer: str
    audiences: tuple[str, ...] = ()

    @property
    def accepted(self) -> tuple[str, ...]:
        """The audiences that it takes in a subject token."""
        return self.audiences or (f"https:{self.resource}", self.resource)

    @property
    def resource(self) -> str:
        """Its full resource name, which a token exchange is asked for."""
        return f"//iam.googleapis.com/{self.name}"

    def principal(self, subject: str) -> str:
        """The name of a subject in policies."""
        pool = self.name.partition("/providers/")[0]
        return f"principal://iam.googleapis.com/{pool}/subject/{subject}"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A service account; `keys` are the public halves of its JSON keys by their private_key_id."""

    email: str
    unique_id: str
    keys: Mapping[str, RSAPublicKey] = field(default_factory=dict)

    @property
    def principal(self) -> str:
        """Its name in policies."""
        return f"serviceAccount:{self.email}"

    @property
    def resource(self) -> str:
        """Its name as what others may use."""
        return f"projects/-/serviceAccounts/{self.email}"


@dataclass(frozen=True, slots=True)
class Grant:
    """A role for a member on a resource: `projects/ID`, `projects/_/buckets/NAME`, an account's `resource`."""

    member: str
    role: str
    resource: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            message = f"{self.role} isn't one of the roles that the embedded Google Cloud knows"
            raise ValueError(message)

    def gives(self, permission: str) -> bool:
        """Whether the role holds the permission."""
        return any(fnmatchcase(permission, pattern) for pattern in ROLES[self.role])


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """All of it; `issuers` are the keys with which the providers' issuers sign."""

    providers: tuple[PoolProvider, ...] = ()
    issuers: Mapping[str, RSAPublicKey] = field(default_factory=dict)
    accounts: tuple[ServiceAccount, ...] = ()
    grants: tuple[Grant, ...] = ()
