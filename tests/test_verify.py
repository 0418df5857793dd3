"""Proving a server at home: each signal, what isn't one, the time it has, and the traffic hook."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import ValidationError

from failback import console_marks, verify
from failback.errors import CloudBusy, CloudRefused
from failback.home_ports import MachineToBuild
from failback.model.cutover import MOST_PROBES, VerifyChoice
from failback.model.run import HomeImage, RunState
from failback.model.stage import StageResult, facts_of
from failback.model.way_home import CutOver, HoldEnd, Verified
from failback.signs_of_life import USUAL_SERIAL, own_lines, read_serial
from lambdas.stages.verify_server.handler import verify as call_stage
from tests.home.memory_machines import MemoryHomeMachines, MemoryMachine
from tests.home.memory_takeovers import MemorySigns
from tests.memory.clock import FixedClock
from tests.memory.hooks import MemoryHooks
from tests.memory.probes import MemoryProbes
from tests.states import event_of, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.takeover_ports import Signs

STATE = state_of("verify_server")
OWN = cast("CutOver", facts_of(STATE.cut_over))
ADDRESS = "10.20.0.5"
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:check-server"
TRAFFIC = "arn:aws:lambda:eu-west-1:111122223333:function:move-traffic"
CLIENT = (
    "[    0.000000] Command line: BOOT_IMAGE=(memdisk) root=live:CDLABEL=DRSFAILBACK rd.live.image\r\n"
    "[  \x1b[0;32mOK\x1b[0m  ] Reached target \x1b[0;1;39mMulti-User System\x1b[0m.\r\n"
    "AWS DRS Failback Client\r\nclient login: FAILBACK-AGENT started image=x\r\n"
    "FAILBACK-AGENT completed i-0a1b2c3d4e5f60718 the client asked for its restart\r\n"
    "FAILBACK-AGENT poweroff completed\r\n"
    "[  OK  ] Reached target Power-Off.\r\n[  99.000000] reboot: Power down\r\n"
)


class _Throttled(Exception):
    """What an SDK raises."""


@dataclass
class Bench:
    """A home with the server's own machine, running, and the stage's state from call to call."""

    machines: MemoryHomeMachines = field(default_factory=MemoryHomeMachines)
    probes: MemoryProbes = field(default_factory=MemoryProbes)
    hooks: MemoryHooks = field(default_factory=lambda: MemoryHooks(answers=[{}]))
    clock: FixedClock = field(default_factory=lambda: FixedClock(OWN.started))
    state: RunState = STATE
    blind: Exception | None = None

    def __post_init__(self) -> None:
        image = HomeImage(id="memory/none", name="none", key="0" * 20)
        self.machine = MemoryMachine(MachineToBuild(OWN.machine, image, "bios", "", {}), "running")
        self.machines.machines[OWN.machine] = self.machine
        self.machines.address(OWN.machine, tags={})
        self.machines.interfaces[OWN.machine].address = ADDRESS
        self.signs = MemorySigns(self.machines)
        self.choose(traffic=None)

    def choose(self, goal: str = "failback", *, traffic: str | None = None, **verify: Any) -> Bench:  # noqa: ANN401
        """What the request says."""
        cutover = {"fence": {"kind": "none"}, "verify": verify, "traffic": traffic}
        self.state = RunState.model_validate(event_of("verify_server", cutover=cutover, goal=goal))
        return self

    def look(self, name: str) -> Signs:
        if self.blind is not None:
            raise self.blind
        return self.signs.look(name)

    def guard(self, call: Callable[[], Any], /) -> Any:  # noqa: ANN401
        try:
            return call()
        except _Throttled as error:
            raise CloudBusy(str(error)) from error

    def call(self, seconds: float = 15) -> Any:  # noqa: ANN401
        """One call after that time, its result kept as the state machine keeps it: as JSON."""
        self.clock.forward(seconds=seconds)
        desk = verify.ProofDesk(
            signs=cast("Any", self), probes=self.probes, hooks=self.hooks, guard=self.guard, clock=self.clock
        )
        result = verify.verify_server(self.state, desk)
        kept = {**self.state.model_dump(mode="json"), "verify_server": result.model_dump(mode="json")}
        self.state = RunState.model_validate(kept)
        return result

    def proven(self) -> Verified:
        result = self.call()
        assert result.status == "done"
        assert isinstance(result.facts, Verified)
        assert result.facts.verified
        return result.facts

    def note(self) -> str:
        """What's said of a look that showed nothing."""
        result = self.call()
        assert result.status == "pending"
        assert result.facts is None
        assert result.progress is not None
        note: str = result.progress.note
        return note


@pytest.fixture
def bench() -> Bench:
    return Bench()


