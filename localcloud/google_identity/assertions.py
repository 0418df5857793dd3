"""Signed JWTs that others bring: whose they say they are, and whether a key signed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt

from localcloud.tokens import ALGORITHM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from localcloud.google_identity.refusal import Json

# Times and audiences are judged by the caller, who has the clock and Google's words for them.
_UNJUDGED: jwt.types.Options = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
}


def unverified(token: str) -> tuple[Json, Json] | None:
    """Header and claims as they are written; None for what isn't a JWT."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False, **_UNJUDGED})
        return jwt.get_unverified_header(token), claims
    except jwt.InvalidTokenError:
        return None


def verified(token: str, key: RSAPublicKey, *, require: Sequence[str]) -> Json | None:
    """The claims where the key signed them and none that's required is missing."""
    options: jwt.types.Options = {**_UNJUDGED, "require": list(require)}
    try:
        return jwt.decode(token, key, algorithms=[ALGORITHM], options=options)
    except jwt.InvalidTokenError:
        return None


def moment(claims: Json, name: str) -> float | None:
    """A claim that is a time, in seconds; None where it's missing or no number."""
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
