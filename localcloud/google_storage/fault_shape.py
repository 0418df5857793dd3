"""What Cloud Storage's requests are to a plan of faults, and how the service throttles and denies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcloud.faults import Answer, Call
from localcloud.google_identity.refusal import JSON_TYPE, ApiRefusal
from localcloud.google_storage.rights import denied_message
from localcloud.google_storage.routes import find_route, raw_path

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class StorageShape:
    """Service `google_storage` with operations as the JSON API names them: `objects.insert`, `buckets.get`.

    A chunk of a resumable upload is an `objects.insert` by PUT, its start one by POST.
    """

    def identify(self, environ: WSGIEnvironment) -> Call:
        """By method and path."""
        found = find_route(str(environ["REQUEST_METHOD"]), raw_path(environ))
        return Call("google_storage", found.route.operation if found else "")

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """429 rateLimitExceeded."""
        message = "The rate of requests is too high. Please reduce your request rate."
        return _answer(ApiRefusal(429, "rateLimitExceeded", message, domain="usageLimits"))

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """403 with the permission that's lacking."""
        return _answer(ApiRefusal(403, "forbidden", denied_message("The caller", self.identify(environ).operation)))


def _answer(refusal: ApiRefusal) -> Answer:
    return Answer(refusal.status, (("Content-Type", JSON_TYPE),), json.dumps(refusal.body).encode())
