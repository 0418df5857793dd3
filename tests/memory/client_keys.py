"""A mint in memory, of keys that look like those of STS."""

from __future__ import annotations

import re

from pydantic import SecretStr

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+")
_SESSION = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
_INSTANCE = re.compile(r"arn:aws[a-z-]*:drs:[a-z0-9-]+:[0-9]{12}:recovery-instance/i-[0-9a-fA-F]{8,}")


class MemoryMint:
    """A KeyMint; `minted` holds each wish: role, session, recovery instance."""

    def __init__(self) -> None:
        self.minted: list[tuple[str, str, str]] = []

    def mint(self, role: str, *, session: str, instance_arn: str) -> tuple[SecretStr, SecretStr, SecretStr]:
        assert _ROLE.fullmatch(role), role
        assert _SESSION.fullmatch(session), session
        assert _INSTANCE.fullmatch(instance_arn), instance_arn
        self.minted.append((role, session, instance_arn))
        number = len(self.minted)
        return SecretStr(f"ASIA{number:016}"), SecretStr(f"secret/{number:033}"), SecretStr(f"token+{number:058}==")
