"""The functions that boot the client in the machine that was failed over, and make a server of it: all in memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from lambdas.stages.boot_client.handler import boot
from lambdas.stages.cut_over.handler import change
from tests.servers_at_home import ORIGINAL, bench_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.stage import StageResult
    from lambdas.connections import Connections
    from tests.client_bench import Bench


def connections(bench: Bench) -> Connections:
    """As a function has them, of what the bench has."""
    home = SimpleNamespace(images=bench.images, machines=bench.machines, takeovers=bench.takeovers)
    around = SimpleNamespace(
        recovery=bench.recovery, hosts=bench.hosts, servers=bench.book, clock=bench.clock, settings=bench.settings,
        home=lambda state: home,
    )  # fmt: skip
    return cast("Connections", around)


def through(bench: Bench, stage: str, work: Callable[[Any, Connections], StageResult[Any, Any]]) -> Any:  # noqa: ANN401
    """Calls until it's done, each result kept in the state; its facts."""
    while True:
        result = work(bench.state, connections(bench))
        bench.state = bench.state.model_copy(update={stage: result})
        if result.status == "done":
            return result.facts


def test_the_machine_that_was_failed_over_ends_as_the_server() -> None:
    bench = bench_of("original")
    assert through(bench, "boot_client", boot).machine == ORIGINAL
    bench.launched().shut_down(ORIGINAL)
    facts = through(bench, "cut_over", change)
    assert (facts.machine, facts.started) == (ORIGINAL, bench.record.milestones.started)
    document = bench.takeovers.document(ORIGINAL)
    assert document is not None
    assert document["boot"] == "web-os-clone"
    assert bench.machines.machines[ORIGINAL].state == "running"
