"""The handlers that begin waves and clean up after broken-off executions, on the models that they're called with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from failback.door import door
from failback.doorway import stage_doorway
from failback.model.record import RunRecord
from failback.model.request import ServerRequest
from lambdas.doors.clean_up_aborted.handler import after
from lambdas.stages.begin_wave.handler import begin
from tests.memory.clock import NOON, FixedClock
from tests.memory.decision_book import MemoryDecisionBook
from tests.memory.executions import MemoryExecutions
from tests.memory.run_log import MemoryRunLog
from tests.states import event_of, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
STATE = state_of("begin_wave")
MACHINE = "arn:aws:states:eu-west-1:111122223333:stateMachine:drs-failback"
CONTEXT = SimpleNamespace(aws_request_id="r-1")


def around() -> Any:  # noqa: ANN401
    """Connections in memory, of a run that's under way."""
    run_log, clock = MemoryRunLog(), FixedClock()
    fields = {"run": STATE.run.id, "execution": STATE.run.execution, "goal": "failback", "target": "azure-home",
              "home": "azure", "started": NOON}  # fmt: skip
    run_log.open(RunRecord.model_validate(fields))
    wave = STATE.needed(STATE.wave, "a wave")
    run_log.servers.enlist(STATE.run.id, [ServerRequest(recovery_instance=each.id) for each in wave.servers])

    def guard(call: Callable[[], T], /) -> T:
        return call()

    return SimpleNamespace(
        run_log=run_log,
        servers=run_log.servers,
        clock=clock,
        decisions=MemoryDecisionBook(),
        executions=MemoryExecutions(),
        settings=SimpleNamespace(state_machine=MACHINE),
        deadline=NOON - NOON,
        guard=guard,
    )


def test_a_wave_is_begun() -> None:
    connected = around()
    handler: Any = stage_doorway("begin_wave", begin, lambda: connected)
    assert handler(event_of("begin_wave"), CONTEXT)["facts"] == {"begun": True, "why": ""}
    assert [entry.stage for entry in connected.run_log.read(STATE.run.id).stages] == ["begin_wave"]


def test_an_aborted_execution_is_cleaned_up_after() -> None:
    connected = around()
    handler: Any = door("clean_up_aborted", after, lambda: connected)
    detail = {
        "executionArn": STATE.run.execution, "stateMachineArn": MACHINE, "name": STATE.run.id, "status": "ABORTED",
    }  # fmt: skip
    event = {"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": detail}
    assert handler(event, CONTEXT)["execution"] == f"clean-up-{STATE.run.id}"
    assert list(connected.executions.started) == [f"clean-up-{STATE.run.id}"]
