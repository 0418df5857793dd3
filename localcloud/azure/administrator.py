"""Whoever had servers at home before the product came: calls of ARM with every right, and disks with content."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.test import Client

from failback.errors import LocalCloudError
from localcloud.azure.state import ResourceId
from localcloud.sparse_files import copy_sparse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localcloud.azure.arm import ArmFront
    from localcloud.azure.refusals import Json
    from localcloud.azure.state import CloudState

LONGEST_SECONDS = 30.0
"""What an operation may take, with the latencies that a test lets it have."""
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Administrator:
    """Calls one cloud's ARM in this process; no faults are put before it. `token` gives a bearer token."""

    front: ArmFront
    state: CloudState
    subscription: str
    token: Callable[[], str]

    def id_of(self, group: str, kind: str, name: str) -> str:
        """The resource id of something of type `kind` (`Microsoft.Compute/disks`)."""
        return str(ResourceId(self.subscription, group, kind, name))

    def put(self, resource: str, body: Json) -> Json:
        """Make a resource, or replace its document, and wait for it; raises LocalCloudError."""
        self._ask("PUT", resource, body)
        return self._settled(resource)

    def act(self, resource: str, action: str) -> Json:
        """A POST below a resource (`deallocate`), and wait for it; raises LocalCloudError."""
        self._ask("POST", f"{resource}/{action}", None)
        return self._settled(resource)

    def fill_disk(self, disk: str, source: Path) -> Path:
        """Give an empty disk that nothing uses a file's content, and zeros behind it; gives the disk's own file."""
        with self.state.lock:
            found = self.state.find(disk)
            if found is None or found.document.get("managedBy"):
                message = f"{disk} isn't there, or is attached: it can't be filled"
                raise LocalCloudError(message)
            path = self.state.folder / str(found.hidden["file"])
            path.unlink()
            copy_sparse(source, path, size=int(found.hidden["size"]))
        return path

    def _settled(self, resource: str) -> Json:
        end = time.monotonic() + LONGEST_SECONDS
        while True:
            document = self._ask("GET", resource, None)
            found = self.state.find(resource)
            state = document["properties"]["provisioningState"]
            if state == "Succeeded" and not (found and found.busy):
                return document
            if state == "Failed" or time.monotonic() > end:
                message = f"{resource} is {state} after what was asked of it."
                raise LocalCloudError(message)
            time.sleep(LOOK_SECONDS)

    def _ask(self, method: str, path: str, body: Json | None) -> Json:
        answer = Client(self.front).open(
            path,
            method=method,
            query_string={"api-version": self.front.version_of(path)},
            headers={"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"},
            data=json.dumps(body) if body is not None else None,
        )
        if answer.status_code >= 400:
            message = f"{method} {path}: {answer.status_code} {answer.get_data(as_text=True)}"
            raise LocalCloudError(message)
        told: Json = json.loads(answer.get_data() or b"{}")
        return told
