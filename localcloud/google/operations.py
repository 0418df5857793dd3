"""Operations: what is begun now, comes due by the clock, and is finished when anybody looks the next time.

Source: cloud.google.com, "Handling API responses" (Compute Engine): PENDING, RUNNING, DONE, and the errors within; the
descriptions of `requestId` in the SDK's messages.

Unconfirmed: for how long a request id is remembered (here as long as its operation), and how the same id with another
request is refused.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from localcloud.google.refusals import GoogleRefusal, Json, refuse_absent
from localcloud.google.state import ROOT, google_time, new_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from localcloud.google.state import CloudState, Resource, ResourceId


@dataclass(frozen=True, slots=True)
class Fault:
    """What an operation (`disks.insert`, `instances.start` ...) is to end with instead: at once, or at its end."""

    operation: str
    status: int
    reason: str
    message: str
    at_once: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """Whose request begins an operation; `digest` tells one request from another under the same id."""

    user: str
    id: str = ""
    digest: str = ""


@dataclass(slots=True)
class Operation:
    """One operation: `finish` runs once when it's due and its work beside is `ready`.

    `holds` are resources that take no other change meanwhile.
    """

    document: Json
    scope: str
    due: datetime
    request: Request
    finish: Callable[[], object]
    undo: Callable[[], object]
    holds: tuple[Resource, ...]
    fault: GoogleRefusal | None
    ready: Callable[[], bool]

    @property
    def is_done(self) -> bool:
        """Whether it has come to its end."""
        return bool(self.document["status"] == "DONE")


@dataclass(slots=True)
class OperationBoard:
    """All operations of one project; `latency` maps an operation's name to its seconds, 0 where it's not named."""

    state: CloudState
    latency: Mapping[str, float] = field(default_factory=dict)
    request: Request = field(default_factory=lambda: Request("nobody"))
    _operations: dict[str, Operation] = field(default_factory=dict)
    _faults: list[Fault] = field(default_factory=list)

    def fail_next(self, *faults: Fault) -> None:
        """Let the next requests for these operations fail, one each."""
        with self.state.lock:
            self._faults.extend(faults)

    def check_fault(self, name: str) -> None:
        """Raise the fault that waits for this operation, if it's one that strikes at once."""
        fault = self._taken(name, at_once=True)
        if fault:
            raise GoogleRefusal(fault.status, fault.reason, fault.message)

    def again(self, request: Request) -> Operation | None:
        """The operation that an earlier request of the same id began; refuses another request under that id."""
        for operation in self._operations.values():
            if request.id and operation.request.id == request.id:
                if operation.request.digest != request.digest:
                    message = f"The request ID '{request.id}' was already used for another request."
                    raise GoogleRefusal(409, "conflict", message)
                return operation
        return None

    def begin(
        self,
        name: str,
        target: Resource,
        finish: Callable[[], object],
        *,
        holds: Sequence[Resource] = (),
        undo: Callable[[], object] = lambda: None,
        scope: str = "",
        ready: Callable[[], bool] = lambda: True,
    ) -> Operation:
        """Start one in its target's scope, or another; it's finished, or undone after a fault, by the next look."""
        fault = self._taken(name, at_once=False)
        now = self.state.clock.now()
        scope = scope or target.id.scope
        document = self._document(name.partition(".")[2], target.id, scope, now)
        document["targetId"] = target.document["id"]
        operation = Operation(
            document=document,
            scope=scope,
            due=now + timedelta(seconds=self.latency.get(name, 0)),
            request=self.request,
            finish=finish,
            undo=undo,
            holds=tuple(holds),
            fault=GoogleRefusal(fault.status, fault.reason, fault.message) if fault else None,
            ready=ready,
        )
        for each in operation.holds:
            each.held += 1
        self._operations[document["name"]] = operation
        return operation

    def find(self, scope: str, name: str) -> Operation:
        """The operation of this name in its scope."""
        operation = self._operations.get(name)
        if operation is None or operation.scope != scope:
            refuse_absent(f"projects/{self.state.project}/{scope}/operations/{name}")
        return operation

    def of(self, scope: str) -> list[Json]:
        """The documents of a scope's operations, the oldest first."""
        return [each.document for each in self._operations.values() if each.scope == scope]

    def settle(self) -> None:
        """Finish whatever is due, in the order in which it came due."""
        now = self.state.clock.now()
        waiting = [each for each in self._operations.values() if not each.is_done]
        for operation in waiting:
            operation.document.update({"status": "RUNNING", "startTime": operation.document["insertTime"]})
        due = [each for each in waiting if each.due <= now and each.ready()]
        for operation in sorted(due, key=lambda each: each.due):
            self._end(operation)

    def preempt(self, resource: Resource) -> None:
        """End what is under way on the resource, without its effect: it's being deleted."""
        message = f"The operation was stopped: '{resource}' is being deleted."
        for operation in [each for each in self._operations.values() if not each.is_done]:
            if resource in operation.holds:
                operation.fault = GoogleRefusal(409, "conflict", message)
                operation.due = self.state.clock.now()
                self._end(operation)

    def _document(self, kind: str, target: ResourceId, scope: str, now: datetime) -> Json:
        name = f"operation-{int(now.timestamp() * 1000)}-{secrets.token_hex(7)}-{secrets.token_hex(4)}"
        place, _, where = scope.partition("/")
        base = f"{ROOT}projects/{self.state.project}/{scope}"
        document: Json = {
            "kind": "compute#operation", "id": new_number(), "name": name, "operationType": kind,
            "targetLink": target.link, "status": "PENDING", "progress": 0, "user": self.request.user,
            "insertTime": google_time(now), "selfLink": f"{base}/operations/{name}",
        }  # fmt: skip
        if where:
            document[place.removesuffix("s")] = base
        if self.request.id:
            document["clientOperationId"] = self.request.id
        return document

    def _end(self, operation: Operation) -> None:
        for each in operation.holds:
            each.held -= 1
        document = operation.document
        document.setdefault("startTime", document["insertTime"])
        try:
            if operation.fault:
                raise operation.fault
            operation.finish()
        except GoogleRefusal as refusal:
            operation.undo()
            document["error"] = refusal.in_operation
            document["httpErrorStatusCode"] = refusal.status
            document["httpErrorMessage"] = _PHRASES.get(refusal.status, "INTERNAL SERVER ERROR")
        document.update({"status": "DONE", "progress": 100, "endTime": google_time(operation.due)})
        self.state.save()

    def _taken(self, name: str, *, at_once: bool) -> Fault | None:
        for fault in self._faults:
            if fault.operation == name and fault.at_once == at_once:
                self._faults.remove(fault)
                return fault
        return None


_PHRASES = {400: "BAD REQUEST", 403: "FORBIDDEN", 404: "NOT FOUND", 409: "CONFLICT", 412: "PRECONDITION FAILED"}
