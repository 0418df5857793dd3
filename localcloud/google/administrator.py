"""Whoever had servers at home before the product came: calls of Compute with every right, and disks with content."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug.test import Client

from failback.errors import LocalCloudError
from localcloud.google.front import PREFIX
from localcloud.sparse_files import copy_sparse

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.google.front import ComputeFront
    from localcloud.google.refusals import Json
    from localcloud.google.state import CloudState

LONGEST_SECONDS = 30.0
"""What an operation may take, with the latencies that a test lets it have."""
LOOK_SECONDS = 0.02
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Administrator:
    """Calls one cloud's Compute in this process, behind an open gate; no faults are put before it."""

    front: ComputeFront
    state: CloudState

    def insert(self, scope: str, collection: str, body: Json) -> Json:
        """Make a resource in `zones/Z`, `regions/R` or `global`, and wait for it; raises LocalCloudError."""
        path = f"projects/{self.state.project}/{scope}/{collection}"
        self.act("POST", path, body)
        return self._ask("GET", f"{path}/{body['name']}", None)

    def act(self, verb: str, path: str, body: Json | None = None) -> None:
        """A call that begins an operation, by a path from `projects/` on; waits for it, raises LocalCloudError."""
        operation = self._ask(verb, path, body)
        end = time.monotonic() + LONGEST_SECONDS
        where = operation["selfLink"].partition("/compute/v1/")[2]
        while operation["status"] != "DONE":
            if time.monotonic() > end:
                message = f"{verb} {path} isn't done after {LONGEST_SECONDS} s."
                raise LocalCloudError(message)
            time.sleep(LOOK_SECONDS)
            operation = self._ask("GET", where, None)
        if "error" in operation:
            message = f"{verb} {path}: {operation['error']}"
            raise LocalCloudError(message)

    def fill_disk(self, path: str, source: Path) -> Path:
        """Give an empty disk that nothing uses a file's content, and zeros behind it; gives the disk's own file."""
        with self.state.lock:
            found = self.state.find(path)
            if found is None or found.document.get("users"):
                message = f"{path} isn't there, or is attached: it can't be filled"
                raise LocalCloudError(message)
            file = self.state.folder / str(found.hidden["file"])
            file.unlink()
            copy_sparse(source, file, size=int(found.document["sizeGb"]) * GIB)
        return file

    def _ask(self, verb: str, path: str, body: Json | None) -> Json:
        answer = Client(self.front).open(
            PREFIX + path,
            method=verb,
            headers={"Authorization": "Bearer administrator", "Content-Type": "application/json"},
            data=json.dumps(body) if body is not None else None,
        )
        told: Json = json.loads(answer.get_data() or b"{}")
        if answer.status_code >= 400:
            message = f"{verb} {path}: {answer.status_code} {told}"
            raise LocalCloudError(message)
        return told
