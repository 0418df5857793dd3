"""500 servers that fail with long causes, and a few among them that don't: no state grows too large, nobody is touched
by another's failure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.aws.recovery import DrsRecovery
from failback.errors import CloudRefused
from tests.client_iso import ClientIso
from tests.localcloud.runs.servers import UNATTENDED, by_id, failed_over, outcome_of
from tests.virtual.interpreter import LARGEST_STATE
from tests.virtual.world import open_world

if TYPE_CHECKING:
    from pathlib import Path

COUNT, GOOD = 500, 3
CAUSE = 2048
"""Bytes of each failure's cause."""


@pytest.mark.battery
@pytest.mark.timeout(1800)
def test_500_servers_with_long_causes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    iso = ClientIso().write(tmp_path)
    with open_world(tmp_path / "world", iso) as world:
        assert world.finish(world.start("prepared", {"goal": "prepare", "target": "azure-home"})).failure is None
        servers = [failed_over(world.place, f"many-{number:03}") for number in range(COUNT)]
        good = {each.id for each in servers[:: COUNT // GOOD][:GOOD]}
        read = DrsRecovery.configuration

        def refused(recovery: DrsRecovery, instance: str) -> Any:  # noqa: ANN401
            if instance in good or world.functions.now != "boot_client":
                return read(recovery, instance)
            raise CloudRefused(f"{instance}: {'no, and again no. ' * CAUSE}"[:CAUSE])

        monkeypatch.setattr(DrsRecovery, "configuration", refused)
        asked = [{"recovery_instance": each.id} for each in servers]
        before = world.place.listing()
        arn = world.start("many", {"goal": "failback", "target": "azure-home", "servers": asked, "cutover": UNATTENDED})
        history = world.finish(arn)
        records = by_id(world.place, arn)
        report = world.place.report("many")
        after = world.place.listing()
    largest = max((each.size, each.state) for run in history.everyone() for each in run.passed)
    outcomes = Counter(each.record.outcome.outcome for each in records.values() if each.record.outcome)
    print(f"\n{COUNT} servers: {dict(outcomes)}; the largest state {largest[0]:,} bytes ({largest[1]}), "
          f"the longest child's history {max(each.events for each in history.children)} events")  # fmt: skip
    assert outcomes == {"home": GOOD, "failed": COUNT - GOOD}
    assert {each for each, record in records.items() if outcome_of(record).outcome == "home"} == good
    assert len(history.children) == COUNT
    assert largest[0] <= LARGEST_STATE
    causes = [each["record"]["outcome"]["cause"] for each in report["servers"] if each["record"]["id"] not in good]
    assert min(len(each) for each in causes) >= CAUSE // 2
    assert after["leases"] == {}
    failed = {key: what for key, what in before["recovery"].items() if key not in good}
    assert {key: after["recovery"][key] for key in failed} == failed
