"""Shared access signatures of disks: given out by beginGetAccess, dead from endGetAccess or their expiry on.

The URL has the form of a managed disk's: an account `md-...`, a container, `abcd`, and an opaque signature.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from localcloud.azure.blob_content import Content
    from localcloud.azure.clock import Clock

Access = Literal["Read", "Write"]
# The version that real disk signatures state.
_VERSION = "2018-03-28"


@dataclass(slots=True)
class Grant:
    """One signature: what it opens, for what, and until when. `version` counts the writes, for the ETag."""

    owner: str
    content: Content
    access: Access
    expires: datetime
    path: str
    query: dict[str, str]
    revoked: bool = False
    version: int = 0
    changed: datetime | None = None
    _in_flight: int = 0
    _idle: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def in_use(self) -> Iterator[bool]:
        """For the length of a write: whether it may happen at all; revoking waits for those that may."""
        with self._idle:
            alive = not self.revoked
            self._in_flight += alive
        try:
            yield alive
        finally:
            with self._idle:
                self._in_flight -= alive
                self._idle.notify_all()

    def revoke(self) -> None:
        """From now on no write happens; those under way have ended when this returns."""
        with self._idle:
            self.revoked = True
            self._idle.wait_for(lambda: self._in_flight == 0)


class AccessDesk:
    """All signatures of one cloud."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._grants: dict[str, Grant] = {}
        self.base_url = ""

    def grant(self, owner: str, content: Content, access: Access, seconds: int) -> Grant:
        """A signature for `seconds` seconds. While one is good, asking again gives the same one, at least as long."""
        expires = self._clock.now() + timedelta(seconds=seconds)
        with self._lock:
            over = [each for each in self._grants.values() if each.access == "Read" and not self._in_time(each)]
            for each in over:
                del self._grants[each.path]
            old = next((each for each in self._grants.values() if self._is_active(each, owner)), None)
            if old and old.access == access:
                old.expires = max(old.expires, expires)
                return old
            path = f"/md-{secrets.token_hex(8)}/{secrets.token_hex(6)}/abcd"
            query = {"sv": _VERSION, "sr": "b", "si": str(uuid.uuid4()), "sig": secrets.token_urlsafe(32)}
            grant = self._grants[path] = Grant(owner, content, access, expires, path, query)
            return grant

    def url(self, grant: Grant) -> str:
        """Where the blob is served."""
        return f"{self.base_url}{grant.path}?{urlencode(grant.query)}"

    def active(self, owner: str) -> Grant | None:
        """The owner's signature that holds its state: a read one until it expires, a write one until it's revoked."""
        with self._lock:
            for each in self._grants.values():
                if each.owner == owner and not each.revoked and (each.access == "Write" or self._in_time(each)):
                    return each
        return None

    def count(self, owner: str) -> int:
        """How many signatures of the owner can be used."""
        with self._lock:
            return sum(self._is_active(each, owner) for each in self._grants.values())

    def revoke(self, owner: str) -> None:
        """End every signature of the owner, and wait for the writes under way."""
        with self._lock:
            ended = [each for each in self._grants.values() if each.owner == owner]
            for each in ended:
                del self._grants[each.path]
        for each in ended:
            each.revoke()

    def opened(self, path: str, query: dict[str, str]) -> Grant | None:
        """The grant that a request's path and signature open; None if there's none, or no longer."""
        with self._lock:
            grant = self._grants.get(path)
            if grant is None or not self._in_time(grant):
                return None
        shown = {name: query.get(name, "") for name in grant.query}
        fits = secrets.compare_digest(shown.pop("sig"), grant.query["sig"])
        return grant if fits and shown.items() <= grant.query.items() else None

    def touch(self, grant: Grant) -> None:
        """Note that the content has changed."""
        grant.version, grant.changed = grant.version + 1, self._clock.now()

    def _in_time(self, grant: Grant) -> bool:
        return self._clock.now() < grant.expires

    def _is_active(self, grant: Grant, owner: str) -> bool:
        return grant.owner == owner and not grant.revoked and self._in_time(grant)
