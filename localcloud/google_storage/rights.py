"""Which permission an operation of Cloud Storage needs, on what.

Sources: Cloud Storage documentation, "IAM permissions for JSON methods" and "IAM permissions for XML requests".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.google_identity.gate import Gate, bearer_token
from localcloud.google_identity.refusal import ApiRefusal

if TYPE_CHECKING:
    from collections.abc import Mapping

PERMISSIONS: Mapping[str, tuple[str, ...]] = {
    "buckets.list": ("storage.buckets.list",),
    "buckets.insert": ("storage.buckets.create",),
    "buckets.get": ("storage.buckets.get",),
    "buckets.delete": ("storage.buckets.delete",),
    "objects.list": ("storage.objects.list",),
    "objects.get": ("storage.objects.get",),
    "objects.patch": ("storage.objects.update",),
    "objects.delete": ("storage.objects.delete",),
    "objects.compose": ("storage.objects.create", "storage.objects.get"),
    "objects.insert": ("storage.objects.create",),
    "multipart.initiate": ("storage.multipartUploads.create", "storage.objects.create"),
    "multipart.upload": ("storage.multipartUploads.create", "storage.objects.create"),
    "multipart.complete": ("storage.multipartUploads.create", "storage.objects.create"),
    "multipart.abort": ("storage.multipartUploads.abort",),
}
REPLACE = "storage.objects.delete"
_SCOPE = "https://www.googleapis.com/auth/devstorage."
_READING, _WRITING = (f"{_SCOPE}read_only",), (f"{_SCOPE}read_write", f"{_SCOPE}full_control")


class Guard:
    """Asks the gate about each request."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def principal(self, operation: str, authorization: str | None) -> str:
        """Who asks; raises ApiRefusal with 401 for nobody, and for a token that isn't good."""
        token = bearer_token(authorization)
        if not token:
            message = denied_message("Anonymous caller", operation)
            raise ApiRefusal(401, "required", message, location=("header", "Authorization"))
        reads = operation.endswith((".get", ".list"))
        return self._gate.verify(token, (*_READING, *_WRITING) if reads else _WRITING)

    def check(self, principal: str, operation: str, *resources: str) -> None:
        """Raises ApiRefusal with 403 where a permission is lacking."""
        if not all(self._gate.allows(principal, each, *resources) for each in PERMISSIONS[operation]):
            raise ApiRefusal(403, "forbidden", denied_message(principal.removeprefix("serviceAccount:"), operation))

    def may_replace(self, principal: str, *resources: str) -> bool:
        """Whether an object may be put in another one's place."""
        return self._gate.allows(principal, REPLACE, *resources)


def denied_message(caller: str, operation: str) -> str:
    """As the service words it."""
    permission = PERMISSIONS.get(operation, ("storage.objects.get",))[0]
    what = "bucket" if operation.startswith("buckets") else "object"
    return (
        f"{caller} does not have {permission} access to the Google Cloud Storage {what}. "
        f"Permission '{permission}' denied on resource (or it may not exist)."
    )
