"""What the template makes for servers on their way home, as the embedded AWS has it: trust, rules, the machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from failback.naming import client_role_name
from localcloud.embedded.clouds import CLIENT_AUDIENCE, CLIENT_IDENTITY
from localcloud.embedded.synthesis import TARGET

if TYPE_CHECKING:
    from tests.localcloud.runs.place import Place


def test_the_role_for_client_machines_trusts_their_identity_only(place: Place) -> None:
    iam = place.clouds.client("iam")
    issuer = f"sts.windows.net/{place.clouds.azure_settings.tenant}/"
    role = iam.get_role(RoleName=client_role_name(place.deployed.stack, TARGET))["Role"]
    provider = f"arn:aws:iam::123456789012:oidc-provider/{issuer}"
    assert role["AssumeRolePolicyDocument"]["Statement"] == [
        {
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{issuer}:sub": CLIENT_IDENTITY.principal_id, f"{issuer}:aud": CLIENT_AUDIENCE}
            },
            "Effect": "Allow",
            "Principal": {"Federated": provider},
        }
    ]
    assert role["MaxSessionDuration"] == 3600
    made = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider)
    assert (made["Url"], made["ClientIDList"]) == (issuer, [CLIENT_AUDIENCE])


def test_the_stages_at_home_know_where_those_roles_are(place: Place) -> None:
    functions = place.clouds.client("lambda")
    told = functions.get_function_configuration(FunctionName=place.function("register_client"))
    beginning = told["Environment"]["Variables"]["FAILBACK_CLIENT_ROLES"]
    arn = place.clouds.client("iam").get_role(RoleName=client_role_name(place.deployed.stack, TARGET))["Role"]["Arn"]
    assert beginning + TARGET == arn


def test_the_watcher_is_woken_and_has_nothing_to_do(place: Place) -> None:
    events, watcher = place.clouds.client("events"), place.function("watch")
    targets = {
        target["Arn"]
        for rule in events.list_rules()["Rules"]
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    }
    assert {arn.rpartition(":")[2] for arn in targets} == {watcher, place.function("clean_up_aborted")}
    functions = place.clouds.client("lambda")
    answer = functions.invoke(FunctionName=watcher, Payload=json.dumps({"source": "aws.events"}))
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_nothing_is_left_open_in_the_definition(place: Place) -> None:
    arn = place.deployed.outputs["StateMachineArn"]
    definition = place.clouds.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["definition"]
    assert "${" not in definition
    assert f":function:{place.function('await_replication')}" in definition
