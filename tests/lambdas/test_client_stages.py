"""A server's way through its functions, all clouds in memory: booted, registered with keys, given back, reported."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

from failback.doorway import stage_doorway
from failback.errors import RegistrationFailed
from failback.model.agent import AgentSettings
from failback.model.record import RunRecord
from failback.model.recovery import INITIATION_STEPS
from failback.model.server import ServerOutcome
from failback.naming import report_key
from lambdas.stages.boot_client.handler import boot
from lambdas.stages.give_back.handler import undo
from lambdas.stages.register_client.handler import register
from lambdas.stages.write_report.handler import report
from tests.client_bench import SERVER, Bench, RuleBelongings
from tests.home.memory import MemoryBelongings
from tests.memory.objects import MemoryObjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from lambdas.connections import Connections

T = TypeVar("T")
CONTEXT = SimpleNamespace(aws_request_id="r-1")


class Around:
    """Connections whose ports are a bench's."""

    deadline = timedelta(minutes=90)

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench, self.name = bench, name
        self.recovery, self.hosts, self.servers = bench.recovery, bench.hosts, bench.book
        self.run_log, self.clock, self.key_mint = bench.run_log, bench.clock, bench.mint
        self.documents, self.hooks, self.decisions = bench.documents, bench.hooks, bench.decisions
        self.settings, self.objects, self.belongings = bench.settings, MemoryObjects(), RuleBelongings(bench.hosts)

    def home(self, state: object) -> object:
        bench = self.bench
        home = MemoryBelongings(bench.images, bench.machines)
        return SimpleNamespace(images=bench.images, machines=bench.machines, takeovers=bench.takeovers, belongings=home)

    def guard(self, call: Callable[[], T], /) -> T:
        return call()

    def call(self, stage: str, work: Callable[[Any, Any], Any]) -> dict[str, Any]:
        """A call of a function, its result kept in the state as the state machine does."""
        connections = cast("Connections", self)
        # Powertools keeps a service's log where it first went: each test has services of its own.
        handler = stage_doorway(f"{stage} {self.name}", work, lambda: connections)
        result = handler(json.loads(self.bench.state.model_dump_json()), CONTEXT)
        if stage != "write_report":
            fields = {**self.bench.state.model_dump(mode="json"), stage: result}
            self.bench.state = type(self.bench.state).model_validate_json(json.dumps(fields))
        return result

    def through(self, stage: str, work: Callable[[Any, Any], Any]) -> dict[str, Any]:
        """Calls until it's done."""
        while (result := self.call(stage, work))["status"] != "done":
            self.clock.forward(seconds=result["wait_seconds"])
        return result


@pytest.fixture
def around(request: pytest.FixtureRequest) -> Around:
    bench = Bench()
    bench.target(client={"kind": "keys"})
    state = bench.state
    record = RunRecord(
        run=state.run.id,
        execution=state.run.execution,
        goal="failback",
        target="azure-home",
        home="azure",
        started=state.run.started,
    )
    bench.run_log.open(record)
    return Around(bench, request.node.name)


def asking(around: Around) -> None:
    """Booted, and the agent asks for keys."""
    around.through("boot_client", boot)
    around.bench.machine.text += f"FAILBACK-AGENT credentials-wanted {around.bench.state.run.id} {SERVER}\r\n"
    assert around.call("register_client", register)["status"] == "pending"


def seen(around: Around, capsys: pytest.CaptureFixture[str]) -> str:
    """All that anybody can see of the run: logs, records, state, reports."""
    said = capsys.readouterr()
    stored = around.objects.find(report_key(around.bench.state.run.id))
    assert stored is not None
    written = around.objects.read(stored.key, 0, stored.size).decode()
    log = around.run_log
    kept = (log.records, log.entries, log.server_entries, log.leases, around.servers.records)
    return f"{said.out}{said.err}{kept!r}{around.bench.state!r}{around.bench.state.model_dump_json()}{written}"


def keys(around: Around) -> set[str]:
    """Every secret that the machine was ever told."""
    told = [AgentSettings.from_text(text) for text in around.bench.machine.told]
    secrets = [key for each in told for key in (each.access_key, each.secret_key, each.session_token) if key]
    return {secret.get_secret_value() for secret in secrets}


def test_a_client_is_taken_to_replication_and_no_key_is_seen(
    around: Around, capsys: pytest.CaptureFixture[str]
) -> None:
    asking(around)
    around.bench.machine.text += "FAILBACK-AGENT credentials received keys\r\n"
    around.bench.steps(**dict.fromkeys(INITIATION_STEPS, "SUCCEEDED"))
    registered = around.through("register_client", register)
    assert registered["facts"] == {"client": "c0ffee", "to_original": False}
    secrets = keys(around)
    assert len(secrets) == 3
    ready = ServerOutcome(outcome="home", at=around.clock.now())
    around.servers.settle(around.bench.state.run.id, SERVER, ready)
    around.bench.run_state()
    outcome = around.call("write_report", report)
    assert outcome["facts"]["outcome"] == "done"
    text = seen(around, capsys)
    assert "stage called" in text
    assert not [secret for secret in secrets if secret in text]
    assert not around.run_log.leases
    assert around.bench.machine.state == "running"


def test_a_client_that_fails_is_given_back_and_no_key_is_seen(
    around: Around, capsys: pytest.CaptureFixture[str]
) -> None:
    asking(around)
    around.bench.machine.text += "FAILBACK-AGENT failed credentials STS: 403\r\n"
    with pytest.raises(RegistrationFailed) as caught:
        around.call("register_client", register)
    secrets = keys(around)
    assert len(secrets) == 3
    around.bench.failed("register_client", caught.value)
    assert around.through("give_back", undo)["facts"]["left"] == []
    around.bench.failed("nothing", failed={})
    around.bench.run_state()
    outcome = around.call("write_report", report)
    assert outcome["facts"]["error"] == "ServersFailed"
    assert "gave up at credentials" in outcome["facts"]["cause"]
    text = seen(around, capsys)
    assert "stage failed" in text
    assert not [secret for secret in secrets if secret in text]
    assert not around.bench.machines.machines
