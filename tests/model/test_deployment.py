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
    assert wanted | {"targets.2.home"} <= faults
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


def test_a_role_for_client_machines_has_a_name_that_iam_takes() -> None:
    keyed = {"client": {"kind": "keys"}}
    most = target("t" * 32, **keyed)
    name = "n" * 24
    assert parse_deployment(json.dumps({"name": name, "targets": [most]})).targets_with_keys("azure") == ["t" * 32]
    longer = target("t" * 34, **keyed)
    with pytest.raises(DeploymentInvalid, match="longer than 64 characters: shorten the target's name by 2"):
        parse_deployment(json.dumps({"name": name, "targets": [longer]}))
    without = {key: value for key, value in longer.items() if key != "client"}
    assert parse_deployment(json.dumps({"name": name, "targets": [without]})).targets_with_keys("azure") == []


def test_a_provider_is_its_tenants_own() -> None:
    tenant, other = (f"{digit * 8}-{digit * 4}-{digit * 4}-{digit * 4}-{digit * 12}" for digit in "12")
    arn = f"arn:aws:iam::123456789012:oidc-provider/sts.windows.net/{tenant}/"
    given = {"targets": [target("a")], "oidc_providers": {tenant: arn}}
    assert parse_deployment(json.dumps(given)).oidc_providers == {tenant: arn}
    with pytest.raises(DeploymentInvalid, match="another tenant's"):
        parse_deployment(json.dumps({**given, "oidc_providers": {other: arn}}))
    with pytest.raises(DeploymentInvalid, match="oidc_providers"):
        parse_deployment(json.dumps({**given, "oidc_providers": {tenant: arn.removesuffix("/")}}))


def test_what_is_wrong_with_a_client_is_told_by_the_files_own_path() -> None:
    wrong = {**EXAMPLE["targets"][0]["client"], "principal_id": "somebody"}
    with pytest.raises(DeploymentInvalid, match=r"targets\.0\.client\.principal_id: "):
        parse_deployment(json.dumps({"targets": [target("a", client=wrong)]}))
