"""Which role a function works as: each function has an access key of its own, and a service can ask whose it is.

Lambda assumes the function's role for it; the key stands for that session. Signatures aren't verified anywhere here, so
the key is all that counts.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from dataclasses import dataclass

NO_ROLE_KEY = "ASIAIOSFODNN7EXAMPLE"
"""The key of a function that has no role."""


@dataclass(frozen=True, slots=True)
class RoleSession:
    """Whose a key is: ARNs of the role and of the function."""

    role: str
    function: str


class RoleSessions:
    """All keys that were given out; they never end, and are the same in every worker of a function."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, RoleSession] = {}

    def open(self, *, role: str, function: str) -> str:
        """The access key of a function that works as the role."""
        if not role:
            return NO_ROLE_KEY
        digest = hashlib.sha256(f"{role}\n{function}".encode()).digest()
        key = "ASIA" + base64.b32encode(digest[:10]).decode("ascii")
        with self._lock:
            self._sessions[key] = RoleSession(role, function)
        return key

    def find(self, access_key: str) -> RoleSession | None:
        """Whose key it is; None for one that no function has."""
        return self._sessions.get(access_key)
