"""The report as a page: everything told, everything escaped, nothing fetched, whatever the run came to."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from failback.model.record import RunHistory
from failback.model.report import RunReport
from failback.report import history_report
from failback.report_page import amount, bars, report_page, span
from tests.cli import histories
from tests.cli.histories import MIB
from tests.cli.servers_of_runs import IDS, home, waiting

VOID = {"meta", "br", "hr", "img", "link", "input"}
LEADS_AWAY = ("href", "src", "action", "data", "poster", "srcset", "formaction", "background")


class Page(HTMLParser):
    """A page's text and its elements; `faults` are elements that aren't closed as they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.anchors: set[str] = set()
        self.said: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.anchors |= {value or "" for name, value in attrs if name == "id"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())


def told(history: RunHistory) -> RunReport:
    returned = histories.RETURNED if history.record.outcome else None
    return history_report(history, outcome=history.record.outcome, returned=returned)


def hostile(history: RunHistory) -> RunHistory:
    """The same with every text that comes from outside made to be one that breaks out of where it's put."""
    return RunHistory.model_validate_json(json.dumps(_spoilt(history.model_dump(mode="json"))))


KEPT = {
    "stage", "status", "outcome", "goal", "way", "os", "firmware", "client_firmware", "verdict", "subject",
    "on_failure", "recovery_instance", "next", "format", "unit",
}  # fmt: skip
EVIL = "\"'></pre></style><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}\x1b\u202e"


def _spoilt(value: Any, key: str = "") -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _spoilt(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_spoilt(each, key) for each in value]
    is_text = isinstance(value, str) and value != "" and key not in KEPT and not value.startswith("2026-")
    return EVIL if is_text else value


RUNS = {
    "prepared": histories.done(),
    "failed": histories.failed(),
    "under-way": histories.running(),
    "home": home(),
    "held": RunHistory(record=histories.record(goal="failback"), servers=(waiting(0, "hold_server", "kept"),)),
    "nothing-noted": RunHistory(record=histories.record(target="", home="")),
}


@pytest.mark.parametrize("spoil", [False, True], ids=["plain", "hostile"])
@pytest.mark.parametrize("name", RUNS)
def test_a_page_is_whole_and_needs_nothing_else(name: str, spoil: bool) -> None:
    text = report_page(told(hostile(RUNS[name]) if spoil else RUNS[name]))
    assert text.startswith("<!DOCTYPE html>")
    page = Page(text)
    assert (page.open, page.faults) == ([], [])
    assert not page.elements & {"script", "link", "img", "iframe", "object", "base", "form"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    links = [value for name, value in page.attributes if name in LEADS_AWAY]
    assert all(link.startswith("#") and link[1:] in page.anchors for link in links)
    assert "url(" not in text
    assert "@import" not in text


def test_what_comes_from_outside_is_text_and_nothing_more() -> None:
    text = report_page(told(hostile(home())))
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    said = Page(text).text
    assert said.count("<script>alert(1)</script>") > 30, "nothing is left out: it's shown as it was written"
    assert "{{ 7 * 7 }}" in said
    plain, spoilt = Page(report_page(told(home()))), Page(text)
    assert sorted(plain.elements) == sorted(spoilt.elements)


def test_the_page_tells_what_the_report_holds() -> None:
    said = Page(report_page(told(home()))).text
    for part in (
        "1 of 2 servers aren't home.",
        f"web {IDS[0]}",
        "RTO 55 s, from the approval by arn:aws:iam::1:user/eve to the first sign of life (serial)",
        "RPO 5 s, nothing stopped the workload",
        "protected again yes",
        "990.0 MiB of 1,000.0 MiB",
        "approve arn:aws:iam::1:user/eve CloudTrail says who window is open",
        "accepted by policy, 2026-03-01 12:01:50",
        "job fbjob-1, batch b-1",
        histories.SHA512,
        "ami-0123456789abcdef0",
        "client disk client-1-disk",
        "the server's own machine web",
        "DRS doesn't say LAUNCHED",
        "End the recovery instance.",
        "az disk delete --ids /disks/osdisk",
        "boot_client".replace("_", " ") + " ClientBootFailed: no quota",
    ):
        assert part in said, part


def test_the_outcome_comes_first() -> None:
    said = Page(report_page(told(histories.failed()))).text
    assert said.index("CloudRefused") < said.index("started (UTC)") < said.index("Stages of the run")
    assert "under way" in Page(report_page(told(histories.running()))).text


def test_it_looks_right_by_day_by_night_and_on_paper() -> None:
    text = report_page(told(home()))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_bars_lie_within_their_track() -> None:
    found = bars(told(home()).timeline)
    assert min(bar.left for bar in found) == 0
    assert all(bar.left + bar.width <= 100.001 and bar.width > 0 for bar in found)
    assert bars(()) == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (754, "12 min 34 s"), (3720, "1 h 02 min"), (360_000, "4 d 04 h"), (-3, "0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_amounts() -> None:
    assert [amount(MIB // 2), amount(1536 * MIB)] == ["0.5 MiB", "1.5 GiB"]


def test_a_report_without_a_history_is_a_page_too() -> None:
    report = RunReport(outcome=histories.FAILURE, history=None, provenance=None)
    page = Page(report_page(report))
    assert page.faults == []
    assert "CloudRefused" in page.text
