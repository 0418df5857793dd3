"""Write report: closes the run in the run log and writes its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.client_image import release_lease
from failback.doorway import stage_doorway
from failback.model.stage import StageResult
from failback.report import execution_outcome, write_report
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.ending import Outcome
    from failback.model.run import RunState


def report(state: RunState, around: Connections) -> StageResult[Outcome, None]:
    """The stage's work."""
    release_lease(state, run_log=around.run_log)
    outcome = write_report(state, objects=around.objects, run_log=around.run_log, now=around.clock.now())
    return StageResult(status="done", facts=execution_outcome(state, outcome))


handler = stage_doorway("write_report", report, connect)
