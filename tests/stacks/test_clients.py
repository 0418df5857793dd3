"""AWS's roles for client machines: whom each of them trusts, and for which recovery instances it's good."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.aws import client_keys
from failback.model.deployment import parse_deployment
from stacks.assets import Function
from stacks.clients import EVERYWHERE, ON_THE_INSTANCE, TAGGING, add_clients, issuer
from stacks.node import VARIABLE, node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.stacks.conftest import Checkout

pytestmark = [pytest.mark.assets, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE: dict[str, Any] = json.loads((ROOT / "deployment.example.json").read_text(encoding="utf-8"))
TENANT, PRINCIPAL = "11111111-1111-1111-1111-111111111111", "44444444-4444-4444-4444-444444444444"
ISSUER = f"sts.windows.net/{TENANT}/"


def target(name: str, **client: object) -> dict[str, Any]:
    given = {key: value for key, value in EXAMPLE["targets"][0].items() if key != "client"}
    return {**given, "name": name, **({"client": client} if client else {})}


def identity(name: str, audience: str) -> dict[str, Any]:
    return target(name, **{**EXAMPLE["targets"][0]["client"], "audience": audience})


def resources(checkout: Checkout, *targets: Mapping[str, Any], **more: object) -> dict[str, dict[str, Any]]:
    """The resources of a stack with nothing but the client roles and a function that mints keys."""
    os.environ.setdefault(VARIABLE, str(node()))
    from aws_cdk import App, Stack
    from aws_cdk import aws_lambda as lambda_
    from aws_cdk.assertions import Template

    stack = Stack(App(analytics_reporting=False), "s")
    stage = next(each for each in checkout.workshop.functions(["azure"]) if each.home)
    code, runtime = lambda_.Code.from_inline("pass"), lambda_.Runtime.PYTHON_3_11
    minting = lambda_.Function(stack, "Mint", code=code, runtime=runtime, handler="index.handler")
    deployment = parse_deployment(json.dumps({**EXAMPLE, "targets": targets, **more}))
    add_clients(stack, deployment, {Function("register_client", stage.contract, "azure"): minting})
    found: dict[str, dict[str, Any]] = Template.from_stack(stack).to_json()["Resources"]
    return found


def role(found: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any]:
    properties = [each["Properties"] for each in found.values() if each["Type"] == "AWS::IAM::Role"]
    return next(each for each in properties if each.get("RoleName") == f"drs-failback-client-{name}")


def trust(found: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any]:
    (statement,) = role(found, name)["AssumeRolePolicyDocument"]["Statement"]
    return dict(statement)


def test_one_provider_a_tenant_and_one_identity_a_role(checkout: Checkout) -> None:
    found = resources(checkout, identity("one", "api://a"), identity("two", "api://b"), target("images-only"))
    ((name, provider),) = ((name, each) for name, each in found.items() if each["Type"] == "AWS::IAM::OIDCProvider")
    assert issuer(TENANT) == ISSUER
    assert provider["Properties"] == {"Url": f"https://{ISSUER}", "ClientIdList": ["api://a", "api://b"]}
    for target_name, audience in (("one", "api://a"), ("two", "api://b")):
        assert trust(found, target_name) == {
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{ISSUER}:sub": PRINCIPAL, f"{ISSUER}:aud": audience}},
            "Effect": "Allow",
            "Principal": {"Federated": {"Fn::GetAtt": [name, "Arn"]}},
        }
        assert role(found, target_name)["MaxSessionDuration"] == 3600
    assert "images-only" not in str(found)


def test_a_provider_that_the_account_has_is_used(checkout: Checkout) -> None:
    arn = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
    found = resources(checkout, identity("one", "api://a"), oidc_providers={TENANT: arn})
    assert not [each for each in found.values() if each["Type"] == "AWS::IAM::OIDCProvider"]
    assert trust(found, "one")["Principal"] == {"Federated": arn}


def test_keys_are_minted_by_one_functions_role_only(checkout: Checkout) -> None:
    found = resources(checkout, target("keyed", kind="keys"))
    (minting,) = (name for name in found if name.startswith("MintServiceRole"))
    assert trust(found, "keyed") == {
        "Action": "sts:AssumeRole",
        "Effect": "Allow",
        "Principal": {"AWS": {"Fn::GetAtt": [minting, "Arn"]}},
    }


def test_a_client_touches_recovery_instances_of_its_own_target_only(checkout: Checkout) -> None:
    found = resources(checkout, target("keyed", kind="keys"))
    (policy,) = (each["Properties"] for name, each in found.items() if name.startswith("ClientkeyedDefaultPolicy"))
    anywhere, on_instances, tagging = policy["PolicyDocument"]["Statement"]
    assert (anywhere["Resource"], "Condition" in anywhere) == ("*", False)
    assert set(anywhere["Action"]) == set(EVERYWHERE)
    mark = {"aws:ResourceTag/drs-failback:target": "keyed"}
    assert on_instances["Condition"] == {"StringEquals": mark}
    assert set(on_instances["Action"]) == set(ON_THE_INSTANCE)
    assert tagging["Action"] == TAGGING
    others_marks = {"aws:TagKeys": ["drs-failback:target"]}
    assert tagging["Condition"] == {"StringEquals": mark, "ForAllValues:StringNotEquals": others_marks}
    for each in (on_instances, tagging):
        assert each["Resource"]["Fn::Join"][1][-1] == ":recovery-instance/*"


def test_a_session_of_minted_keys_is_allowed_what_the_role_is() -> None:
    """The session's policy only takes away: what it names beyond the role's would be lost."""
    named = [{f"drs:{action}" for action in each} for each in (client_keys.EVERYWHERE, client_keys.ON_THE_INSTANCE)]
    assert named == [set(EVERYWHERE), {*ON_THE_INSTANCE, TAGGING}]
