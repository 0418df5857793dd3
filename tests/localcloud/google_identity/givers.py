"""An embedded Google identity that trusts one AWS role, and credentials of the real SDK against it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from google.auth import identity_pool
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from localcloud.google_identity.settings import Grant, IdentitySettings, PoolProvider, ServiceAccount
from localcloud.tokens import TokenSigner

if TYPE_CHECKING:
    from localcloud.google_identity.service import IdentityEndpoints

# google.auth's constructors have no types of their own.
Sdk = Any
_POOL: Sdk = identity_pool.Credentials
_KEY: Sdk = service_account.Credentials
_REQUEST: Sdk = Request

ISSUER = "https://aws.test/issuer"
ROLE = "arn:aws:iam::123456789012:role/stage"
PROVIDER = "projects/4711/locations/global/workloadIdentityPools/aws/providers/failback"
POOL = PoolProvider(PROVIDER, ISSUER)
AUDIENCE = f"https://iam.googleapis.com/{PROVIDER}"
EMAIL, OTHER_EMAIL = "failback@home.iam.gserviceaccount.com", "other@home.iam.gserviceaccount.com"
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
AWS, KEY = TokenSigner(), TokenSigner()
ACCOUNT = ServiceAccount(EMAIL, "108000000000000000001", {KEY.key_id: KEY.public_key})
OTHER = ServiceAccount(OTHER_EMAIL, "108000000000000000002")
USER = Grant(POOL.principal(ROLE), "roles/iam.workloadIdentityUser", ACCOUNT.resource)
SETTINGS = IdentitySettings(
    providers=(POOL,),
    issuers={ISSUER: AWS.public_key},
    accounts=(ACCOUNT, OTHER),
    grants=(USER, Grant(ACCOUNT.principal, "roles/storage.admin", "projects/home")),
)


def aws_token(*, signer: TokenSigner = AWS, **changes: Sdk) -> str:
    """A token as AWS would give it to the stage."""
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": ROLE, "aud": AUDIENCE, "iat": now, "exp": now + 300}
    return signer.sign(claims | changes)


@dataclass
class Supplier(identity_pool.SubjectTokenSupplier):
    """Hands out one token."""

    token: str

    def get_subject_token(self, context: object, request: object) -> str:
        """The token."""
        return self.token


def pool_credentials(
    at: IdentityEndpoints, token: str, *, account: str | None = EMAIL, provider: str = PROVIDER
) -> Sdk:
    """The SDK's credentials of a workload; with an account, as that account."""
    impersonation = f"{at.iam}/v1/projects/-/serviceAccounts/{account}:generateAccessToken" if account else None
    return _POOL(
        audience=f"//iam.googleapis.com/{provider}",
        subject_token_type="urn:ietf:params:oauth:token-type:jwt",
        token_url=at.sts,
        subject_token_supplier=Supplier(token),
        service_account_impersonation_url=impersonation,
        scopes=[CLOUD_PLATFORM],
    )


def key_credentials(at: IdentityEndpoints, signer: TokenSigner = KEY, email: str = EMAIL) -> Sdk:
    """The SDK's credentials of a service account's JSON key."""
    pem = signer.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    document = {
        "type": "service_account", "client_email": email, "private_key_id": signer.key_id,
        "private_key": pem.decode(), "token_uri": at.oauth,
    }  # fmt: skip
    return _KEY.from_service_account_info(document, scopes=[CLOUD_PLATFORM])


def token_of(credentials: Sdk) -> str:
    """The access token that the SDK gets."""
    credentials.refresh(_REQUEST())
    return str(credentials.token)