USUAL = {
    "getty": "Ubuntu 22.04.4 LTS web ttyS0\r\n\r\nweb-01.example.com login: ",
    "getty-without-a-name": "FreeBSD/amd64 (web) (ttyu0)\r\n\r\nlogin: ",
    "systemd": "[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mMulti-User System\x1b[0m.\r\n",
    "systemd-with-units": "[  OK  ] Reached target multi-user.target - Multi-User System.\r\n",
    "graphical": "[  OK  ] Reached target Graphical Interface.\r\n",
    "cloud-init": "[   31.4] cloud-init[812]: Cloud-init v. 23.4 finished at Sun, 22 Nov 2026 14:25:50 +0000.\r\n",
    "windows": "Computer is booting.\r\nEVENT:   The CMD command is now available.\r\nSAC>",
}


@pytest.mark.parametrize("console", USUAL.values(), ids=USUAL)
@pytest.mark.parametrize("before", ["", CLIENT], ids=["own-machine", "client-s-machine"])
def test_usual_systems_prove_themselves_on_their_console(bench: Bench, console: str, before: str) -> None:
    bench.machine.text = before
    bench.note()
    bench.machine.text += console
    facts = bench.proven()
    assert facts.signal == "serial"
    assert facts.said in own_lines(console)
    assert "\x1b" not in facts.said
    assert facts.seconds == 30
    assert facts.console == console_marks.tail(before + console)
    assert facts.remarks == ()


NOT_UP = {
    "nothing": "",
    "kernel": "[    0.000000] Linux version 5.15\r\n",
    "half-way": "[  OK  ] Reached target Basic System.\r\n[  OK  ] Stopped target Multi-User System.\r\n",
    "emergency": "You are in emergency mode. \r\nGive root password for maintenance\r\n",
    "client": CLIENT,
    "client-under-way": CLIENT[: CLIENT.index("FAILBACK-AGENT completed")] + "FAILBACK-AGENT client-running 98 %",
    "client-s-kernel": "[ 3.1] FAILBACK-AGENT warning hook: x\r\n",
    "client-s-boot": CLIENT[: CLIENT.index("[  \x1b")],
}


@pytest.mark.parametrize("console", NOT_UP.values(), ids=NOT_UP)
def test_neither_a_boot_under_way_nor_the_client_proves_anything(bench: Bench, console: str) -> None:
    bench.machine.text = console
    note = bench.note()
    assert "serial: " in note
    assert not read_serial(USUAL_SERIAL, console).positive


def test_a_pattern_of_the_request_counts_instead_of_the_usual_ones(bench: Bench) -> None:
    bench.choose(serial=r"^shop ready on port \d+$")
    bench.machine.text = f"{CLIENT}web login: \r\n"
    assert "serial: its console's last line is 'web login:'" in bench.note()
    bench.machine.text += "shop ready on port 443\r\n"
    assert bench.proven().said == "shop ready on port 443"


def test_a_pattern_never_matches_what_the_client_wrote(bench: Bench) -> None:
    bench.choose(serial="completed|Command line|client")
    bench.machine.text = CLIENT
    bench.note()


def test_a_word_of_the_guest_agent_proves_it_unless_it_is_not_asked_for(bench: Bench) -> None:
    bench.signs.agents[OWN.machine] = "Ready"
    facts = bench.proven()
    assert (facts.signal, facts.said) == ("agent", "Ready")
    bench.choose(agent=False)
    assert "agent" not in bench.note()


def test_an_answer_at_its_own_address_proves_it(bench: Bench) -> None:
    bench.choose(tcp=["{address}:22", "{address}:443"], http="https://{address}/health")
    note = bench.note()
    assert f"tcp: {ADDRESS}:22: refused; tcp: {ADDRESS}:443: refused; http: https://{ADDRESS}/health: refused" in note
    bench.probes.there.add(f"{ADDRESS}:443")
    facts = bench.proven()
    assert (facts.signal, facts.said) == ("tcp", f"{ADDRESS}:443: it answers")
    bench.choose(http="https://{address}/health")
    bench.probes.there.add(f"https://{ADDRESS}/health")
    assert bench.proven().signal == "http"


def test_addresses_of_the_request_are_asked_but_not_in_a_rehearsal(bench: Bench) -> None:
    chosen: dict[str, Any] = {"tcp": ["10.9.9.9:22"], "http": "https://shop.example.com/"}
    bench.probes.there = {"10.9.9.9:22", "https://shop.example.com/"}
    bench.choose(**chosen)
    assert bench.proven().said == "10.9.9.9:22: it answers"
    bench.probes.asked.clear()
    note = bench.choose("rehearse", **chosen).note()
    assert note.count("isn't asked in a rehearsal") == 2
    assert bench.probes.asked == []


