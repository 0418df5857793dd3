"""Targets in the parameter store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from failback.clouds.aws.targets import SsmTargets
from failback.errors import DeploymentInvalid
from failback.model.target import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clouds.aws.embedded import Sdk

GUID = "00000000-0000-4000-8000-00000000000{}"
HOME = {
    "name": "home",
    "home": "azure",
    "tenant_id": GUID.format(1),
    "client_id": GUID.format(2),
    "subscription_id": GUID.format(3),
    "resource_group": "failback",
    "location": "westeurope",
    "subnet_id": f"/subscriptions/{GUID.format(3)}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v"
    "/subnets/s",
}
PREFIX = "/drs-failback/targets"


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sdk]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    make: Sdk = boto3.client
    with mock_aws():
        yield make("ssm", "eu-west-1")


def test_targets_are_listed_and_read(ssm: Sdk) -> None:
    targets = SsmTargets(ssm, f"{PREFIX}/")
    assert list(targets.names()) == []
    for number in range(12):
        name = f"home-{number:02}"
        ssm.put_parameter(Name=f"{PREFIX}/{name}", Type="String", Value=json.dumps({**HOME, "name": name}))
    assert list(targets.names()) == [f"home-{number:02}" for number in range(12)]
    assert targets.get("home-03") == TARGET.validate_python({**HOME, "name": "home-03"})
    assert targets.get("elsewhere") is None


def test_a_broken_target_is_told_with_all_its_faults(ssm: Sdk) -> None:
    targets = SsmTargets(ssm, PREFIX)
    broken = {**HOME, "location": "West Europe", "zone": "a"}
    ssm.put_parameter(Name=f"{PREFIX}/home", Type="String", Value=json.dumps(broken))
    with pytest.raises(DeploymentInvalid, match=r"targets/home isn't a target: location: .*; zone: "):
        targets.get("home")
    ssm.put_parameter(Name=f"{PREFIX}/other", Type="String", Value=json.dumps(HOME))
    with pytest.raises(DeploymentInvalid, match="called home"):
        targets.get("other")
