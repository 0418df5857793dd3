"""What a client is told at each home: how it proves who it is, and which disk is which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from failback.client_settings import client_identity, client_settings, keys_on_demand
from failback.errors import NotReady
from tests.client_bench import SERVER, SETTINGS, Bench, plan_of
from tests.servers_at_home import plan_for

if TYPE_CHECKING:
    from failback.model.agent import AgentSettings
    from failback.model.run import RunState

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = {"azure": "deployment.example.json", "google": "deployment.example-google.json"}
NONE = object()


def state_at(home: str, client: object = NONE) -> RunState:
    """A run whose target is the one of a home's example file."""
    (target,) = json.loads((ROOT / EXAMPLES[home]).read_text(encoding="utf-8"))["targets"]
    bench = Bench()
    state: dict[str, Any] = bench.state.model_dump(mode="json")
    changed = {} if client is NONE else {"client": client}
    return type(bench.state).model_validate({**state, "target": {**target, **changed}})


def told_at(home: str, client: object = NONE) -> AgentSettings:
    return client_settings(state_at(home, client), plan_of(), settings=SETTINGS)


def test_a_client_at_azure_is_told_units_and_which_identity() -> None:
    told = told_at("azure")
    assert [each.to_text() for each in told.mapping] == [
        f"/dev/xvda lun=0 size={8 << 30}",
        f"/dev/xvdb lun=1 size={32 << 30}",
        "/dev/xvdc exclude",
    ]
    assert told.identity == client_identity(state_at("azure"))
    assert str(told.identity).endswith("/userAssignedIdentities/failback-client")


def test_a_client_at_google_is_told_names_and_has_one_account() -> None:
    told = told_at("google")
    assert [each.to_text() for each in told.mapping] == [
        f"/dev/xvda name=web-18-data-0 size={8 << 30}",
        f"/dev/xvdb name=web-18-data-1 size={32 << 30}",
        "/dev/xvdc exclude",
    ]
    assert (told.credentials, told.audience, told.role_session) == ("web-identity", "drs-failback", SERVER)
    assert told.role_arn == "arn:aws:iam::111122223333:role/drs-failback-client-google-home"
    # A machine has one account, and no name to ask for its tokens by.
    assert told.identity is None
    assert "identity=" not in told.to_text().replace("web-identity", "")
    assert client_identity(state_at("google")) == "failback-client@failback-home.iam.gserviceaccount.com"


@pytest.mark.parametrize("overwrite", [False, True], ids=["clones", "own disks"])
def test_an_original_at_google_finds_its_disks_by_their_own_names(overwrite: bool) -> None:
    plan = plan_for("overwrite" if overwrite else "original")
    told = client_settings(state_at("google"), plan, settings=SETTINGS)
    assert [each.name for each in told.mapping if not each.exclude] == [disk.name for disk in plan.disks]


@pytest.mark.parametrize("home", EXAMPLES)
def test_keys_on_demand_take_no_identity(home: str) -> None:
    told = told_at(home, {"kind": "keys"})
    assert (told.credentials, told.role_arn, told.audience, told.identity) == ("keys", None, None, None)
    state = state_at(home, {"kind": "keys"})
    assert client_identity(state) == ""
    assert keys_on_demand(state)
    assert not keys_on_demand(state_at(home))


@pytest.mark.parametrize("home", EXAMPLES)
def test_a_target_without_clients_is_no_way_to_aws(home: str) -> None:
    assert client_identity(state_at(home, None)) == ""
    assert not keys_on_demand(state_at(home, None))
    with pytest.raises(NotReady, match="an identity of the home's"):
        told_at(home, None)
