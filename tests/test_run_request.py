"""The gate: every fault of a request at once, nothing kept of a request that's refused, no server in two runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import CloudBusy, DeploymentInvalid, RequestInvalid
from failback.model.request import MOST_SERVERS, StartEvent
from failback.naming import server_lock
from failback.run_request import check_request
from tests.memory.clock import NOON, FixedClock
from tests.memory.run_log import MemoryRunLog
from tests.states import event_of, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.run import RunState
    from failback.model.target import Target

FUNCTIONS: dict[Any, dict[str, str]] = {"azure": {"import_image": "drs-failback-import-image-azure"}}
ONE, TWO = "i-0a1b2c3d4e5f60718", "i-0a1b2c3d4e5f60719"


class Targets:
    """One good target, and one whose parameter is broken."""

    def __init__(self) -> None:
        self.good = state_of("find_client_image").target

    def names(self) -> Sequence[str]:
        return [self.good.name, "broken"]

    def get(self, name: str) -> Target | None:
        if name == "broken":
            message = "targets/broken: location: Field required"
            raise DeploymentInvalid(message)
        return self.good if name == self.good.name else None


class BrokenLog(MemoryRunLog):
    """Is busy at one call."""

    def __init__(self, call: str, at: str = "") -> None:
        super().__init__()
        self._call, self._at = call, at

    def lease(self, name: str, holder: str, *, now: datetime, until: datetime) -> str:
        if self._call == "lease" and name == self._at:
            raise CloudBusy
        return super().lease(name, holder, now=now, until=until)

    def open(self, record: Any) -> None:  # noqa: ANN401 - never looked at
        raise CloudBusy


def prepare(**changed: object) -> StartEvent:
    """A request without servers."""
    return start(**{"request": {"goal": "prepare", "target": "azure-home"}, **changed})


def start(**changed: object) -> StartEvent:
    """The example's: two servers."""
    return StartEvent.model_validate(event_of("check_request", **changed))


def of_servers(*servers: object, goal: str = "failback", **more: object) -> StartEvent:
    return start(request={"goal": goal, "target": "azure-home", "servers": list(servers), **more})


def check(event: StartEvent, run_log: MemoryRunLog) -> RunState:
    return check_request(
        event,
        targets=Targets(),
        functions=FUNCTIONS,
        run_log=run_log,
        book=run_log.servers,
        clock=FixedClock(),
    )


def refusal(event: StartEvent, run_log: MemoryRunLog | None = None) -> str:
    with pytest.raises(RequestInvalid) as caught:
        check(event, run_log or MemoryRunLog())
    return str(caught.value)


def test_a_request_becomes_a_run() -> None:
    run_log = MemoryRunLog()
    state = check(prepare(), run_log)
    assert state.target == Targets().good
    assert state.home.functions == FUNCTIONS["azure"]
    assert state.client_image.iso_version == "latest"
    assert (state.servers, run_log.leases) == ((), {})
    history = run_log.read(state.run.id)
    assert history is not None
    assert (history.record.target, history.record.status) == ("azure-home", "running")


def test_a_run_of_servers_holds_their_locks_and_ids_and_knows_its_deadline() -> None:
    run_log = MemoryRunLog()
    state = check(start(), run_log)
    assert [server.id for server in state.servers] == [ONE, TWO]
    assert state.timeout_seconds == 14 * 24 * 3600 + 3600
    until = state.run.started + timedelta(days=31)
    assert run_log.leases == {server_lock(each): (state.run.id, until) for each in (ONE, TWO)}
    assert run_log.servers.of(state.run.id)[1].request.way == "helper"


def test_what_is_asked_of_replication_goes_along() -> None:
    wish = {"private_ip": False, "deadline_hours": 2, "on_stuck": "wait"}
    state = check(of_servers({"recovery_instance": ONE}, goal="check", replication=wish), MemoryRunLog())
    assert (state.goal, state.replication.private_ip, state.replication.on_stuck) == ("check", False, "wait")
    assert state.timeout_seconds == 3 * 3600


def test_the_same_request_again_changes_nothing() -> None:
    run_log = MemoryRunLog()
    first = check(start(), run_log)
    locks = dict(run_log.leases)
    assert check(start(), run_log) == first
    assert run_log.leases == locks
    assert len(run_log.recent(10)) == 1


def test_a_server_of_another_run_is_refused_and_no_lock_is_kept() -> None:
    run_log = MemoryRunLog()
    run_log.lease(server_lock(TWO), "last-week", now=NOON, until=NOON + timedelta(days=1))
    assert f"servers.1.recovery_instance: run last-week has {TWO}" in refusal(start(), run_log)
    assert set(run_log.leases) == {server_lock(TWO)}
    assert not run_log.recent(10)
    assert not run_log.servers.records


@pytest.mark.parametrize("goal", ["check", "prepare"])
def test_a_run_that_changes_no_server_neither_takes_locks_nor_minds_them(goal: str) -> None:
    run_log = MemoryRunLog()
    run_log.lease(server_lock(ONE), "last-week", now=NOON, until=NOON + timedelta(days=1))
    assert check(of_servers({"recovery_instance": ONE}, goal=goal), run_log).servers[0].id == ONE
    assert set(run_log.leases) == {server_lock(ONE)}


