"""Registering a client: followed step by step, failures looked at twice, each with its own advice."""

from __future__ import annotations

import pytest

from failback import registration, replication
from failback.errors import RegistrationFailed
from failback.initiation_advice import STEPS
from failback.model.recovery import INITIATION_STEPS
from failback.registration_advice import AGENT, GONE, INSTANCE_GONE, INSTANCE_OFF, SILENT, STOPPED
from failback.replication_advice import STALL_ADVICE, UNKNOWN
from tests.client_bench import SERVER, Bench

LINK, MAPPING, COMMUNICATION = INITIATION_STEPS[:3]
ALL = dict.fromkeys(INITIATION_STEPS, "SUCCEEDED")
MACHINE = "web-18"


@pytest.fixture
def bench() -> Bench:
    return Bench().booted()


def says(bench: Bench, *marks: str) -> None:
    bench.machine.text += "".join(f"FAILBACK-AGENT {mark}\r\n" for mark in marks)


def failure(bench: Bench, looks: int = 2) -> str:
    """The failure that so many looks end with."""
    for _ in range(looks - 1):
        assert bench.register().status == "pending"
    with pytest.raises(RegistrationFailed) as caught:
        bench.register()
    return str(caught.value)


def test_a_client_is_followed_until_all_its_steps_are_behind(bench: Bench) -> None:
    first = bench.register()
    assert (first.status, first.wait_seconds) == ("pending", registration.LOOK_AGAIN)
    assert first.progress is not None
    assert first.progress.note == "waiting for the client to get in touch with DRS; the machine has said nothing yet"
    says(bench, "started image=x", "client-running Connecting")
    bench.steps(**{LINK: "SUCCEEDED", MAPPING: "IN_PROGRESS", COMMUNICATION: "NOT_STARTED"})
    second = bench.register()
    assert second.progress is not None
    assert (second.progress.done, second.progress.total) == (1, 7)
    assert second.progress.note == f"{MAPPING}; the agent says: client-running Connecting"
    assert second.cursor is not None
    assert (second.cursor.step, second.cursor.mark) == (MAPPING, "client-running Connecting")
    bench.steps(**ALL)
    bench.recovery.change(SERVER, to_original=True)
    done = bench.register()
    assert done.status == "done"
    assert done.facts is not None
    assert (done.facts.client, done.facts.to_original) == ("c0ffee", True)
    assert bench.machine.told == [bench.machine.machine.user_data]


@pytest.mark.parametrize("state", sorted(replication.FLOWING))
def test_data_that_flows_says_as_much(bench: Bench, state: str) -> None:
    bench.recovery.change(SERVER, failback_state="FAILBACK_IN_PROGRESS", replication_state=state, client="c")
    assert bench.register().status == "done"


def test_what_an_earlier_failback_left_says_nothing(bench: Bench) -> None:
    bench.steps(**ALL)
    bench.recovery.change(SERVER, failback_state="FAILBACK_NOT_STARTED", replication_state="STOPPED", error="X")
    assert bench.register().status == "pending"
    bench.steps(**{LINK: "FAILED"})
    bench.recovery.change(SERVER, failback_state="FAILBACK_NOT_STARTED")
    assert bench.register().status == "pending"
    assert bench.register().status == "pending"


def test_skipped_steps_are_behind(bench: Bench) -> None:
    bench.steps(**{**ALL, MAPPING: "SKIPPED"})
    assert bench.register().status == "done"


@pytest.mark.parametrize("step", INITIATION_STEPS)
def test_a_step_that_stays_failed_ends_it_with_its_own_advice(bench: Bench, step: str) -> None:
    bench.steps(**{step: "FAILED"})
    bench.recovery.change(SERVER, raw_error="what DRS says")
    text = failure(bench)
    assert f"web-18 ({SERVER}) isn't registered: step {step} failed (what DRS says)" in text
    assert STEPS[step] in text


def test_advice_differs_from_step_to_step_and_from_error_to_error() -> None:
    assert set(STEPS) == set(INITIATION_STEPS)
    assert len(set(STEPS.values())) == len(STEPS)
    assert len(set(AGENT.values())) == len(AGENT)


@pytest.mark.parametrize(
    ("word", "step"),
    [("1500", COMMUNICATION), ("443", COMMUNICATION), ("InstallationPolicy", LINK), ("Region", LINK),
     ("smaller", MAPPING), ("S3", INITIATION_STEPS[3]), ("clock", INITIATION_STEPS[4]), ("kernel", INITIATION_STEPS[5]),
     ("MTU", INITIATION_STEPS[6])],
)  # fmt: skip
def test_advice_names_the_usual_cause(word: str, step: str) -> None:
    assert word in STEPS[step]


def test_a_step_that_drs_tries_again_does_not_count(bench: Bench) -> None:
    bench.steps(**{LINK: "SUCCEEDED", MAPPING: "FAILED"})
    looked = bench.register()
    assert looked.cursor is not None
    assert looked.cursor.failing == MAPPING
    bench.steps(**{LINK: "SUCCEEDED", MAPPING: "IN_PROGRESS"})
    again = bench.register()
    assert again.cursor is not None
    assert again.cursor.failing == ""
    bench.steps(**{LINK: "SUCCEEDED", MAPPING: "FAILED"})
    assert bench.register().status == "pending"
    bench.steps(**{LINK: "SUCCEEDED", MAPPING: "SUCCEEDED", COMMUNICATION: "FAILED"})
    assert bench.register().status == "pending"


