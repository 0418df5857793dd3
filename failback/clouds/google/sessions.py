"""Keeps upload sessions and tokens out of errors and logs: who has a session's address may write to it."""

from __future__ import annotations

import logging
import re

_SESSION = re.compile(r"(?i)\bupload_id=[^&\s\"'<>)]+")
_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*|\bya29\.[\w.-]+")
"""A signed token of JSON (RFC 7515, section 7.1), or an access token of Google's."""
_LOGGERS = ("urllib3.connectionpool", "google.auth.transport.requests")


def without_secrets(text: str) -> str:
    """The text with every session and token blotted out."""
    return _TOKEN.sub("***", _SESSION.sub("upload_id=***", text))


class _Blotter(logging.Filter):
    """Lets every record pass, its texts without sessions and tokens."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(without_secrets(each) if isinstance(each, str) else each for each in record.args)
        return True


def blot_logs() -> None:
    """From now on no library logs such a thing; called again it changes nothing."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, _Blotter) for each in logger.filters):
            logger.addFilter(_Blotter())
