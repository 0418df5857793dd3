"""Expressions of schedules, and paths and templates of events that are wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from failback.errors import LocalCloudError
from localcloud.events import look_up, target_input
from localcloud.schedules import is_due

NOON = datetime(2026, 1, 30, 12, 0, tzinfo=UTC)
EVENT = {"detail": {"a-b": [1, {"c": 2}], "text": 'say "hi"'}, "detail-type": "x", "time": "t"}


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("cron(0 12 * * ? *)", True),
        ("cron(1 12 * * ? *)", False),
        ("cron(0/15 8-17 ? * MON-FRI *)", True),
        ("cron(0 12 ? * SAT,SUN *)", False),
        ("cron(0 12 30 JAN ? 2026)", True),
        ("cron(0 12 ? * 6 *)", True),
        ("at(2026-01-30T12:00:00)", True),
        ("at(2026-01-30T12:01:00)", False),
        ("rate(10 minutes)", True),
        ("rate(1 hour)", False),
    ],
)
def test_what_is_due_at_noon_of_a_friday_after_ten_minutes(expression: str, due: bool) -> None:
    assert is_due(expression, last=NOON - timedelta(minutes=10), now=NOON) is due


def test_a_zone_is_kept() -> None:
    early = NOON - timedelta(minutes=1)
    assert is_due("cron(0 13 * * ? *)", last=early, now=NOON, zone="Europe/Berlin")
    assert is_due("at(2026-01-30T13:00:00)", last=early, now=NOON, zone="Europe/Berlin")


@pytest.mark.parametrize(
    "expression",
    ["rate(5 weeks)", "cron(0 12 * * *)", "cron(0 12 1 * MON *)", "cron(61 * * * ? *)", "cron(0 0 L * ? *)", "noon"],
)
def test_a_wrong_expression_is_refused_by_name(expression: str) -> None:
    with pytest.raises(LocalCloudError, match="isn't one that this clock knows"):
        is_due(expression, last=NOON, now=NOON)


def test_paths_reach_into_lists_and_odd_names() -> None:
    assert look_up(EVENT, "$.detail.a-b[1].c") == 2
    assert look_up(EVENT, "$['detail-type']") == "x"
    for wrong in ("detail", "$.detail..c", "$.detail[*]"):
        with pytest.raises(LocalCloudError, match="path"):
            look_up(EVENT, wrong)


def test_a_template_keeps_quotes_apart() -> None:
    def filled(template: str) -> str:
        transformer = {"InputPathsMap": {"t": "$.detail.text", "d": "$.detail.a-b"}, "InputTemplate": template}
        return target_input({"InputTransformer": transformer}, EVENT, rule_arn="arn:rule/r")

    assert filled('{"a": <t>, "b": "it: <t>", "c": "<d>"}') == (
        '{"a": "say \\"hi\\"", "b": "it: say \\"hi\\"", "c": "[1, {\\"c\\": 2}]"}'
    )
    assert filled('"plain <t>"') == '"plain say \\"hi\\""'
    assert filled("<unknown> <aws.events.rule-name>") == '"<unknown> \\"r\\""'