@pytest.mark.parametrize("error", [*sorted(STALL_ADVICE), "A_WORD_OF_TOMORROW"])
def test_a_stall_with_an_error_ends_it_with_that_error_s_advice(bench: Bench, error: str) -> None:
    bench.steps(**{LINK: "SUCCEEDED", MAPPING: "IN_PROGRESS"})
    bench.recovery.change(SERVER, replication_state="STALLED", error=error)
    text = failure(bench)
    assert f"stalled at step {MAPPING} ({error})" in text
    assert STEPS.get(error.removeprefix("FAILED_TO_"), STALL_ADVICE.get(error, UNKNOWN)) in text


def test_a_failback_in_error_ends_it(bench: Bench) -> None:
    bench.steps(**{LINK: "IN_PROGRESS"})
    bench.recovery.change(SERVER, failback_state="FAILBACK_ERROR")
    text = failure(bench)
    assert f"DRS reports an error at step {LINK}" in text
    assert STEPS[LINK] in text


def test_a_failback_in_error_without_steps_still_has_advice(bench: Bench) -> None:
    bench.recovery.change(SERVER, failback_state="FAILBACK_ERROR")
    assert "failback.log" in failure(bench)


@pytest.mark.parametrize("step", ["started", "settings", "credentials", "mapping", "client", "poweroff"])
def test_an_agent_that_gives_up_ends_it_at_once(bench: Bench, step: str) -> None:
    says(bench, "started image=x", f"failed {step} the reason")
    text = failure(bench, looks=1)
    assert f"its agent gave up at {step}. The agent says: failed {step} the reason." in text
    assert AGENT[step] in text
    assert text.endswith(f"FAILBACK-AGENT failed {step} the reason")


def test_a_step_of_the_agent_that_is_new_has_advice_too(bench: Bench) -> None:
    says(bench, "failed teleport the reason")
    assert "Set that right" in failure(bench, looks=1)


def test_drs_s_word_counts_more_than_the_agent_s_and_at_once_where_nobody_tries_again(bench: Bench) -> None:
    bench.steps(**{LINK: "SUCCEEDED", MAPPING: "SUCCEEDED", COMMUNICATION: "FAILED"})
    says(bench, "failed client exit=1 last line: no connection")
    text = failure(bench, looks=1)
    assert f"step {COMMUNICATION} failed" in text
    assert "exit=1 last line: no connection" in text
    assert STEPS[COMMUNICATION] in text


def test_an_agent_that_went_on_has_not_given_up(bench: Bench) -> None:
    says(bench, "failed settings none came", "started image=x")
    assert bench.register().status == "pending"


def test_a_machine_that_stops_is_looked_at_twice(bench: Bench) -> None:
    bench.machine.state = "stopped"
    bench.register()
    bench.machine.state = "running"
    assert bench.register().status == "pending"
    bench.machine.state = "stopped"
    text = failure(bench)
    assert "its machine is stopped" in text
    assert STOPPED in text
    assert text.endswith("(nothing)")


def test_a_machine_that_is_gone_ends_it(bench: Bench) -> None:
    del bench.machines.machines[MACHINE]
    bench.machines.interfaces.clear()
    bench.machines.disks.clear()
    text = failure(bench)
    assert "its machine is gone" in text
    assert GONE in text


def test_a_recovery_instance_that_is_gone_ends_it(bench: Bench) -> None:
    del bench.recovery.known[SERVER]
    assert "isn't there any more" in failure(bench, looks=1)


@pytest.mark.parametrize(
    ("state", "advice"), [("STOPPED", INSTANCE_OFF), ("TERMINATED", INSTANCE_GONE)], ids=["off", "gone"]
)
def test_a_recovery_instance_that_does_not_run_ends_it(bench: Bench, state: str, advice: str) -> None:
    bench.recovery.change(SERVER, ec2_state=state)
    text = failure(bench)
    assert f"its recovery instance is {state} in EC2" in text
    assert advice in text


def test_silence_ends_it_and_news_put_it_off(bench: Bench) -> None:
    bench.register()
    assert bench.register(registration.SILENCE - 1).status == "pending"
    says(bench, "client-running 1 %")
    assert bench.register(2).status == "pending"
    assert bench.register(registration.SILENCE - 1).status == "pending"
    bench.steps(**{LINK: "IN_PROGRESS"})
    assert bench.register(2).status == "pending"
    bench.machine.text += "[ 99.9] a line of the kernel's\r\n"
    assert bench.register(registration.SILENCE).status == "pending"
    with pytest.raises(RegistrationFailed) as caught:
        bench.register(registration.SILENCE)
    assert f"for 25 minutes, and DRS is at step {LINK}" in str(caught.value)
    assert SILENT in str(caught.value)
