"""One run's calls and noted times by themselves, for a test that looks at one; every place is judged in the end too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from localcloud.faults import Delay, FaultRule
from tests.localcloud.runs.safety_aws import NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from failback.model.record import RunHistory, ServerHistory
    from localcloud.faults import FaultRecord

Json = Any
EVERY_CALL = FaultRule(action=Delay(seconds=0))
"""Disturbs nothing, and has each call recorded."""
DELETED = re.compile(r"/(virtualMachines|disks|networkInterfaces|snapshots|publicIPAddresses)/([^/?]+)$")
LAUNCH = "StartFailbackLaunch"


def check_safety(calls: Sequence[FaultRecord], history: RunHistory, before: Json) -> int:
    """No recovery instance is ended, nothing is removed that was there before, and everything comes in its order.

    `before` is Azure's listing from before the run. Gives how many calls were looked at.
    """
    made = [each.call.operation for each in calls]
    assert not NEVER & set(made), NEVER & set(made)
    there = {each["name"].lower() for each in before.values()}
    removed = {found[2].lower() for each in calls if each.method == "DELETE" and (found := DELETED.search(each.path))}
    assert not removed & there, removed & there
    launched = [server for batch in history.batches if batch.job for server in batch.servers]
    assert made.count(LAUNCH) >= len([batch for batch in history.batches if batch.job])
    for server in history.servers:
        check_order(server, history)
    assert len(launched) == len(set(launched)), "a server was launched twice"
    return len(calls)


def check_order(server: ServerHistory, history: RunHistory) -> None:
    """Approved, then fenced, then launched, then changed over: each noted before it's begun."""
    stages, passed = {each.stage: each for each in server.stages}, server.record.milestones
    batch = next((each for each in history.batches if server.record.id in each.servers and each.job), None)
    if batch is None:
        assert passed.started is None
        assert "cut_over" not in stages
        return
    times: list[datetime | None] = [
        stages["await_replication"].updated,
        stages["await_approval"].updated,
        passed.fenced,
        stages["quiesce"].updated,
        stages["await_launch"].began,
        passed.launched,
    ]
    assert None not in times, (server.record.id, times)
    assert times == sorted(times, key=lambda each: each.timestamp() if each else 0.0), (server.record.id, times)
    if "cut_over" in stages:
        assert stages["await_launch"].status == "done"
        assert stages["await_launch"].updated <= stages["cut_over"].began
        assert passed.started is None or passed.started >= stages["await_launch"].updated
