"""Whose a signed request is: the account behind an access key, in a header or in a presigned URL.

Signatures aren't verified; the scope is read only to know who calls and which service is meant.
Source: Signature Version 4, `Authorization: AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, ...`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment

ACCOUNT = "123456789012"
"""The account of every key that isn't listed, the same as moto's."""

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")


@dataclass(frozen=True, slots=True)
class Accounts:
    """Access keys of other accounts than the usual one."""

    default: str = ACCOUNT
    others: Mapping[str, str] = field(default_factory=dict)

    def caller(self, environ: WSGIEnvironment) -> str | None:
        """The calling account's twelve digits; None for an anonymous request."""
        key = access_key(environ)
        return None if key is None else self.others.get(key, self.default)


def access_key(environ: WSGIEnvironment) -> str | None:
    """The access key that a request is signed with; None for an anonymous one."""
    found = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    return found[1] if found else _presigned_key(environ)


def _presigned_key(environ: WSGIEnvironment) -> str | None:
    values = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential")
    return values[0].split("/", 1)[0] if values else None
