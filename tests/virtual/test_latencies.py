"""What a run costs where the cloud takes its time: transitions and events by stage, and what's added to the waits."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.virtual.battery import Battery
from tests.virtual.interpreter import EVENTS
from tests.virtual.world import Slow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tests.virtual.interpreter import History
    from tests.virtual.wire import Wire
    from tests.virtual.world import World

pytestmark = pytest.mark.timeout(480)
LATENCY = {"virtualMachines/deallocate": 90.0, "snapshots/write": 60.0, "virtualMachines/start": 120.0}
"""Seconds."""
BOOT = 180.0
MOST_TRANSITIONS = 30
LOOK = 3
"""Transitions of a look that finds nothing done yet: called, judged, waited."""
MOST_OVERHEAD = 0.35
"""Of the sum of the waits: what looks come too late, the watcher's minutes, and all else that's ours."""


@pytest.mark.parametrize("way", ["original", "new", "helper"])
def test_transitions_events_and_overhead_by_stage(world: World, wire: Wire, fence: str, way: str) -> None:
    battery = Battery(world, wire, fence, way=way, slow=Slow(LATENCY, BOOT), cutover={"verify": {"minutes": 30}})
    before = len(world.functions.invocations)
    assert battery.run([None]) == ["home"]
    history = next(each for each in reversed(world.executions.values()) if each.children)
    (server,) = history.children
    print(f"\n{way}: a server's way home, Azure's operations as stated, in virtual time")
    transitions, looks = _table(server, Counter(each.stage for each in world.functions.invocations[before:]))
    began, ended = server.passed[0].at, server.passed[-1].at
    waited = _covered(world.waits(), began, ended)
    whole = (ended - began).total_seconds()
    overhead = whole - waited
    print(f"from the first state to the last {whole:.0f} s, of it the cloud's own waits {waited:.0f} s, "
          f"ours {overhead:.0f} s ({overhead / waited:.0%})")  # fmt: skip
    assert transitions <= MOST_TRANSITIONS + LOOK * looks
    assert waited >= BOOT + LATENCY["virtualMachines/start"]
    assert overhead <= MOST_OVERHEAD * waited


def _table(server: History, calls: Counter[str]) -> tuple[int, int]:
    """Prints a line for each stage; gives transitions and looks of all."""
    stages: dict[str, list[float]] = {}
    for each in server.passed:
        stage = each.state.removesuffix("_judged").removesuffix("_waits")
        line = stages.setdefault(stage, [0, 0, 0, 0])
        line[0] += 1
        line[1] += EVENTS.get(each.kind, 2)
        line[2] += each.seconds
        line[3] += each.state.endswith("_waits")
    print(f"{'stage':20} {'transitions':>11} {'events':>7} {'calls':>6} {'looks':>6} {'seconds':>8}")
    for stage, (count, events, seconds, looks) in stages.items():
        print(f"{stage:20} {count:11.0f} {events:7.0f} {calls[stage]:6d} {looks:6.0f} {seconds:8.0f}")
    count, events, seconds, looks = (sum(column) for column in zip(*stages.values(), strict=True))
    print(f"{'all':20} {count:11.0f} {events + 2:7.0f} {'':6} {looks:6.0f} {seconds:8.0f}")
    return int(count), int(looks)


def _covered(spans: Sequence[tuple[datetime, datetime]], began: datetime, ended: datetime) -> float:
    """Seconds of a time in which at least one of the spans goes on."""
    covered, reached = 0.0, began
    for start, end in sorted(spans):
        start, end = max(start, reached), min(end, ended)
        if end > start:
            covered += (end - start).total_seconds()
            reached = end
    return covered
