"""How a target is signed in to: its workload identity pool takes an identity token of AWS, or a stored key is used.

Source: "Workload Identity Federation" (token exchange, RFC 8693), `google.auth.identity_pool`, "Service account keys".
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from failback.clouds.google.refusals import BUSY
from failback.errors import SignInRefused
from failback.model.target import WorkloadIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.auth.credentials import Credentials

    from failback.home_ports import WayIn
    from failback.model.target import GoogleTarget, StoredSecret

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""What may be done is decided by roles, not by scopes."""
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:jwt"
STS = "https://sts.googleapis.com/v1/token"
IAM = "https://iamcredentials.googleapis.com"


@dataclass(slots=True)
class Assertion:
    """Gives the token that the pool takes; what it says of its bearer is kept, it itself isn't."""

    way_in: WayIn
    audience: str
    claims: Mapping[str, str] = field(default_factory=dict)

    def get_subject_token(self, _context: object, _request: object) -> str:
        """What the SDK calls its supplier by."""
        token = self.way_in.token(self.audience)
        self.claims = _public_claims(token)
        return token


def sign_in(target: GoogleTarget, way_in: WayIn) -> tuple[Credentials, Assertion | None]:
    """What signs in, when it's first needed; with the assertion where there's one.

    Raises SignInRefused for a stored key that's none.
    """
    way = target.credential
    if not isinstance(way, WorkloadIdentity):
        return shared(_key(way, way_in)), None
    assertion = Assertion(way_in, way.audience)
    return shared(_federated(way, assertion, way_in.endpoints)), assertion


def _federated(way: WorkloadIdentity, assertion: Assertion, endpoints: Mapping[str, str]) -> Any:  # noqa: ANN401
    from google.auth import identity_pool

    iam = (endpoints.get("google_iam") or IAM).rstrip("/")
    account = f"{iam}/v1/projects/-/serviceAccounts/{way.service_account}:generateAccessToken"
    make: Any = identity_pool.Credentials
    return make(
        audience=f"//iam.googleapis.com/{way.provider}",
        subject_token_type=TOKEN_TYPE,
        token_url=endpoints.get("google_sts") or STS,
        subject_token_supplier=assertion,
        service_account_impersonation_url=account if way.service_account else None,
        scopes=list(SCOPES),
    )


def _key(way: StoredSecret, way_in: WayIn) -> Any:  # noqa: ANN401 - the SDK has no types
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2 import service_account

    make: Any = service_account.Credentials.from_service_account_info
    try:
        key = json.loads(way_in.secret(way.secret_arn))
        key["token_uri"] = way_in.endpoints.get("google_oauth") or key["token_uri"]
        return make(key, scopes=list(SCOPES))
    except (GoogleAuthError, ValueError, KeyError, TypeError):
        pass
    # Raised out here, it doesn't bring the other error along: that one may have the key in it.
    message = (
        f"The secret {way.secret_arn} isn't a service account's key. Put the whole JSON file there that Google gives "
        "for a new key of the account (type service_account, with client_email and private_key)."
    )
    raise SignInRefused(message)


def shared(inner: Any) -> Credentials:  # noqa: ANN401 - any of the SDK's credentials
    """The same credentials, for many threads: one of them signs in anew while the others wait.

    They're asked for tokens only. The SDK's own clients would look up a service account's regions besides, at the real
    Google wherever the endpoints are, and would sign requests with a stored key themselves.
    """
    from google.auth.credentials import Credentials
    from google.auth.exceptions import GoogleAuthError, RefreshError

    base: Any = Credentials
    failed: Any = RefreshError

    class _Shared(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._signing_in = Lock()

        def refresh(self, request: Any) -> None:  # noqa: ANN401 - as above
            heard = _Heard(request)
            with self._signing_in:
                if self.valid:
                    return
                try:
                    inner.refresh(heard)
                except GoogleAuthError as error:
                    if heard.status in BUSY:
                        raise failed(*error.args, retryable=True) from error
                    raise
                self.token, self.expiry = inner.token, inner.expiry

    made: Credentials = _Shared()
    return made


@dataclass(slots=True)
class _Heard:
    """A transport whose last answer's status is remembered: the SDK's errors don't say whether to ask again."""

    request: Any
    status: int = 0

    def __call__(self, *args: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the SDK asks for
        response = self.request(*args, **named)
        self.status = int(response.status)
        return response


def _public_claims(token: str) -> dict[str, str]:
    """Who a token is from, about and for (RFC 7519, section 4.1): what its reader has to be set up with."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return {name: str(claims[name]) for name in ("iss", "sub", "aud") if name in claims}
