"""The gate: every fault of a request at once, nothing noted of a request that's refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import DeploymentInvalid, RequestInvalid
from failback.model.request import StartEvent
from failback.run_request import check_request
from tests.memory.run_log import MemoryRunLog
from tests.states import event_of, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.target import Target

FUNCTIONS: dict[Any, dict[str, str]] = {"azure": {"import_image": "drs-failback-import-image-azure"}}


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


def start(**changed: object) -> StartEvent:
    return StartEvent.model_validate(event_of("check_request", **changed))


def refusal(event: StartEvent, run_log: MemoryRunLog | None = None) -> str:
    with pytest.raises(RequestInvalid) as caught:
        check_request(event, targets=Targets(), functions=FUNCTIONS, run_log=run_log or MemoryRunLog())
    return str(caught.value)


def test_a_request_becomes_a_run() -> None:
    run_log = MemoryRunLog()
    state = check_request(start(), targets=Targets(), functions=FUNCTIONS, run_log=run_log)
    assert state.target == Targets().good
    assert state.home.functions == FUNCTIONS["azure"]
    assert state.client_image.iso_version == "latest"
    history = run_log.read(state.run.id)
    assert history is not None
    assert (history.record.target, history.record.status) == ("azure-home", "running")


def test_the_same_request_again_changes_nothing() -> None:
    run_log = MemoryRunLog()
    first = check_request(start(), targets=Targets(), functions=FUNCTIONS, run_log=run_log)
    assert check_request(start(), targets=Targets(), functions=FUNCTIONS, run_log=run_log) == first
    assert len(run_log.recent(10)) == 1


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


def test_an_empty_request_names_what_is_missing() -> None:
    text = refusal(start(request={}))
    assert "goal: Field required" in text
    assert "target: Field required" in text


def test_a_broken_target_is_told_with_its_faults() -> None:
    assert "target: targets/broken: location" in refusal(start(request={"goal": "prepare", "target": "broken"}))


def test_a_home_that_is_not_deployed_is_told() -> None:
    with pytest.raises(RequestInvalid, match="nothing is deployed"):
        check_request(start(), targets=Targets(), functions={}, run_log=MemoryRunLog())