def test_a_lock_that_ran_out_is_taken_over() -> None:
    run_log = MemoryRunLog()
    run_log.lease(server_lock(TWO), "last-month", now=NOON - timedelta(days=32), until=NOON - timedelta(days=1))
    state = check(start(), run_log)
    assert run_log.leases[server_lock(TWO)][0] == state.run.id


@pytest.mark.parametrize("call", ["lease", "open"])
def test_what_cannot_be_noted_is_not_locked_either(call: str) -> None:
    run_log = BrokenLog(call, at=server_lock(TWO))
    with pytest.raises(CloudBusy):
        check(start(), run_log)
    assert not run_log.leases


def test_no_lock_is_taken_for_a_faulty_request() -> None:
    run_log = MemoryRunLog()
    refusal(of_servers({"recovery_instance": ONE}, {"recovery_instance": "web-01"}), run_log)
    assert not run_log.leases


def test_all_faults_are_told_at_once_and_nothing_is_noted() -> None:
    run_log = MemoryRunLog()
    text = refusal(
        start(
            name="no blanks, please",
            request={"goal": "fly", "target": "nowhere", "client_image": {"ami": "ami-1"}, "speed": 9},
        ),
        run_log,
    )
    for part in ("name: ", "goal: ", "client_image.ami: ", "speed: ", "no target 'nowhere'", "azure-home, broken"):
        assert part in text
    assert not run_log.recent(10)


def test_faults_of_servers_have_their_paths_single_ones_and_those_of_the_whole() -> None:
    data = {"device": "/dev/sdb", "lun": 3}
    text = refusal(
        of_servers(
            {"recovery_instance": ONE, "name": "web", "disks": [data, {"device": "/dev/sdc", "lun": 3}]},
            {"recovery_instance": ONE, "name": "WEB", "disks": [data, data]},
            {"recovery_instance": TWO, "disks": [{"device": "", "exclude": True}], "way": "fly"},
            {"recovery_instance": "i-0a1b2c3d4e5f60710", "disks": [{"device": "/dev/sdb", "exclude": True, "lun": 1}]},
        )
    )
    for part in (
        f"servers.0.recovery_instance: {ONE} stands there 2 times",
        f"servers.1.recovery_instance: {ONE} stands there 2 times",
        "servers.0.name: web stands there 2 times",
        "servers.1.name: WEB stands there 2 times",
        "servers.0.disks.0.lun: 3 is asked for 2 times",
        "servers.0.disks.1.lun: 3 is asked for 2 times",
        "servers.1.disks.1.device: /dev/sdb stands there 2 times",
        "servers.2.disks.0.device: ",
        "servers.2.way: ",
        "servers.3.disks.0.exclude: what's left out takes no lun",
    ):
        assert part in text
    assert "Value error" not in text


def test_choices_that_contradict_each_other_are_refused_though_each_is_sound() -> None:
    disks = [{"device": "/dev/sdb", "lun": 3}, {"device": "/dev/sdc", "lun": 3}]
    assert "servers.0.disks.1.lun" in refusal(of_servers({"recovery_instance": ONE, "disks": disks}))


@pytest.mark.parametrize("goal", ["failback", "check"])
def test_servers_are_what_such_a_goal_is_about(goal: str) -> None:
    assert f"servers: goal {goal} takes at least one recovery instance" in refusal(of_servers(goal=goal))


@pytest.mark.parametrize("servers", ["i-0a1b2c3d4e5f60718", 5, [7], [{"recovery_instance": ONE, "disks": 3}], {"a": 1}])
def test_servers_of_no_shape_are_told(servers: object) -> None:
    text = refusal(start(request={"goal": "failback", "target": "azure-home", "servers": servers}))
    assert "servers" in text
    assert "Nothing was made" in text


def test_more_servers_than_drs_takes_are_refused_in_a_text_that_a_cause_can_hold() -> None:
    servers = [{"recovery_instance": f"no-{number:08x}"} for number in range(MOST_SERVERS)]
    assert len(refusal(of_servers(*servers))) < 30_000
    many = [{"recovery_instance": f"i-{number:08x}"} for number in range(MOST_SERVERS + 1)]
    assert "servers: Tuple should have at most 500 items" in refusal(of_servers(*many))


def test_an_empty_request_names_what_is_missing() -> None:
    text = refusal(start(request={}))
    assert "goal: Field required" in text
    assert "target: Field required" in text


def test_a_broken_target_is_told_with_its_faults() -> None:
    assert "target: targets/broken: location" in refusal(start(request={"goal": "prepare", "target": "broken"}))


def test_a_home_that_is_not_deployed_is_told() -> None:
    run_log = MemoryRunLog()
    with pytest.raises(RequestInvalid, match="nothing is deployed"):
        check_request(
            start(), targets=Targets(), functions={}, run_log=run_log, book=run_log.servers, clock=FixedClock()
        )
