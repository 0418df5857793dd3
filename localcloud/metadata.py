"""The metadata service of one virtual machine, as Azure or Google Cloud answers at 169.254.169.254."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from werkzeug import Request, Response

from localcloud.metadata_azure import AzureMetadata
from localcloud.metadata_google import GoogleMetadata
from localcloud.serving import serve_application
from localcloud.tokens import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class MachineIdentity:
    """Whom the machine may show itself as.

    `subject` is the managed identity's object id or the service account's unique id; `client_id`, `tenant` and, of a
    user-assigned one, `resource_id` are Azure's, `email` is Google's.
    """

    subject: str
    tenant: str = "72f988bf-0000-4000-8000-2d7cd011db47"
    client_id: str = "0b4a7a31-0000-4000-8000-5d1b7f3c9e10"
    resource_id: str | None = None
    email: str = "client@project.iam.gserviceaccount.com"


@dataclass(frozen=True, slots=True)
class MachineDocument:
    """What the cloud knows of one machine. `user_data` (base64) and `tags` are Azure's, `attributes` are Google's.

    `identity` is whom it shows itself as unasked; `further` are those that have to be asked for by an id.
    """

    cloud: Literal["azure", "google"]
    vm_id: str
    name: str = "client"
    location: str = "westeurope"
    project: str = "project"
    user_data: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    identity: MachineIdentity | None = None
    further: tuple[MachineIdentity, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it came in, and the status that it got."""

    method: str
    target: str
    status: int


class DocumentBoard:
    """The current document; whoever waits for a change of it is woken by one."""

    def __init__(self, document: MachineDocument) -> None:
        self._changed = threading.Condition()
        self._document = document
        self._version = 1

    def read(self) -> tuple[MachineDocument, int]:
        """The document and its version, which grows by one with each change."""
        with self._changed:
            return self._document, self._version

    def write(self, document: MachineDocument) -> None:
        """Put another document in place."""
        with self._changed:
            self._document = document
            self._version += 1
            self._changed.notify_all()

    def wait_for_change(self, version: int, seconds: float) -> None:
        """Return once the version isn't `version` any more, or after `seconds`."""
        end = time.monotonic() + seconds
        with self._changed:
            while self._version == version and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)


class MetadataService:
    """A WSGI application that serves one machine's document, which may change while it does."""

    def __init__(self, document: MachineDocument, *, signer: TokenSigner | None = None) -> None:
        self.signer = signer or TokenSigner()
        self.requests: list[RecordedRequest] = []
        self._board = DocumentBoard(document)
        self._azure = AzureMetadata(self.signer)
        self._google = GoogleMetadata(self.signer, self._board)

    @property
    def document(self) -> MachineDocument:
        """The document as it's served now."""
        return self._board.read()[0]

    def update(self, **changes: object) -> None:
        """Change fields of the document, as a control plane does on a running machine."""
        self._board.write(replace(self.document, **changes))  # type: ignore[arg-type]

    def serve(self, *, host: str = "127.0.0.1", port: int = 0) -> AbstractContextManager[str]:
        """Serve on `host` for the length of a `with` block, which gets the base URL."""
        return serve_application(self, host=host, port=port)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        document = self.document
        response = self._answer(request, document)
        self.requests.append(RecordedRequest(request.method, request.full_path.rstrip("?"), response.status_code))
        return response(environ, start_response)

    def _answer(self, request: Request, document: MachineDocument) -> Response:
        cloud = self._azure if document.cloud == "azure" else self._google
        return cloud.answer(request, document)
