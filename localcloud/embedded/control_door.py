"""What the process with the embedded clouds does when it's asked by another one: `POST /servers/ID/nonce`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from werkzeug import Request, Response

from localcloud.drs.refusal import DrsRefusal
from localcloud.embedded.servers import write_nonce

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from localcloud.drs.service import DrsService

_NONCE = re.compile(r"/servers/(i-[0-9a-z]+)/nonce")
_LARGEST_BODY = 1024


class ControlDoor:
    """A WSGI application; it answers in plain text, 204 for what was done."""

    def __init__(self, drs: DrsService) -> None:
        self._drs = drs

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = _LARGEST_BODY
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        found = _NONCE.fullmatch(request.path)
        if found is None or request.method != "POST":
            return Response(f"{request.method} {request.path} isn't known here.", 404)
        try:
            write_nonce(self._drs, found[1], request.get_data(as_text=True))
        except DrsRefusal:
            return Response(f"There is no server {found[1]}.", 404)
        except ValueError as error:
            return Response(str(error), 400)
        return Response(status=204)
