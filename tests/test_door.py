"""The doorway of a door: what it hands over, logs, measures and lets out."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from failback.door import Event, Visit, door
from failback.errors import CloudBusy
from failback.model.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
CONTEXT = SimpleNamespace(aws_request_id="r-1")


class _Foreign(Exception):
    """What an SDK raises."""


class Around:
    """Surroundings that know one foreign error."""

    def guard(self, call: Callable[[], T], /) -> T:
        try:
            return call()
        except _Foreign as error:
            message = "the cloud throttles"
            raise CloudBusy(message) from error


class Found(Facts):
    """An answer."""

    many: int


# Powertools keeps a service's log where it first went: each test has a service of its own.
def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_answer_is_encoded_logged_and_measured(capsys: pytest.CaptureFixture[str]) -> None:
    def work(event: Event, _around: Around, visit: Visit) -> Found:
        assert (event, visit.name, visit.request) == ({"detail": {"state": "FAILBACK_ERROR"}}, "watch", "r-1")
        visit.count("ServersWaiting", 7)
        return Found(many=7)

    assert door("watch", work, Around)({"detail": {"state": "FAILBACK_ERROR"}}, CONTEXT) == {"many": 7}
    said = lines(capsys)
    (logged,) = [line for line in said if line.get("message") == "door called"]
    assert (logged["service"], logged["request"], logged["answer"]) == ("watch", "r-1", {"many": 7})
    (counted,) = [line for line in said if "ServersWaiting" in line]
    assert (counted["ServersWaiting"], counted["stage"]) == ([7.0], "watch")
    (measured,) = [line for line in said if "StageSeconds" in line]
    assert (measured["stage"], measured["status"]) == ("watch", "done")
    assert 0 <= measured["StageSeconds"][0] < 10


def test_a_failure_is_logged_measured_and_let_out_as_one_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    def work(_event: Event, _around: Around, _visit: Visit) -> Found:
        raise _Foreign

    with pytest.raises(CloudBusy):
        door("watch that fails", work, Around)({}, CONTEXT)
    said = lines(capsys)
    (logged,) = [line for line in said if line.get("message") == "door failed"]
    assert (logged["error"], logged["cause"]) == ("CloudBusy", "the cloud throttles")
    (measured,) = [line for line in said if "StageSeconds" in line]
    assert (measured["stage"], measured["status"]) == ("watch that fails", "failed")


def test_surroundings_are_connected_with_the_first_event_only() -> None:
    def unready() -> Around:
        message = "connected too early"
        raise AssertionError(message)

    assert callable(door("watch", lambda _event, _around, _visit: Found(many=0), unready))
