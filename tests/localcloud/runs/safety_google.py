"""What calls of Compute Engine and Cloud Storage say, in the words of the safety rules."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from failback.clouds.google.labels import RUN_LABEL, SERVER_LABEL, label_value, labels_in
from failback.naming import RUN_TAG, SERVER_TAG
from tests.localcloud.runs.safety_things import DISK, MACHINE, SNAPSHOT, Asked, Held, Stand
from tests.localcloud.runs.safety_trace import said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from failback.model.original import Original
    from localcloud.recording import RecordedCall
    from tests.localcloud.runs.safety_things import Verb
    from tests.localcloud.runs.safety_trace import Trace

Json = Any
ITEM = re.compile(
    r"/compute/v1/(projects/[^/]+/(?:global|(?:zones|regions)/[^/]+)/(\w+)(?:/([^/]+))?)(?:/(\w+))?", re.IGNORECASE
)
"""A thing's path or its collection's, its kind, its name, and what's asked of it."""
OBJECT = re.compile(r"(?:/upload)?/storage/v1/b/([^/]+)/o(?:/(.+?))?(?:/compose)?")
KINDS = {"instances": MACHINE, "disks": DISK, "snapshots": SNAPSHOT}
STARTS = frozenset({"start", "startWithEncryptionKey", "resume", "reset"})
_LOOKS = frozenset({"operations", "zoneOperations", "globalOperations", "regionOperations"})


class GoogleReading:
    """A Reading; the runs and servers of `trace` are known by what their ids are as labels."""

    def __init__(self, trace: Trace) -> None:
        self._ids = {label_value(each): each for whose in trace.servers for each in whose}
        self._ids |= {label_value(run): run for run in trace.runs}

    def asked(self, call: RecordedCall) -> Asked | None:
        if call.method == "GET":
            return None
        if call.service == "google_storage":
            return self._object(call)
        found = ITEM.fullmatch(call.path) if call.service == "compute" else None
        if found is None or found[2] in _LOOKS:
            return None
        path, kind, name, _ = found.groups()
        body, method = said(call.body) or {}, call.operation.rpartition(".")[2]
        thing = (path if name else f"{path}/{body.get('name', '')}").lower()
        return Asked(
            call,
            thing,
            KINDS.get(kind, kind),
            _verb(KINDS.get(kind, kind), method),
            tags=self._tags(body, method),
            storage=_storage(call, body, method) if kind == "instances" else None,
            source=path_of(str(body.get("sourceDisk") or "")) if kind == "snapshots" else "",
            with_it=frozenset({_address_of(thing)}) if kind == "instances" else frozenset(),
        )

    def stand(self, original: Original) -> Stand:
        document: Json = original.document
        return Stand(tuple(_held(each) for each in document.get("disks") or ()))

    def things(self, original: Original) -> frozenset[str]:
        """Its interfaces and its address are the machine's own."""
        return frozenset(each.lower() for each in (original.id, *(disk.id for disk in original.disks)))

    def _object(self, call: RecordedCall) -> Asked | None:
        """An upload's pieces, and its end before it's whole, concern the upload alone."""
        found = OBJECT.fullmatch(call.path)
        if found is None or (call.operation == "objects.insert" and call.method != "POST"):
            return None
        body = said(call.body) or {}
        name = found[2] or body.get("name", "")
        verbs: Mapping[str, Verb] = {"POST": "make", "PATCH": "change", "DELETE": "remove"}
        tags = None if body.get("metadata") is None else self._ours(body["metadata"])
        return Asked(call, f"gs://{found[1]}/{name}", "object", verbs.get(call.method, "act"), tags=tags)

    def _tags(self, body: Json, method: str) -> Mapping[str, str] | None:
        """From labels, which a request leaves out where there are to be none; a kind without says them in its text."""
        if "labels" in body or method == "setLabels":
            return self._ours(body.get("labels") or {})
        described = labels_in(str(body.get("description") or ""))
        return self._ours(described) if described else None

    def _ours(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        named = {RUN_TAG: labels.get(RUN_LABEL), SERVER_TAG: labels.get(SERVER_LABEL)}
        return {tag: self._ids.get(value, value) for tag, value in named.items() if value}


def path_of(url: str) -> str:
    """A thing's id, from any of its URLs."""
    _, found, rest = url.lower().partition("projects/")
    return found + rest


def _verb(kind: str, method: str) -> Verb:
    if kind == MACHINE and method in STARTS:
        return "start"
    verbs: Mapping[str, Verb] = {"insert": "make", "delete": "remove"}
    changes: Verb = "change" if method.startswith("set") or method in {"attachDisk", "detachDisk", "update"} else "act"
    return verbs.get(method, changes)


def _address_of(machine: str) -> str:
    """The address that's reserved for a machine that a run makes: it's called as the machine is."""
    project, _, rest = machine.partition("/zones/")
    zone, _, name = rest.partition("/instances/")
    return f"{project}/regions/{zone.rpartition('-')[0]}/addresses/{name}"


def _storage(call: RecordedCall, body: Json, method: str) -> Callable[[Stand], Stand] | None:
    """How a machine's disks stand afterwards, where a call is about them."""
    query = dict(said(call.query)) if call.query else {}
    device = query.get("deviceName", "")
    match method:
        case "insert":
            return lambda _: Stand(tuple(_held(each) for each in body.get("disks") or ()))
        case "attachDisk":
            return lambda stand: Stand((*stand.held, _held(body)))
        case "detachDisk":
            return lambda stand: _each(stand, lambda held: () if held.device == device else (held,))
        case "setDiskAutoDelete":
            goes = query.get("autoDelete") == "true"
            return lambda stand: _each(
                stand, lambda held: (replace(held, goes=goes) if held.device == device else held,)
            )
    return None


def _each(stand: Stand, become: Callable[[Held], Iterable[Held]]) -> Stand:
    return Stand(tuple(new for held in stand.held for new in become(held)))


def _held(attached: Json) -> Held:
    return Held(
        path_of(str(attached.get("source") or "")),
        boot=bool(attached.get("boot")),
        device=str(attached.get("deviceName") or ""),
        goes=bool(attached.get("autoDelete")),
    )
