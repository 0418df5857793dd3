"""Identity tokens of the embedded clouds: JWTs signed by keys that live as long as the process."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM = "RS256"


@dataclass(frozen=True, slots=True)
class TokenSigner:
    """One issuer's key (RSA, 2048 bits) and its id, as a token's `kid` names it."""

    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), repr=False
    )
    key_id: str = field(default_factory=lambda: secrets.token_hex(20))

    def sign(self, claims: Mapping[str, object]) -> str:
        """A compact JWT of the claims."""
        return jwt.encode(dict(claims), self.key, algorithm=ALGORITHM, headers={"kid": self.key_id})

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """What a token of this issuer is verified with."""
        return self.key.public_key()
