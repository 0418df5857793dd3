"""Deployment files: the example is one, and what is wrong with others is said all at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from failback.errors import DeploymentInvalid
from failback.model.deployment import DEFAULT_PYTHON, parse_deployment

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE: dict[str, Any] = json.loads((ROOT / "deployment.example.json").read_text(encoding="utf-8"))
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:home-AbCdEf"


def target(name: str, **changes: object) -> dict[str, Any]:
    return {**EXAMPLE["targets"][0], "name": name, **changes}


def test_the_example_is_a_deployment() -> None:
    deployment = parse_deployment(json.dumps(EXAMPLE))
    assert deployment.name == "drs-failback"
    assert deployment.homes == ["azure"]
    assert deployment.audiences("azure") == ["api://AzureADTokenExchange"]
    assert deployment.secrets("azure") == []


def test_targets_alone_are_enough() -> None:
    deployment = parse_deployment(json.dumps({"targets": [target("a")]}))
    assert (deployment.name, deployment.python, deployment.removal) == ("drs-failback", DEFAULT_PYTHON, "retain")


def test_ways_in_are_told_apart() -> None:
    ways = [
        target("a"),
        target("b", credential={"kind": "federation", "audience": "api://other"}),
        target("c", credential={"kind": "secret", "secret_arn": SECRET}),
    ]
    deployment = parse_deployment(json.dumps({"targets": ways}))
    assert deployment.audiences("azure") == ["api://AzureADTokenExchange", "api://other"]
    assert deployment.secrets("azure") == [SECRET]
    assert deployment.secrets("google") == []


def test_every_fault_is_listed_with_its_path() -> None:
    wrong = {
        "name": "Has Spaces",
        "python": "2.7",
        "colour": "blue",
        "log_days": 2,
        "targets": [target("a", location="West Europe"), target("b", credential={"kind": "secret"}), {"home": "moon"}],
    }
    with pytest.raises(DeploymentInvalid) as caught:
        parse_deployment(json.dumps(wrong), source="mine.json")
    text = str(caught.value)
    assert text.startswith("mine.json isn't a deployment:")
    faults = {line.strip().partition(":")[0] for line in text.splitlines() if line.startswith("  ")}
    wanted = {"name", "python", "colour", "log_days", "targets.0.location", "targets.1.credential.secret_arn"}
    assert wanted | {"targets.2.home", "targets.2.name"} <= faults
    assert "targets.1.credential.secret_arn: Field required; add it." in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{", "the whole file: Invalid JSON", id="no-json"),
        pytest.param("[]", "the whole file: ", id="no-object"),
        pytest.param('{"targets": []}', "targets: there's none", id="no-target"),
        pytest.param(json.dumps({"targets": [target("a"), target("a")]}), "stand there twice: a", id="twice"),
        pytest.param(json.dumps({"targets": [target("a")], "log_days": "90"}), "log_days", id="number-as-text"),
        pytest.param(json.dumps({"targets": [target("a")], "name": "x" * 25}), "at most 24", id="long-name"),
    ],
)
def test_what_is_no_deployment_is_refused(text: str, said: str) -> None:
    with pytest.raises(DeploymentInvalid, match=said):
        parse_deployment(text)
