"""Which access keys are good: those that this embedded AWS gave out and that haven't run out.

Signatures aren't verified anywhere here; key and session token are all that counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from localcloud.accounts import ACCOUNT

if TYPE_CHECKING:
    from localcloud.lambda_runner.role_sessions import RoleSessions
    from localcloud.sts_sessions import GivenSessions


@dataclass(frozen=True, slots=True)
class GivenKey:
    """A key as it was given out; None is a session without a token, or one that doesn't end."""

    session_token: str | None
    expires: datetime | None


KeySource = Callable[[str], GivenKey | None]
"""What it knows of an access key."""


class KeyBook:
    """All sources of keys; further ones may be added while it's used."""

    def __init__(self, clock: Callable[[], datetime], *sources: KeySource) -> None:
        self._clock, self._sources = clock, list(sources)

    def add(self, source: KeySource) -> None:
        """Trust another one who gives out keys."""
        self._sources.append(source)

    def is_good(self, access_key: str, session_token: str | None) -> bool:
        """Whether someone gave it out with that token, for longer than until now."""
        found = next((given for source in self._sources if (given := source(access_key)) is not None), None)
        if found is None or found.session_token not in (None, session_token):
            return False
        return found.expires is None or self._clock() < found.expires


def keys_of_moto(access_key: str) -> GivenKey | None:
    """Roles' sessions and users' keys of moto's STS and IAM."""
    from moto.iam.models import iam_backends
    from moto.sts.models import sts_backends

    for role in sts_backends[ACCOUNT]["aws"].assumed_roles:
        if role.access_key_id == access_key:
            return GivenKey(role.session_token, role.expiration.replace(tzinfo=UTC))
    iam = iam_backends[ACCOUNT]["aws"]
    users = (key.access_key_id for user in iam.users.values() for key in user.access_keys)
    return GivenKey(None, None) if access_key in users else None


def keys_of_functions(sessions: RoleSessions) -> KeySource:
    """Functions' keys, which never end."""
    return lambda access_key: GivenKey(None, None) if sessions.find(access_key) else None


def keys_of_sessions(sessions: GivenSessions) -> KeySource:
    """Sessions of roles."""

    def find(access_key: str) -> GivenKey | None:
        found = sessions.find(access_key)
        return GivenKey(found.session_token, found.expires) if found else None

    return find
