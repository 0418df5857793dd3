"""Block and page tokens of the EBS direct APIs: what they stand for and until when, sealed with the store's key.

Source of the life times: EBS user guide, EBS direct APIs' questions (block token seven days, page token 60 minutes).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BLOCK_TOKEN_LIFE = timedelta(days=7)
PAGE_TOKEN_LIFE = timedelta(minutes=60)
# 16 bytes keep a token under the model's 256 characters and still can't be guessed.
_SEAL = 16


class TicketOffice:
    """Gives out and takes tokens; its key lies in a file, so that tokens outlive a restart."""

    def __init__(self, key_file: Path) -> None:
        if not key_file.exists():
            key_file.write_bytes(secrets.token_bytes(32))
        self._key = key_file.read_bytes()

    def give(self, subject: str, expires: datetime) -> str:
        """A token for a subject, e.g. `block snap-1 7`."""
        text = f"{subject} {int(expires.timestamp())}".encode()
        return base64.b64encode(self._seal(text) + text).decode("ascii")

    def take(self, token: str, now: datetime) -> str | None:
        """The subject of a token; None for a foreign, damaged or expired one."""
        try:
            raw = base64.b64decode(token, validate=True)
        except binascii.Error:
            return None
        seal, text = raw[:_SEAL], raw[_SEAL:]
        if not hmac.compare_digest(seal, self._seal(text)):
            return None
        subject, _, expires = text.decode().rpartition(" ")
        return subject if now < datetime.fromtimestamp(int(expires), UTC) else None

    def _seal(self, text: bytes) -> bytes:
        return hmac.digest(self._key, text, hashlib.sha256)[:_SEAL]
