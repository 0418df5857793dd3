"""Check request: the gate for every door; its answer is the run's state, which every later stage is called with."""

from __future__ import annotations

from typing import Any

from failback.model.request import StartEvent
from failback.run_request import Gate, check_request
from lambdas.connections import connect


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """The Lambda handler."""
    from aws_lambda_powertools.utilities.parser import parse

    around = connect()
    start = parse(event=event, model=StartEvent)
    gate = Gate(
        targets=around.targets,
        functions=around.settings.functions,
        run_log=around.run_log,
        decisions=around.decisions,
        book=around.servers,
        executions=around.executions,
        hooks=around.settings.hooks,
        clock=around.clock,
    )
    return around.guard(lambda: check_request(start, gate)).model_dump(mode="json")
