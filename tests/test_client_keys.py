"""Keys on demand: given when the agent asks, once for each wish, taken back, and never seen anywhere else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from failback.client_keys import ANSWERED
from failback.errors import CloudBusy, RegistrationFailed
from failback.model.agent import AgentSettings
from failback.model.recovery import INITIATION_STEPS
from tests.client_bench import SERVER, Bench
from tests.crashes import Crashes

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL = dict.fromkeys(INITIATION_STEPS, "SUCCEEDED")


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.target(client={"kind": "keys"})
    return bench.booted()


def says(bench: Bench, *marks: str) -> None:
    bench.machine.text += "".join(f"FAILBACK-AGENT {mark}\r\n" for mark in marks)


def wishes(bench: Bench, run: str = "", server: str = SERVER) -> None:
    says(bench, f"credentials-wanted {run or bench.state.run.id} {server}")


def told(bench: Bench) -> list[AgentSettings]:
    return [AgentSettings.from_text(text) for text in bench.machine.told]


def secrets(settings: Sequence[AgentSettings]) -> set[str]:
    keys = [key for each in settings for key in (each.access_key, each.secret_key, each.session_token) if key]
    return {key.get_secret_value() for key in keys}


def test_a_wish_is_answered_once(bench: Bench) -> None:
    bench.register()
    assert bench.mint.minted == []
    wishes(bench)
    bench.register()
    wishes(bench)
    bench.register()
    role = "arn:aws:iam::111122223333:role/drs-failback-client-azure-home"
    assert bench.mint.minted == [(role, SERVER, f"arn:aws:drs:eu-west-1:111122223333:recovery-instance/{SERVER}")]
    without, given = told(bench)
    assert without.access_key is None
    assert len(secrets([given])) == 3
    assert given.model_copy(update=dict.fromkeys(("access_key", "secret_key", "session_token"))) == without


def test_a_wish_that_was_met_is_none_any_more(bench: Bench) -> None:
    wishes(bench)
    says(bench, "credentials received keys", "client-running 5 %")
    bench.register()
    assert bench.mint.minted == []


def test_keys_that_ran_out_before_they_were_read_are_given_anew(bench: Bench) -> None:
    wishes(bench)
    bench.register()
    for _ in range(2):
        wishes(bench)
        bench.register(ANSWERED.total_seconds() / 2)
    assert len(bench.mint.minted) == 2
    assert not secrets(told(bench)[1:2]) & secrets(told(bench)[2:3])


@pytest.mark.parametrize(("run", "server"), [("another-run", SERVER), ("", "i-0123456789abcdef0")])
def test_another_s_wish_is_not_ours(bench: Bench, run: str, server: str) -> None:
    wishes(bench, run, server)
    bench.register()
    assert bench.mint.minted == []


def test_a_target_with_an_identity_mints_nothing() -> None:
    bench = Bench().booted()
    wishes(bench)
    bench.register()
    bench.steps(**ALL)
    assert bench.register().status == "done"
    assert bench.mint.minted == []
    assert len(bench.machine.told) == 1


def test_keys_are_taken_back_once_the_client_is_paired(bench: Bench) -> None:
    wishes(bench)
    bench.register()
    says(bench, "credentials received keys")
    bench.steps(**ALL)
    done = bench.register()
    assert done.cursor is not None
    assert done.cursor.settings_clean
    assert secrets([AgentSettings.from_text(bench.machine.machine.user_data)]) == set()
    assert bench.machine.machine.user_data == bench.machine.told[0]


def test_keys_are_taken_back_also_where_the_call_that_gave_them_was_lost(bench: Bench) -> None:
    wishes(bench)
    calls = Crashes(at=5, after=True)
    bench.crashes = calls
    with pytest.raises(CloudBusy):
        bench.register()
    assert calls.calls[-1] == "machines.tell"
    bench.steps(**ALL)
    assert bench.register().status == "done"
    assert secrets([AgentSettings.from_text(bench.machine.machine.user_data)]) == set()


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_lost_call_is_made_good(bench: Bench, at: int, after: bool) -> None:
    wishes(bench)
    bench.crashes = Crashes(at=at, after=after)
    with pytest.raises(CloudBusy):
        bench.register()
    bench.register()
    bench.register()
    assert secrets(told(bench)[-1:]) != set()
    assert len(bench.mint.minted) <= 2


def test_no_key_is_seen_in_state_or_failure(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    wishes(bench)
    seen = [bench.register().model_dump_json(), repr(bench.state)]
    says(bench, "credentials received keys", "client-running 5 %")
    seen += [bench.register().model_dump_json(), json.dumps(bench.state.model_dump(mode="json"))]
    says(bench, "failed client exit=1")
    with pytest.raises(RegistrationFailed) as caught:
        bench.register()
    seen += [str(caught.value), repr(caught.value), caplog.text, repr(bench.book.records), repr(bench.run_log.entries)]
    keys = secrets(told(bench))
    assert len(keys) == 3
    assert not [key for key in keys for text in seen if key in text]
