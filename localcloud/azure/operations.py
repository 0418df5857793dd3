"""Long-running operations: what is begun now, comes due by the clock, and is finished when anybody looks.

Source: the ARM RPC "Asynchronous Operations": Azure-AsyncOperation and Location, both polled until they say the end.

Unconfirmed: that a machine's removal preempts whatever else is being done to it, and with which error that ends.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from localcloud.azure.clock import azure_time
from localcloud.azure.refusals import ArmRefusal, Json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from localcloud.azure.state import CloudState, Resource


@dataclass(slots=True)
class Operation:
    """One operation: `finish` runs once when it's due and gives what the operation answers with."""

    id: str
    name: str
    resource: Resource
    started: datetime
    due: datetime
    finish: Callable[[], Json | None]
    fault: ArmRefusal | None
    status: str = "InProgress"
    ended: datetime | None = None
    answer: Json | None = None

    @property
    def body(self) -> Json:
        """What its Azure-AsyncOperation URL answers."""
        body: Json = {"name": self.id, "status": self.status, "startTime": azure_time(self.started)}
        if self.ended:
            body["endTime"] = azure_time(self.ended)
        if self.fault:
            body["error"] = self.fault.body
        elif self.answer is not None and self.status == "Succeeded":
            body["properties"] = {"output": self.answer}
        return body


@dataclass(frozen=True, slots=True)
class Fault:
    """What an operation (`disks/write`, `virtualMachines/start` ...) is to end with instead: at once, or at its end."""

    operation: str
    status: int
    code: str
    message: str
    at_once: bool = True


@dataclass(slots=True)
class OperationBoard:
    """All operations of one cloud; `latency` maps an operation's name to its seconds, 0 where it's not named."""

    state: CloudState
    latency: Mapping[str, float] = field(default_factory=dict)
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
            raise ArmRefusal(fault.status, fault.code, fault.message)

    def begin(self, name: str, resource: Resource, finish: Callable[[], Json | None]) -> Operation:
        """Start one; the resource takes no other change until it has ended."""
        fault = self._taken(name, at_once=False)
        refusal = ArmRefusal(fault.status, fault.code, fault.message) if fault else None
        now = self.state.clock.now()
        due = now + timedelta(seconds=self.latency.get(name, 0))
        operation = Operation(secrets.token_hex(16), name, resource, now, due, finish, refusal)
        self._operations[operation.id] = operation
        resource.busy = True
        self.settle()
        return operation

    def find(self, operation_id: str) -> Operation:
        """The operation of this id."""
        operation = self._operations.get(operation_id)
        if operation is None:
            raise ArmRefusal(404, "NotFound", f"The entity was not found: operation {operation_id}.")
        return operation

    def settle(self) -> None:
        """Finish whatever is due, in the order in which it came due."""
        now = self.state.clock.now()
        due = [each for each in self._operations.values() if each.status == "InProgress" and each.due <= now]
        for operation in sorted(due, key=lambda each: each.due):
            self._end(operation)

    def preempt(self, resource: Resource) -> None:
        """End what is under way on the resource, without its effect, for an operation that can't wait."""
        now = self.state.clock.now()
        under_way = [each for each in self._operations.values() if each.status == "InProgress"]
        for operation in under_way:
            if operation.resource is resource:
                message = "The operation has been preempted by a more recent operation."
                operation.fault = ArmRefusal(409, "OperationPreempted", message)
                operation.due = now
                self._end(operation)

    def _end(self, operation: Operation) -> None:
        operation.resource.busy = False
        operation.ended = operation.due
        try:
            if operation.fault:
                raise operation.fault
            operation.answer = operation.finish()
            operation.status = "Succeeded"
        except ArmRefusal as refusal:
            operation.fault, operation.status = refusal, "Failed"
            if self.state.find(operation.resource.id):
                operation.resource.properties["provisioningState"] = "Failed"
        self.state.save()

    def _taken(self, name: str, *, at_once: bool) -> Fault | None:
        for fault in self._faults:
            if fault.operation.lower() == name.lower() and fault.at_once == at_once:
                self._faults.remove(fault)
                return fault
        return None
