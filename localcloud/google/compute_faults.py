"""What Compute Engine's requests are to a plan of faults, and how it throttles and denies.

Source: cloud.google.com, "API rate limits" (Compute Engine: 403 rateLimitExceeded) and "Troubleshoot IAM" (the words of
a right that's lacking).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcloud.faults import Answer, Call
from localcloud.google.front import Target

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SERVICE = "compute"


class ComputeShape:
    """Service `compute` with operations as `instances.insert`, `disks.createSnapshot` or `operations.get`."""

    def identify(self, environ: WSGIEnvironment) -> Call:
        """By verb and path alone."""
        target = Target.read(str(environ["REQUEST_METHOD"]), str(environ.get("PATH_INFO", "")))
        return Call(SERVICE, target.operation if target else "")

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """Its answer to too many calls: a 403 that passes."""
        return _answer(403, "usageLimits", "rateLimitExceeded", "Rate Limit Exceeded")

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """Its answer to a caller without the right."""
        target = Target.read(str(environ["REQUEST_METHOD"]), str(environ.get("PATH_INFO", "")))
        what = f"compute.{target.operation}" if target else "compute"
        where = str(target.id) if target else ""
        return _answer(403, "global", "forbidden", f"Required '{what}' permission for '{where}'")


def _answer(status: int, domain: str, reason: str, message: str) -> Answer:
    errors = [{"message": message, "domain": domain, "reason": reason}]
    body = {"error": {"code": status, "message": message, "errors": errors}}
    return Answer(status, (("Content-Type", "application/json; charset=UTF-8"),), json.dumps(body).encode())
