"""What's seen of a machine from outside, on an embedded Google Cloud."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.google.console import LONGEST, MOST_PAGES, console_text
from failback.takeover_ports import Signs
from localcloud.google.operations import Fault
from tests.clouds.google.services import TARGET, services

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from tests.clouds.google.services import Services

ZONE = f"zones/{TARGET.zone}"
PATH = f"projects/{TARGET.project}/{ZONE}"


class Answers:
    """Stands before Compute for what isn't embedded: answers by the last part of a path, else passes on."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.asked: list[str] = []

    def around(self, front: WSGIApplication) -> WSGIApplication:
        """The application with these answers before it."""

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            waiting = self.answers.get(str(environ["PATH_INFO"]).rpartition("/")[2])
            if not waiting:
                return front(environ, start_response)
            self.asked.append(str(environ["QUERY_STRING"]))
            status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            start_response(f"{status} Answer", [("Content-Type", "application/json")])
            return [json.dumps(body).encode()]

        return application


@pytest.fixture
def answers() -> Answers:
    """Before Compute."""
    return Answers()


@pytest.fixture
def google(tmp_path: Path, answers: Answers) -> Iterator[Services]:
    """All services, with a machine called web."""
    with services(tmp_path, around=answers.around) as embedded:
        administrator = embedded.compute.administrator
        administrator.insert(ZONE, "disks", {"name": "web", "sizeGb": "10"})
        machine = {
            "name": "web",
            "machineType": f"{PATH}/machineTypes/e2-medium",
            "disks": [{"boot": True, "source": f"{PATH}/disks/web"}],
            "networkInterfaces": [{"subnetwork": TARGET.subnetwork}],
        }
        administrator.insert(ZONE, "instances", machine)
        yield embedded


def refusal(status: int, reason: str) -> tuple[int, Any]:
    """As Compute refuses."""
    return status, {"error": {"code": status, "message": reason, "errors": [{"reason": reason, "message": reason}]}}


def test_a_machine_that_runs(google: Services) -> None:
    google.driver.machines[-1].written = b"login:\xff "
    signs = google.connect().signs.look("web")
    assert signs == Signs(True, google.driver.machines[-1].spec.nics[0].private_address, None, "login:\ufffd ")


def test_none_and_one_that_s_off(google: Services) -> None:
    signs = google.connect().signs
    assert signs.look("absent") == Signs(running=False)
    google.compute.administrator.act("POST", f"{PATH}/instances/web/stop")
    assert not signs.look("web").running


@pytest.mark.parametrize(
    ("written", "agent"),
    [("2999-01-01T00:00:00Z", "Debian GNU/Linux 12 (agent 20260101.00)"), ("2001-01-01T00:00:00Z", None), ("?", None)],
    ids=["since", "before", "garbled"],
)
def test_the_agent_s_word_since_the_start(google: Services, answers: Answers, written: str, agent: str | None) -> None:
    said = {"LastUpdated": written, "LongName": "Debian GNU/Linux 12", "OSConfigAgentVersion": "20260101.00"}
    items = [{"namespace": "guestInventory", "key": key, "value": value} for key, value in said.items()]
    answers.answers["getGuestAttributes"] = [(200, {"queryPath": "guestInventory/", "queryValue": {"items": items}})]
    assert google.connect().signs.look("web").agent == agent
    assert answers.asked == ["queryPath=guestInventory%2F"]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_no_agent(google: Services, answers: Answers, status: int) -> None:
    answers.answers["getGuestAttributes"] = [refusal(status, "none")]
    assert google.connect().signs.look("web").agent is None


def test_a_console_is_read_page_by_page(google: Services, answers: Answers) -> None:
    pages: list[Any] = [
        {"contents": "one ", "start": "5", "next": "9"},
        {"contents": "two", "start": "9", "next": "12"},
        {"contents": "", "start": "12", "next": "12"},
    ]
    answers.answers["serialPort"] = [(200, each) for each in pages]
    assert console_text(google.connect().place, "web") == "one two"
    assert ["start=0" in answers.asked[0], "start=9" in answers.asked[1], "start=12" in answers.asked[2]] == [True] * 3


def test_a_console_without_an_end_is_bounded(google: Services, answers: Answers) -> None:
    page = "x" * (LONGEST // 4)
    answers.answers["serialPort"] = [(200, {"contents": page, "next": str(number)}) for number in range(1, 99)]
    assert len(console_text(google.connect().place, "web")) == LONGEST
    assert len(answers.asked) == MOST_PAGES


def test_no_console_yet(google: Services, answers: Answers) -> None:
    home = google.connect()
    assert console_text(home.place, "absent") == ""
    answers.answers["serialPort"] = [refusal(400, "resourceNotReady")]
    assert console_text(home.place, "web") == ""
    answers.answers["serialPort"] = [refusal(400, "invalid")]
    with pytest.raises(home.foreign):
        console_text(home.place, "web")


def test_faults_of_a_machine_come_through(google: Services) -> None:
    home = google.connect()
    google.compute.fail_next(Fault("instances.get", 403, "forbidden", "no"))
    with pytest.raises(home.foreign):
        home.signs.look("web")