def test_without_an_address_nothing_is_asked(bench: Bench) -> None:
    bench.machines.interfaces.clear()
    assert "tcp: the machine's address isn't known" in bench.choose(tcp=["{address}:22"]).note()
    assert bench.probes.asked == []


def test_a_function_of_the_customer_s_decides_what_it_says(bench: Bench) -> None:
    bench.choose(function=FUNCTION)
    bench.hooks.answers = [
        {"verified": False, "said": "no orders yet"},
        {"verified": "true"},
        "it failed",
        _Throttled("too many calls"),
        {"verified": True, "said": "42 orders"},
    ]
    assert bench.note().endswith("function: no orders yet")
    assert bench.note().endswith("function: verified is true")
    assert bench.note().endswith("function: it failed")
    assert bench.note().endswith("function: too many calls")
    facts = bench.proven()
    assert (facts.signal, facts.said) == ("function", "42 orders")
    function, event = bench.hooks.calls[0]
    assert function == FUNCTION
    assert event == {
        "action": "verify",
        "run": STATE.run.id,
        "goal": "failback",
        "server": STATE.one,
        "machine": OWN.machine,
        "address": ADDRESS,
    }


def test_the_first_sign_ends_it_and_nothing_dearer_is_asked(bench: Bench) -> None:
    bench.choose(tcp=["{address}:22"], function=FUNCTION)
    bench.machine.text = "web login: "
    bench.proven()
    assert bench.probes.asked == []
    assert bench.hooks.calls == []


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_what_is_not_running_proves_nothing_and_is_told(bench: Bench, state: str) -> None:
    bench.choose(tcp=["{address}:22"], function=FUNCTION)
    bench.machine.text, bench.machine.state = "web login: ", cast("Any", state)
    bench.signs.agents[OWN.machine] = "Ready"
    bench.probes.there.add(f"{ADDRESS}:22")
    assert "isn't running" in bench.note()
    assert bench.probes.asked == []
    assert bench.hooks.calls == []


def test_time_runs_out_without_an_error_and_all_that_was_said_is_kept(bench: Bench) -> None:
    bench.choose(tcp=["{address}:22"], function=FUNCTION, minutes=10)
    bench.machine.text = f"{CLIENT}Kernel panic - not syncing\r\n"
    looks, wait = 0, 1
    while (result := bench.call(wait)).status != "done":
        looks, wait = looks + 1, result.wait_seconds
    facts = result.facts
    assert not facts.verified
    assert facts.signal == ""
    assert facts.said == (
        "serial: its console's last line is 'Kernel panic - not syncing'; agent: nothing of the guest agent; "
        f"tcp: {ADDRESS}:22: refused; function: verified is None"
    )
    assert facts.console.endswith("Kernel panic - not syncing")
    assert 601 <= facts.seconds <= 603
    assert looks == 40


def test_a_server_that_a_person_has_tried_again_has_all_its_time_anew(bench: Bench) -> None:
    bench.choose(minutes=10)
    bench.call()
    bench.clock.forward(hours=5)
    held = HoldEnd(next="verify_server", at=bench.clock.now())
    bench.state = bench.state.model_copy(update={"hold_server": StageResult(status="done", facts=held)})
    assert bench.call().status == "pending"
    assert bench.call(590).status == "pending"
    assert bench.call(10).facts.verified is False


def test_a_day_of_looks_fits_into_an_execution(bench: Bench) -> None:
    bench.choose(minutes=24 * 60)
    looks, wait = 0, 0
    while (result := bench.call(wait)).status != "done":
        looks, wait = looks + 1, result.wait_seconds
        assert wait >= verify.SHORTEST_WAIT or looks > 300
    assert 300 < looks < 350
    assert bench.clock.now() - OWN.started < timedelta(hours=24, minutes=1)


def test_a_home_that_refuses_to_show_the_machine_is_told_and_others_are_asked(bench: Bench) -> None:
    bench.blind = CloudRefused("rights are missing: read the boot diagnostics")
    bench.choose(tcp=["10.9.9.9:22"])
    assert "the home doesn't show it: rights are missing" in bench.note()
    bench.probes.there.add("10.9.9.9:22")
    assert bench.proven().signal == "tcp"


def test_a_busy_home_is_looked_at_by_the_next_call(bench: Bench) -> None:
    bench.blind = _Throttled("busy")
    with pytest.raises(CloudBusy):
        bench.call()


