"""What Cloud Storage's requests are to a plan of faults, and how the service throttles and denies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localcloud.faults import Answer, Call
from localcloud.google_identity.refusal import JSON_TYPE, ApiRefusal
from localcloud.google_storage.rights import denied_message
from localcloud.google_storage.routes import find_route
from localcloud.google_storage.xml_shape import XML_TYPE, refusal_document

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class StorageShape:
    """Service `google_storage` with operations as the JSON API names them: `objects.insert`, `buckets.get`.

    A chunk of a resumable upload is an `objects.insert` by PUT, its start one by POST; requests of the XML API's
    multipart uploads are `multipart.initiate`, `multipart.upload`, `multipart.complete` and `multipart.abort`.
    """

    def identify(self, environ: WSGIEnvironment) -> Call:
        """By method and path."""
        found = find_route(environ)
        return Call("google_storage", found.route.operation if found else "")

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """429 rateLimitExceeded."""
        message = "The rate of requests is too high. Please reduce your request rate."
        return _answer(ApiRefusal(429, "rateLimitExceeded", message, domain="usageLimits"), environ)

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """403 with the permission that's lacking."""
        message = denied_message("The caller", self.identify(environ).operation)
        return _answer(ApiRefusal(403, "forbidden", message), environ)


def _answer(refusal: ApiRefusal, environ: WSGIEnvironment) -> Answer:
    found = find_route(environ)
    if found is not None and found.route.xml:
        return Answer(refusal.status, (("Content-Type", XML_TYPE),), refusal_document(refusal))
    return Answer(refusal.status, (("Content-Type", JSON_TYPE),), json.dumps(refusal.body).encode())
