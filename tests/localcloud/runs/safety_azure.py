"""What calls of ARM say, in the words of the safety rules."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.localcloud.runs.safety_things import DISK, MACHINE, SNAPSHOT, Asked, Held, Stand
from tests.localcloud.runs.safety_trace import said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.model.original import Original
    from localcloud.recording import RecordedCall
    from tests.localcloud.runs.safety_things import Verb

Json = Any
ITEM = re.compile(r"(/subscriptions/.*/providers/[^/]+/([^/]+)/([^/]+))(?:/(\w+))?")
"""A thing's id, its kind, its name, and what's asked of it by a POST."""
KINDS = {"virtualmachines": MACHINE, "disks": DISK, "snapshots": SNAPSHOT}
VERBS: Mapping[str, Verb] = {"PUT": "make", "PATCH": "change", "DELETE": "remove"}
_LOOKS = frozenset({"retrieveBootDiagnosticsData"})


class AzureReading:
    """A Reading."""

    def asked(self, call: RecordedCall) -> Asked | None:
        found = ITEM.fullmatch(call.path) if call.service == "arm" and call.method != "GET" else None
        if found is None or found[4] in _LOOKS:
            return None
        body = said(call.body) or {}
        kind = KINDS.get(found[2].lower(), found[2].lower())
        verb: Verb = "start" if (kind, found[4]) == (MACHINE, "start") else VERBS.get(call.method, "act")
        storage = (body.get("properties") or {}).get("storageProfile") if kind == MACHINE else None
        return Asked(
            call,
            found[1].lower(),
            kind,
            verb,
            tags=body.get("tags"),
            storage=partial(changed, storage) if storage is not None and verb in {"make", "change"} else None,
            source=_source(body) if (kind, verb) == (SNAPSHOT, "make") else "",
        )

    def stand(self, original: Original) -> Stand:
        document: Json = original.document
        return changed(document["properties"]["storageProfile"], Stand())

    def things(self, original: Original) -> frozenset[str]:
        document: Json = original.document
        nics = document.get("properties", {}).get("networkProfile", {}).get("networkInterfaces", ())
        disks = (each.id for each in original.disks)
        return frozenset(each.lower() for each in (original.id, *disks, *(str(nic["id"]) for nic in nics)))


def changed(storage: Json, stand: Stand) -> Stand:
    """How the disks stand after a change that says this of them."""
    boot = [each for each in stand.held if each.boot]
    data = [each for each in stand.held if not each.boot]
    if "osDisk" in storage:
        boot = [Held(_disk(storage["osDisk"]), boot=True)]
    if "dataDisks" in storage:
        data = [Held(_disk(each)) for each in storage["dataDisks"] or ()]
    return Stand((*boot, *data))


def _disk(held: Json) -> str:
    return str(held["managedDisk"]["id"]).lower()


def _source(body: Json) -> str:
    return str(body["properties"]["creationData"]["sourceResourceId"]).lower()
