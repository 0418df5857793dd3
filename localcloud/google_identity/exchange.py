"""Google's Security Token Service: an outside identity's JWT for a federated access token.

Sources: RFC 8693; Google's STS reference v1 (method `token`, both spellings of its parameters); IAM documentation,
"Configure workload identity federation" (audiences, subject of at most 127 bytes, life of at most 24 hours).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcloud.google_identity.access_tokens import LONGEST
from localcloud.google_identity.assertions import moment, unverified, verified
from localcloud.google_identity.refusal import Json, refuse_token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from werkzeug import Request

    from localcloud.azure.clock import Clock
    from localcloud.google_identity.access_tokens import AccessTokens
    from localcloud.google_identity.settings import PoolProvider

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
SUBJECT_TYPES = ("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token")
LONGEST_SUBJECT = 127
"""Bytes of `google.subject`."""
LONGEST_ASSERTION_LIFE = 24 * 3600
"""Seconds between a subject token's iat and exp."""
SKEW = 300
"""Seconds that a subject token's clock may be away."""
_CAMEL = {
    "grantType": "grant_type",
    "audience": "audience",
    "scope": "scope",
    "requestedTokenType": "requested_token_type",
    "subjectToken": "subject_token",
    "subjectTokenType": "subject_token_type",
    "options": "options",
}
_NEEDED = ("grant_type", "audience", "scope", "requested_token_type", "subject_token", "subject_token_type")
_NO_TARGET = (
    'The target service indicated by the "audience" parameters is invalid. This might either be because the pool or '
    "provider is disabled or deleted or because it doesn't exist."
)


class TokenExchange:
    """Its one method."""

    def __init__(
        self,
        providers: Sequence[PoolProvider],
        issuers: Mapping[str, RSAPublicKey],
        *,
        tokens: AccessTokens,
        clock: Clock,
    ) -> None:
        self._providers = {each.resource: each for each in providers}
        self._issuers, self._tokens, self._clock = dict(issuers), tokens, clock

    def token(self, request: Request) -> Json:
        """A federated access token; raises OAuthRefusal."""
        fields = _fields(request)
        provider = self._providers.get(fields["audience"])
        if provider is None:
            refuse_token("invalid_target", _NO_TARGET)
        claims = self._claims(provider, fields["subject_token"])
        subject = str(claims["sub"])
        if not subject or len(subject.encode()) > LONGEST_SUBJECT:
            message = f"The size of mapped attribute google.subject exceeds the {LONGEST_SUBJECT} bytes limit."
            refuse_token("invalid_grant", message)
        token, _ = self._tokens.give(provider.principal(subject), fields["scope"].split())
        return {
            "access_token": token,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": LONGEST,
        }

    def _claims(self, provider: PoolProvider, token: str) -> Json:
        written = unverified(token)
        if written is None:
            refuse_token("invalid_request", "Unable to parse the ID Token.")
        issuer, key = written[1].get("iss"), self._issuers.get(provider.issuer)
        if issuer != provider.issuer or key is None:
            message = f"The issuer in ID Token {issuer} does not match the expected ones: {provider.issuer}"
            refuse_token("invalid_grant", message)
        claims = verified(token, key, require=("iss", "sub", "aud", "iat", "exp"))
        if claims is None:
            message = "Invalid JWT: its signature is not of the issuer's keys, or a claim is missing."
            refuse_token("invalid_grant", message)
        given = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if not set(given) & set(provider.accepted):
            message = f"The audience in ID Token {given} does not match the expected audience."
            refuse_token("invalid_grant", message)
        self._check_times(claims)
        return claims

    def _check_times(self, claims: Json) -> None:
        now, issued, expires = self._clock.now().timestamp(), moment(claims, "iat"), moment(claims, "exp")
        starts = moment(claims, "nbf") if "nbf" in claims else issued
        if issued is None or expires is None or starts is None:
            refuse_token("invalid_grant", "The times of the ID Token are no numbers.")
        if expires - issued > LONGEST_ASSERTION_LIFE:
            refuse_token("invalid_grant", "The ID Token's life is longer than 24 hours.")
        if now >= expires + SKEW:
            refuse_token("invalid_grant", f"ID Token issued at {issued:.0f} is stale to sign-in.")
        if max(issued, starts) > now + SKEW:
            refuse_token("invalid_grant", f"ID Token issued at {issued:.0f} is not good yet.")


def _fields(request: Request) -> dict[str, str]:
    """The parameters in OAuth's spelling, all that's needed among them."""
    given = _given(request)
    unknown = sorted(set(given) - set(_CAMEL.values()))
    if unknown:
        refuse_token("invalid_request", f"Unknown parameters: {', '.join(unknown)}.")
    for name in _NEEDED:
        if not isinstance(given.get(name), str) or not given[name]:
            refuse_token("invalid_request", f"Invalid value for '{name}': it must not be empty.")
    if given["grant_type"] != GRANT_TYPE:
        refuse_token("unsupported_grant_type", f"The grant type must be {GRANT_TYPE}.")
    if given["requested_token_type"] != ACCESS_TOKEN:
        refuse_token("invalid_request", f"The requested token type must be {ACCESS_TOKEN}.")
    if given["subject_token_type"] not in SUBJECT_TYPES:
        refuse_token("invalid_request", "The subject token type isn't one that an OIDC provider takes.")
    if given.get("options"):
        refuse_token("invalid_request", "Options of a token exchange aren't emulated.")
    return {name: str(given[name]) for name in _NEEDED}


def _given(request: Request) -> Json:
    if request.mimetype == "application/x-www-form-urlencoded":
        return request.form.to_dict()
    try:
        document = json.loads(request.get_data())
    except ValueError:
        document = None
    if not isinstance(document, dict):
        refuse_token("invalid_request", "The body is neither a form nor a JSON object.")
    return {_CAMEL.get(str(name), str(name)): value for name, value in document.items()}
