"""Service accounts that prove themselves by a JSON key: the JWT bearer grant, and JWTs that are tokens themselves.

Sources: RFC 7523; Google's "Using OAuth 2.0 for server to server applications" (claims, one hour at most, errors) and
AIP-4111 (self-signed JWTs).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localcloud.google_identity.access_tokens import LONGEST
from localcloud.google_identity.assertions import moment, unverified, verified
from localcloud.google_identity.refusal import Json, OAuthRefusal, refuse_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from werkzeug import Request

    from localcloud.azure.clock import Clock
    from localcloud.google_identity.access_tokens import AccessTokens
    from localcloud.google_identity.settings import ServiceAccount

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCES = ("https://oauth2.googleapis.com/token", "https://www.googleapis.com/oauth2/v4/token")
_API = re.compile(r"https://[a-z]+\.googleapis\.com/")
SKEW = 300
"""Seconds that a key's owner's clock may be away."""
_TIMES = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp "
    "values in the JWT claim."
)


class AccountKeys:
    """The keys of all accounts."""

    def __init__(self, accounts: Sequence[ServiceAccount], *, tokens: AccessTokens, clock: Clock) -> None:
        self._accounts = {each.email: each for each in accounts}
        self._tokens, self._clock = tokens, clock

    def token(self, request: Request) -> Json:
        """The OAuth 2.0 token endpoint; raises OAuthRefusal."""
        form = request.form.to_dict()
        unknown = sorted(set(form) - {"grant_type", "assertion"})
        if unknown:
            refuse_token("invalid_request", f"Unknown parameters: {', '.join(unknown)}.")
        if form.get("grant_type") != GRANT_TYPE:
            refuse_token("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
        account, claims = self._claims(form.get("assertion", ""))
        if claims.get("aud") not in (*AUDIENCES, request.base_url):
            refuse_token("invalid_grant", "Invalid JWT: its audience isn't this endpoint.")
        if claims.get("sub", account.email) != account.email:
            message = "Client is unauthorized to retrieve access tokens using this method: domain-wide delegation"
            refuse_token("unauthorized_client", message, status=401)
        scopes = str(claims.get("scope", "")).split()
        if not scopes:
            refuse_token("invalid_scope", "Empty or missing scope not allowed.")
        token, _ = self._tokens.give(account.principal, scopes)
        return {"access_token": token, "expires_in": LONGEST, "token_type": "Bearer"}

    def self_signed(self, token: str) -> tuple[str, frozenset[str]] | None:
        """Principal and scopes of a JWT that is its own access token; None for any other word.

        One that names an API as its audience has no scopes: it reaches that API.
        """
        try:
            account, claims = self._claims(token)
        except OAuthRefusal:
            return None
        if claims.get("sub") != account.email:
            return None
        if "aud" in claims and not ("scope" in claims or _API.fullmatch(str(claims["aud"]))):
            return None
        return account.principal, frozenset(str(claims.get("scope", "")).split())

    def _claims(self, assertion: str) -> tuple[ServiceAccount, Json]:
        written = unverified(assertion)
        if written is None:
            refuse_token("invalid_grant", "Bad Request: the assertion is no JWT.")
        header, claims = written
        account = self._accounts.get(str(claims.get("iss")))
        if account is None:
            refuse_token("invalid_grant", "Invalid grant: account not found")
        key = account.keys.get(str(header.get("kid")))
        good = verified(assertion, key, require=("iss", "iat", "exp")) if key is not None else None
        if good is None:
            refuse_token("invalid_grant", "Invalid JWT Signature.")
        self._check_times(good)
        return account, good

    def _check_times(self, claims: Json) -> None:
        now, issued, expires = self._clock.now().timestamp(), moment(claims, "iat"), moment(claims, "exp")
        if issued is None or expires is None or expires - issued > LONGEST:
            refuse_token("invalid_grant", _TIMES)
        if issued > now + SKEW or expires <= now - SKEW:
            refuse_token("invalid_grant", _TIMES)
