"""Keys that the embedded AWS's STS has given out: a service asks here whose a key is, for which role, until when.

Signatures aren't verified anywhere here: the access key is what counts, and that the session's token is its own.
"""

from __future__ import annotations

import base64
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class GivenSession:
    """A role's keys; `policy` is the session policy that came with the request (JSON), which may only take away.

    `source` is whom the role was given to: a token's subject, or the caller's ARN.
    """

    role_arn: str
    session_name: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires: datetime
    policy: str | None = None
    source: str = ""

    @property
    def arn(self) -> str:
        """The caller's ARN, as GetCallerIdentity and messages of refusals name it."""
        return self.role_arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + f"/{self.session_name}"


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a session is asked for: the role, a name, its length in seconds."""

    role_arn: str
    session_name: str
    seconds: int
    policy: str | None = None
    source: str = ""


class GivenSessions:
    """All sessions of an embedded AWS; safe for threads. `clock` is what expiry is judged by."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, GivenSession] = {}

    def give(self, request: SessionRequest) -> GivenSession:
        """Keys of a new session, known from now on."""
        session = GivenSession(
            role_arn=request.role_arn,
            session_name=request.session_name,
            access_key="ASIA" + base64.b32encode(secrets.token_bytes(10)).decode("ascii"),
            secret_key=base64.b64encode(secrets.token_bytes(30)).decode("ascii"),
            session_token=base64.b64encode(secrets.token_bytes(400)).decode("ascii"),
            expires=self._clock() + timedelta(seconds=request.seconds),
            policy=request.policy,
            source=request.source,
        )
        with self._lock:
            self._sessions[session.access_key] = session
        return session

    def find(self, access_key: str) -> GivenSession | None:
        """Whose key it is, also one that has run out (see `is_good`); None for a key that nobody gave out."""
        with self._lock:
            return self._sessions.get(access_key)

    def is_good(self, session: GivenSession) -> bool:
        """Whether a session hasn't run out yet."""
        return self._clock() < session.expires

    @property
    def all(self) -> tuple[GivenSession, ...]:
        """Every session so far, in the order in which they were given."""
        with self._lock:
            return tuple(self._sessions.values())
