"""IAM Service Account Credentials: an access token of a service account for whoever may act as it.

Source: the reference of iamcredentials v1, method projects.serviceAccounts.generateAccessToken.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NoReturn

from localcloud.google_identity.access_tokens import LONGEST
from localcloud.google_identity.gate import bearer_token
from localcloud.google_identity.refusal import ApiRefusal, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from werkzeug import Request

    from localcloud.google_identity.access_tokens import AccessTokens
    from localcloud.google_identity.gate import Gate
    from localcloud.google_identity.settings import ServiceAccount

PATH = re.compile(r"/v1/projects/-/serviceAccounts/(?P<account>[^/:]+):(?P<method>[A-Za-z]+)")
PERMISSION = "iam.serviceAccounts.getAccessToken"
_IAM_SCOPE = "https://www.googleapis.com/auth/iam"
_FIELDS = frozenset({"delegates", "scope", "lifetime"})
_DURATION = re.compile(r"([0-9]{1,6})s")


class Impersonation:
    """Its one emulated method."""

    def __init__(self, accounts: Sequence[ServiceAccount], *, tokens: AccessTokens, gate: Gate) -> None:
        self._accounts = {name: each for each in accounts for name in (each.email, each.unique_id)}
        self._tokens, self._gate = tokens, gate

    def generate(self, account_name: str, request: Request) -> Json:
        """An access token of the account; raises ApiRefusal."""
        caller = self._gate.verify(bearer_token(request.headers.get("Authorization")), (_IAM_SCOPE,))
        account = self._accounts.get(account_name)
        if account is None or not self._gate.allows(caller, PERMISSION, account.resource):
            message = f"Permission '{PERMISSION}' denied on resource (or it may not exist)."
            raise ApiRefusal(403, "forbidden", message)
        scopes, seconds = _wanted(request.get_data())
        token, expires = self._tokens.give(account.principal, scopes, seconds)
        return {"accessToken": token, "expireTime": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}


def _wanted(data: bytes) -> tuple[list[str], int]:
    """The scopes, and the seconds that the token shall last."""
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        _refuse("Invalid JSON payload received.")
    for name in sorted(set(document) - _FIELDS):
        _refuse(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    if document.get("delegates"):
        _refuse("Chains of delegates aren't emulated.")
    scopes = document.get("scope")
    if not isinstance(scopes, list) or not scopes or not all(isinstance(each, str) and each for each in scopes):
        _refuse("Request must include at least one scope.")
    lifetime = _DURATION.fullmatch(str(document.get("lifetime", f"{LONGEST}s")))
    if lifetime is None or not 0 < int(lifetime[1]) <= LONGEST:
        _refuse(f"The requested lifetime isn't a duration of at most {LONGEST} seconds.")
    return scopes, int(lifetime[1])


def _refuse(message: str) -> NoReturn:
    raise ApiRefusal(400, "badRequest", message)
