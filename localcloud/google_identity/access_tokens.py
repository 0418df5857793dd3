"""Access tokens: opaque words that only this process can tell the meaning of, until their time is over."""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from localcloud.azure.clock import Clock

LONGEST = 3600
"""Seconds that a token is good for: Google's default and, without an organisation's policy, the most."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Whose a token is, for what, until when."""

    principal: str
    scopes: frozenset[str]
    expires: datetime


class AccessTokens:
    """Those that have been given; only their digests are kept, so that none can be shown by mistake."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._given: dict[bytes, Meaning] = {}

    def give(self, principal: str, scopes: Collection[str], seconds: int = LONGEST) -> tuple[str, datetime]:
        """A new token and its end."""
        token = f"ya29.{secrets.token_urlsafe(96)}"
        meaning = Meaning(principal, frozenset(scopes), self._clock.now() + timedelta(seconds=seconds))
        with self._lock:
            self._forget_old()
            self._given[_digest(token)] = meaning
        return token, meaning.expires

    def meaning(self, token: str) -> Meaning | None:
        """None for one that was never given or whose time is over."""
        with self._lock:
            found = self._given.get(_digest(token))
        return found if found is not None and found.expires > self._clock.now() else None

    def _forget_old(self) -> None:
        now = self._clock.now()
        self._given = {digest: each for digest, each in self._given.items() if each.expires > now}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
