"""Who may what: each method's permissions, those of the service account that an instance gets, and of a bucket.

Source: cloud.google.com, "Compute Engine IAM roles and permissions", and "IAM Permissions" of each method.

Unconfirmed: the words of the refusals for service accounts and buckets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localcloud.google.refusals import GoogleRefusal
from localcloud.google_identity.gate import bearer_token
from localcloud.google_identity.refusal import ApiRefusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from localcloud.google.front import Target
    from localcloud.google_identity.gate import Gate

_SCOPES = ("https://www.googleapis.com/auth/compute",)
_READING = (*_SCOPES, "https://www.googleapis.com/auth/compute.readonly")
# Where the last word of a permission isn't the method's name, and what a method needs besides its own.
_WORDS = {"insert": "create", "wait": "get"}
_BESIDES = {
    "instances.insert": ("compute.disks.use", "compute.subnetworks.use"),
    "instances.attachDisk": ("compute.disks.use",),
    "disks.createSnapshot": ("compute.snapshots.create",),
    "snapshots.insert": ("compute.disks.createSnapshot",),
}
_OPERATIONS = {"zones": "zoneOperations", "regions": "regionOperations", "global": "globalOperations"}


class OpenGate:
    """A gate that only asks whose a token is (`verify` gives None for nobody's): everybody may do everything."""

    def __init__(self, verify: Callable[[str], str | None]) -> None:
        self._verify = verify

    def verify(self, access_token: str, scopes: Collection[str] = ()) -> str:
        """See Gate."""
        principal = self._verify(access_token)
        if principal is None:
            raise ApiRefusal(401, "authError", "Invalid Credentials")
        return principal

    def allows(self, principal: str, permission: str, *resources: str) -> bool:
        """See Gate."""
        return True


class Door:
    """Asks the gate about each request."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def principal(self, authorization: str | None, *, reads: bool) -> str:
        """Who asks; refuses nobody, and a token that isn't good."""
        token = bearer_token(authorization)
        if not token:
            raise GoogleRefusal(401, "required", "Login Required.")
        try:
            return self._gate.verify(token, _READING if reads else _SCOPES)
        except ApiRefusal as refusal:
            raise GoogleRefusal(refusal.status, refusal.reason, refusal.message) from refusal

    def check(self, principal: str, target: Target) -> None:
        """Refuse a caller that lacks a permission of the method."""
        for permission in permissions(target):
            if not self._gate.allows(principal, permission, f"projects/{target.id.project}"):
                raise GoogleRefusal(403, "forbidden", f"Required '{permission}' permission for '{target.id}'")

    def check_body(self, principal: str, target: Target, body: object) -> None:
        """Refuse a service account that the caller may not act as, and an archive that it may not read."""
        project = f"projects/{target.id.project}"
        for email in _accounts(target, body):
            if not self._gate.allows(
                principal, "iam.serviceAccounts.actAs", f"projects/-/serviceAccounts/{email}", project
            ):
                message = f"The user does not have access to service account '{email}'. User: '{principal}'."
                raise GoogleRefusal(400, "serviceAccountAccessDenied", message)
        for bucket in _buckets(target, body):
            if not self._gate.allows(principal, "storage.objects.get", f"projects/_/buckets/{bucket}", project):
                raise GoogleRefusal(403, "forbidden", f"Required 'storage.objects.get' permission for '{bucket}'")


def permissions(target: Target) -> tuple[str, ...]:
    """What a method needs on the project."""
    collection = target.id.collection
    if collection == "operations":
        collection = _OPERATIONS.get(target.id.scope.partition("/")[0], collection)
    own = f"compute.{collection}.{_WORDS.get(target.method, target.method)}"
    return (own, *_BESIDES.get(target.operation, ()))


def _accounts(target: Target, body: Any) -> Iterator[str]:  # noqa: ANN401 - whatever JSON came
    if target.operation == "instances.setServiceAccount" and isinstance(body, dict) and body.get("email"):
        yield str(body["email"])
    if target.operation == "instances.insert" and isinstance(body, dict):
        accounts = body.get("serviceAccounts")
        yield from (str(each.get("email")) for each in accounts or () if isinstance(each, dict))


def _buckets(target: Target, body: Any) -> Iterator[str]:  # noqa: ANN401 - whatever JSON came
    if target.operation == "images.insert" and isinstance(body, dict) and isinstance(body.get("rawDisk"), dict):
        match = re.match(r"https://storage\.googleapis\.com/([^/]+)/", str(body["rawDisk"].get("source")))
        if match:
            yield match[1]
