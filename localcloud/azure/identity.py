"""Entra ID as far as workload identity uses it: discovery and the token endpoint with a client assertion.

Sources: OpenID Connect Discovery 1.0; RFC 7523 section 2.2; Microsoft identity platform, "Get a token with a federated
credential" and the AADSTS error codes.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import jwt
from werkzeug import Request, Response

from localcloud.azure.refusals import ArmRefusal, Json
from localcloud.tokens import ALGORITHM, TokenSigner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from localcloud.azure.clock import Clock

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
# What Entra gives by default: from 60 to 90 minutes; the shortest.
TOKEN_SECONDS = 3600
# How far an assertion's clock may be away, as Entra allows it.
SKEW = timedelta(minutes=5)
_FIELDS = {"client_id", "client_assertion", "client_assertion_type", "grant_type", "scope", "client_info"}
_MSAL_FIELD = "claims"


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """Whose tokens an application takes for its own: one issuer's, for one subject and audience."""

    client_id: str
    issuer: str
    subject: str
    audience: str = "api://AzureADTokenExchange"


class EntraRefusal(Exception):
    """Ends a token request with an OAuth error whose description begins with an AADSTS code."""

    def __init__(self, status: int, error: str, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.error, self.code, self.message = status, error, code, message


class EntraTenant:
    """One tenant: its applications' federated credentials, and the keys of the issuers that they trust."""

    def __init__(
        self,
        tenant: str,
        *,
        clock: Clock,
        credentials: Sequence[FederatedCredential],
        issuers: Mapping[str, RSAPublicKey],
        audiences: Sequence[str] = ARM_AUDIENCES,
        signer: TokenSigner | None = None,
    ) -> None:
        self.tenant = tenant
        self._clock, self._credentials, self._issuers = clock, tuple(credentials), dict(issuers)
        self._audiences, self._signer = tuple(audiences), signer or TokenSigner()

    def trust(self, credential: FederatedCredential) -> None:
        """Let an application take one more subject's tokens for its own."""
        if credential not in self._credentials:
            self._credentials = (*self._credentials, credential)

    def answer(self, request: Request) -> Response | None:
        """The answer to a request for one of this service's paths; None for any other path."""
        tenant, _, path = request.path.lstrip("/").partition("/")
        if path not in {"v2.0/.well-known/openid-configuration", "oauth2/v2.0/token"}:
            return None
        try:
            if tenant != self.tenant:
                raise EntraRefusal(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
            if path.endswith("openid-configuration"):
                return _json(200, self._discovery(request.host_url.rstrip("/")))
            return _json(200, self._token(request))
        except EntraRefusal as refusal:
            return _json(refusal.status, self._error(refusal))

    def check_bearer(self, request: Request) -> str:
        """The object id that the request's bearer token was given to; refuses as ARM does, with 401."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ArmRefusal(
                401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        claims = self._verified(token, self._signer.public_key)
        if claims is None:
            raise ArmRefusal(
                401, "InvalidAuthenticationToken", "The access token is invalid: its signature isn't this tenant's."
            )
        if str(claims["aud"]).rstrip("/") not in ARM_AUDIENCES:
            message = f"The access token has been obtained for wrong audience or resource '{claims['aud']}'."
            raise ArmRefusal(401, "InvalidAuthenticationTokenAudience", message)
        if claims["exp"] <= self._clock.now().timestamp():
            raise ArmRefusal(401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than now.")
        return str(claims["oid"])

    def give_token(self, client_id: str, audience: str = ARM_AUDIENCES[0]) -> str:
        """A bearer token of an application, whoever asks for it: for callers within this process."""
        now = int(self._clock.now().timestamp())
        claims = {"aud": audience, "iss": f"https://sts.windows.net/{self.tenant}/", "iat": now, "nbf": now}
        claims |= {"exp": now + TOKEN_SECONDS, "appid": client_id, "oid": client_id}
        return self._signer.sign(claims | {"tid": self.tenant, "jti": secrets.token_hex(8)})

    def _discovery(self, base: str) -> Json:
        root = f"{base}/{self.tenant}"
        return {
            "issuer": f"{root}/v2.0",
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        }

    def _token(self, request: Request) -> Json:
        form = self._checked_form(request)
        self._check_assertion(form)
        scope = form["scope"]
        audience = scope.removesuffix("/.default")
        if audience == scope or audience.rstrip("/") not in self._audiences:
            raise EntraRefusal(400, "invalid_scope", 70011, f"The provided value for scope {scope} is not valid.")
        token = self.give_token(form["client_id"], audience)
        return {"token_type": "Bearer", "expires_in": TOKEN_SECONDS, "ext_expires_in": TOKEN_SECONDS,
                "access_token": token}  # fmt: skip

    def _checked_form(self, request: Request) -> dict[str, str]:
        if request.method != "POST":
            raise EntraRefusal(405, "invalid_request", 900561, "The endpoint only accepts POST requests.")
        form = request.form.to_dict()
        unknown = set(form) - _FIELDS - {_MSAL_FIELD}
        if unknown:
            raise EntraRefusal(400, "invalid_request", 900144, f"Unknown parameters: {', '.join(sorted(unknown))}.")
        if form.get("grant_type") != "client_credentials":
            raise EntraRefusal(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        for name in ("client_id", "scope", "client_assertion_type", "client_assertion"):
            if not form.get(name):
                message = f"The request body must contain the following parameter: '{name}'."
                raise EntraRefusal(400, "invalid_request", 900144, message)
        if form["client_assertion_type"] != ASSERTION_TYPE:
            raise EntraRefusal(401, "invalid_client", 700025, "The client assertion's type isn't jwt-bearer.")
        return form

    def _check_assertion(self, form: Mapping[str, str]) -> None:
        known = [each for each in self._credentials if each.client_id == form["client_id"]]
        if not known:
            message = f"Application with identifier '{form['client_id']}' was not found in the directory."
            raise EntraRefusal(400, "unauthorized_client", 700016, message)
        claims = self._assertion_claims(form["client_assertion"])
        for code, claim in ((700211, "issuer"), (700213, "subject"), (700212, "audience")):
            value = claims[{"issuer": "iss", "subject": "sub", "audience": "aud"}[claim]]
            known = [each for each in known if getattr(each, claim) == value]
            if not known:
                message = f"No matching federated identity record found for presented assertion {claim} '{value}'."
                raise EntraRefusal(401, "invalid_client", code, message)
        now = self._clock.now()
        starts = datetime.fromtimestamp(claims["nbf"] if "nbf" in claims else claims["iat"], UTC)
        if now + SKEW < starts or now - SKEW >= datetime.fromtimestamp(claims["exp"], UTC):
            raise EntraRefusal(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")

    def _assertion_claims(self, assertion: str) -> Json:
        try:
            issuer = str(jwt.decode(assertion, options={"verify_signature": False}).get("iss"))
        except jwt.InvalidTokenError as error:
            raise EntraRefusal(401, "invalid_client", 50027, "JWT token is invalid or malformed.") from error
        key = self._issuers.get(issuer)
        if key is None:
            message = f"No matching federated identity record found for presented assertion issuer '{issuer}'."
            raise EntraRefusal(401, "invalid_client", 700211, message)
        claims = self._verified(assertion, key)
        if claims is None:
            raise EntraRefusal(401, "invalid_client", 700027, "Client assertion failed signature validation.")
        return claims

    @staticmethod
    def _verified(token: str, key: RSAPublicKey) -> Json | None:
        """The claims if the key signed them; times are the caller's business, who has the clock."""
        options: jwt.types.Options = {
            "require": ["exp", "iat", "iss", "aud"], "verify_exp": False, "verify_iat": False, "verify_nbf": False,
            "verify_aud": False,
        }  # fmt: skip
        try:
            return jwt.decode(token, key, algorithms=[ALGORITHM], options=options)
        except jwt.InvalidTokenError:
            return None

    def _error(self, refusal: EntraRefusal) -> Json:
        ids = {"trace_id": secrets.token_hex(16), "correlation_id": secrets.token_hex(16)}
        time = self._clock.now().strftime("%Y-%m-%d %H:%M:%SZ")
        text = f"AADSTS{refusal.code}: {refusal.message} Trace ID: {ids['trace_id']} Timestamp: {time}"
        return {
            "error": refusal.error,
            "error_description": text,
            "error_codes": [refusal.code],
            "timestamp": time,
        } | ids


def _json(status: int, body: Json) -> Response:
    return Response(json.dumps(body), status=status, content_type="application/json")
