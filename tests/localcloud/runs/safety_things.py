"""Things at home as recorded calls have them: whose they are, a machine's disks, a machine that's taken over."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.localcloud.runs.safety_trace import said

if TYPE_CHECKING:
    from failback.model.original import Original
    from failback.model.server import ServerPlan
    from localcloud.recording import RecordedCall
    from tests.localcloud.runs.safety_trace import Whose

Json = Any
ITEM = re.compile(r"(/subscriptions/.*/providers/[^/]+/([^/]+)/([^/]+))(?:/(\w+))?")
"""A thing's id, its kind, its name, and what's asked of it by a POST."""
_LOOKS = frozenset({"retrieveBootDiagnosticsData"})


@dataclass(frozen=True, slots=True)
class Made:
    """Whose something is that was made in the recording; `handed_over`: it's the server's own by now."""

    run: str
    server: str
    handed_over: bool = False

    @property
    def whose(self) -> Whose:
        return self.run, self.server


@dataclass(frozen=True, slots=True)
class Stand:
    """A machine's disks by their ids; empty where it isn't known what it boots from."""

    boot: str = ""
    data: frozenset[str] = frozenset()

    @classmethod
    def of(cls, storage: Json) -> Stand:
        """As a document has it."""
        return cls().changed(storage)

    def changed(self, storage: Json) -> Stand:
        """After a change that says this."""
        boot, data = self.boot, self.data
        if "osDisk" in storage:
            boot = str(storage["osDisk"]["managedDisk"]["id"]).lower()
        if "dataDisks" in storage:
            data = frozenset(str(each["managedDisk"]["id"]).lower() for each in storage["dataDisks"] or ())
        return Stand(boot, data)

    @property
    def disks(self) -> frozenset[str]:
        return self.data | {self.boot}


@dataclass(frozen=True, slots=True)
class Taken:
    """A machine that a run takes over: who does, what's planned, and how it was."""

    whose: Whose
    plan: ServerPlan
    original: Original

    @property
    def disks(self) -> frozenset[str]:
        return frozenset(each.id.lower() for each in self.original.disks)

    @property
    def things(self) -> frozenset[str]:
        """The machine, its disks and its interfaces."""
        document: Json = self.original.document
        held = document.get("properties", {}).get("networkProfile", {}).get("networkInterfaces", ())
        return self.disks | {self.original.id.lower(), *(str(each["id"]).lower() for each in held)}

    @property
    def stand(self) -> Stand:
        document: Json = self.original.document
        return Stand.of(document["properties"]["storageProfile"])


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that changes something at home."""

    call: RecordedCall
    id: str
    kind: str
    name: str
    action: str
    body: Json

    @property
    def number(self) -> int:
        return self.call.number

    @classmethod
    def of(cls, call: RecordedCall) -> Asked | None:
        """None for one that only looks."""
        found = ITEM.fullmatch(call.path) if call.service == "arm" and call.method != "GET" else None
        if found is None or found[4] in _LOOKS:
            return None
        return cls(call, found[1].lower(), found[2].lower(), found[3].lower(), found[4] or "", said(call.body))
