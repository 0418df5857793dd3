"""Keeps the signatures of shared access out of logs: urllib3 writes whole URLs there when it's asked for details."""

from __future__ import annotations

import logging
import re

_SIGNATURE = re.compile(r"(?i)\bsig=[^&\s\"'<>)]+")
_LOGGER = "urllib3.connectionpool"


def without_signature(text: str) -> str:
    """The text with every signature blotted out."""
    return _SIGNATURE.sub("sig=***", text)


class _Blotter(logging.Filter):
    """Lets every record pass, its texts without signatures."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(without_signature(each) if isinstance(each, str) else each for each in record.args)
        return True


def blot_logs() -> None:
    """From now on urllib3 logs no signature; called again it changes nothing."""
    logger = logging.getLogger(_LOGGER)
    if not any(isinstance(each, _Blotter) for each in logger.filters):
        logger.addFilter(_Blotter())
