"""What Google's APIs ask before each request: whose token it is, and whether they may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
"""The scope that every API of Google Cloud takes."""


class Gate(Protocol):
    """Stands before an API; the tokens are the identity service's."""

    def verify(self, access_token: str, scopes: Collection[str] = ()) -> str:
        """The principal as policies name it: `serviceAccount:EMAIL` or `principal://iam.googleapis.com/...`.

        `scopes` are those of which the API wants one, besides cloud-platform; none means any. Raises ApiRefusal:
        401 for a token that isn't known or is over, 403 for one whose scopes don't reach.
        """

    def allows(self, principal: str, permission: str, *resources: str) -> bool:
        """Whether it holds a permission (`storage.objects.get`) on one of the resources.

        A resource is `projects/ID`, `projects/_/buckets/NAME` or `projects/-/serviceAccounts/EMAIL`.
        """


def bearer_token(authorization: str | None) -> str:
    """The token in an Authorization header; empty where there's none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