def test_traffic_is_moved_once_the_sign_is_in_the_state(bench: Bench) -> None:
    bench.choose(traffic=TRAFFIC)
    bench.machine.text = "web login: "
    first = bench.call()
    assert (first.status, first.wait_seconds, first.facts) == ("more", 0, None)
    assert first.cursor.signal == "serial"
    assert bench.hooks.calls == []
    # What's seen later doesn't count any more.
    bench.machine.text = ""
    facts = bench.proven()
    assert (facts.signal, facts.said, facts.seconds, facts.remarks) == ("serial", "web login:", 15, ())
    ((function, event),) = bench.hooks.calls
    assert function == TRAFFIC
    assert event["action"] == "traffic"
    assert event["token"] == f"{STATE.run.id}/{STATE.one}"
    assert event["address"] == ADDRESS


def test_a_lost_call_of_the_traffic_hook_is_made_again_with_the_same_token(bench: Bench) -> None:
    bench.choose(traffic=TRAFFIC)
    bench.machine.text = "web login: "
    bench.call()
    before = bench.state
    bench.proven()
    bench.state = before
    bench.proven()
    first, second = (event for _, event in bench.hooks.calls)
    assert first == second


def test_a_traffic_hook_that_fails_leaves_the_server_proven_with_a_remark(bench: Bench) -> None:
    bench.choose(traffic=TRAFFIC)
    bench.machine.text = "web login: "
    bench.call()
    bench.hooks.answers = ["no such zone"]
    (remark,) = bench.proven().remarks
    assert TRAFFIC in remark
    assert "no such zone" in remark
    assert "before you accept" in remark


def test_a_busy_traffic_hook_is_called_again_for_a_while(bench: Bench) -> None:
    bench.choose(traffic=TRAFFIC)
    bench.machine.text = "web login: "
    bench.call()
    bench.hooks.answers = [_Throttled("too many calls"), {}]
    again = bench.call()
    assert (again.status, again.wait_seconds) == ("pending", verify.SHORTEST_WAIT)
    assert bench.proven().remarks == ()


def test_a_traffic_hook_that_stays_busy_becomes_a_remark(bench: Bench) -> None:
    bench.choose(traffic=TRAFFIC)
    bench.machine.text = "web login: "
    bench.call()
    bench.hooks.answers = [_Throttled("too many calls")]
    assert bench.call().status == "pending"
    result = bench.call(verify.TRAFFIC_PATIENCE)
    assert result.facts.verified
    assert "too many calls" in result.facts.remarks[0]


def test_traffic_never_goes_to_a_rehearsal(bench: Bench) -> None:
    bench.choose("rehearse", traffic=TRAFFIC)
    bench.machine.text = "web login: "
    assert bench.proven().signal == "serial"
    assert bench.hooks.calls == []


def test_an_unproven_server_moves_no_traffic(bench: Bench) -> None:
    bench.choose(traffic=TRAFFIC, minutes=1)
    bench.call()
    assert bench.call(60).facts.verified is False
    assert bench.hooks.calls == []


def test_what_is_said_is_bounded(bench: Bench) -> None:
    bench.choose(serial=".", tcp=["{address}:1"] * MOST_PROBES, minutes=1)
    bench.machine.text = "x" * 100_000
    assert len(bench.proven().model_dump_json()) < 3_000


@pytest.mark.parametrize(
    ("choice", "path", "word"),
    [
        ({"serial": "login:("}, "serial", "regular expression"),
        ({"serial": "*"}, "serial", "regular expression"),
        ({"tcp": ["{address}:0"]}, "tcp", "1 to 65535"),
        ({"tcp": ["web:22", "web:65536"]}, "tcp", "web:65536"),
        ({"tcp": ["{name}:22"]}, "tcp", "pattern"),
        ({"tcp": ["web:22"] * (MOST_PROBES + 1)}, "tcp", "at most 5"),
    ],
    ids=["bracket", "star", "port-0", "port-65536", "another-word", "too-many"],
)
def test_what_cannot_be_asked_for_is_a_fault_of_the_request(choice: dict[str, Any], path: str, word: str) -> None:
    with pytest.raises(ValidationError) as caught:
        VerifyChoice.model_validate(choice)
    (fault, *_) = caught.value.errors()
    assert fault["loc"][0] == path
    assert word in fault["msg"]


def test_the_usual_pattern_is_one_that_a_request_may_give() -> None:
    assert VerifyChoice(serial=USUAL_SERIAL).serial == USUAL_SERIAL


def test_the_stage_s_function_puts_the_adapters_together(bench: Bench) -> None:
    class Around:
        probes, hooks, clock, guard = bench.probes, bench.hooks, bench.clock, bench.guard

        def home(self, state: RunState) -> Any:  # noqa: ANN401
            return type("Home", (), {"signs": bench.signs})

    bench.machine.text = "web login: "
    assert call_stage(bench.state, cast("Any", Around())).status == "done"
