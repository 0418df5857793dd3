"""The words of `allow` become statements that allow no more than they say."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import pytest

from failback.contracts import Resource, StageContract
from stacks.permissions import Places, Statement, statements

if TYPE_CHECKING:
    from collections.abc import Sequence

SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:home-AbCdEf"
PLACES = Places(
    partition="aws",
    region="eu-west-1",
    account="123456789012",
    bucket="arn:aws:s3:::images",
    table="arn:aws:dynamodb:eu-west-1:123456789012:table/runs",
    key="arn:aws:kms:eu-west-1:123456789012:key/k",
    targets="arn:aws:ssm:eu-west-1:123456789012:parameter/p/targets",
    audiences=["api://home"],
    secrets=[SECRET],
    snapshot_keys=[],
    machine="arn:aws:states:eu-west-1:123456789012:stateMachine:p",
    client_roles=["arn:aws:iam::123456789012:role/p-client-home"],
    watcher="arn:aws:lambda:eu-west-1:123456789012:function:p-watch",
    hooks=["arn:aws:lambda:eu-west-1:123456789012:function:traffic"],
    documents=["stop-web"],
)
ACTIONS: dict[str, list[str]] = {
    "run_log": ["dynamodb:Query"],
    "image_bucket": ["s3:ListBucket", "s3:GetObject"],
    "client_iso": ["s3:GetObject"],
    "snapshots": ["ec2:DescribeSnapshots", "ec2:DeleteSnapshot", "ebs:GetSnapshotBlock"],
    "machine_images": ["ec2:DescribeImages", "ec2:RegisterImage", "ec2:DeregisterImage"],
    "targets": ["ssm:GetParameter"],
    "federation": ["sts:GetWebIdentityToken"],
    "secrets": ["secretsmanager:GetSecretValue"],
    "recovery": [
        "drs:DescribeRecoveryInstances",
        "drs:GetFailbackReplicationConfiguration",
        "drs:UpdateFailbackReplicationConfiguration",
        "drs:StopFailback",
        "drs:TagResource",
        "drs:UntagResource",
    ],
    "recovery_hosts": [
        "ec2:DescribeInstances",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:RevokeSecurityGroupIngress",
        "ec2:CreateTags",
        "ec2:ModifyNetworkInterfaceAttribute",
    ],
    "task_tokens": ["states:SendTaskSuccess", "states:SendTaskFailure"],
    "client_roles": ["sts:AssumeRole"],
    "launch_jobs": ["drs:StartFailbackLaunch", "drs:TagResource", "drs:DescribeJobs"],
    "documents": ["ssm:SendCommand", "ssm:GetCommandInvocation"],
    "hooks": ["lambda:InvokeFunction"],
    "watcher": ["lambda:InvokeFunction"],
    "state_machine": ["states:StartExecution"],
}


def allowed(word: str, places: Places = PLACES) -> Sequence[Statement]:
    given: dict[str, Any] = {"summary": "Does what it's there for", "side": "aws", "memory_mib": 128}
    times = {"timeout_seconds": 3, "deadline_minutes": 1}
    return statements(StageContract(**given, **times, allow={word: tuple(ACTIONS[word])}), places)


def of(action: str, found: Sequence[Statement]) -> Statement:
    return next(each for each in found if action in each.actions)


@pytest.mark.parametrize("word", get_args(Resource))
def test_every_word_gives_its_actions_and_nothing_else_but_the_key(word: str) -> None:
    actions = {action for each in allowed(word) for action in each.actions}
    assert set(ACTIONS[word]) <= actions
    assert all(action.startswith("kms:") for action in actions - set(ACTIONS[word]))
    assert not any("*" in action for action in actions)


@pytest.mark.parametrize("word", get_args(Resource))
def test_a_star_has_a_reason_and_everything_else_is_named(word: str) -> None:
    for each in allowed(word):
        for resource in each.resources:
            assert "*" not in resource[:-1]
            assert not resource.endswith("/*") or each.why
            if resource == "*":
                assert all(re.match(r"\w+:(Describe|Get|List)|sts:", action) for action in each.actions)


def test_the_bucket_and_its_objects_are_told_apart() -> None:
    found = allowed("image_bucket")
    assert of("s3:ListBucket", found).resources == ("arn:aws:s3:::images",)
    assert of("s3:GetObject", found).resources == ("arn:aws:s3:::images/*",)
    key = of("kms:Decrypt", found)
    assert key.resources == (PLACES.key,)
    assert key.conditions == {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}


def test_the_run_log_is_the_table_and_its_index() -> None:
    assert of("dynamodb:Query", allowed("run_log")).resources == (PLACES.table, f"{PLACES.table}/index/recent")


def test_only_what_carries_a_runs_tag_is_removed() -> None:
    ours = {"Null": {"aws:ResourceTag/drs-failback:run": "false"}}
    assert of("ec2:DeleteSnapshot", allowed("snapshots")).conditions == ours
    assert of("ec2:DeregisterImage", allowed("machine_images")).conditions == ours
    assert of("ebs:GetSnapshotBlock", allowed("snapshots")).conditions == {}


def test_awss_iso_is_read_from_this_regions_buckets() -> None:
    names = ("aws-elastic-disaster-recovery-eu-west-1", "aws-elastic-disaster-recovery-hashes-eu-west-1")
    assert of("s3:GetObject", allowed("client_iso")).resources == tuple(f"arn:aws:s3:::{name}/*" for name in names)


def test_a_token_is_for_the_targets_audiences_only() -> None:
    conditions = of("sts:GetWebIdentityToken", allowed("federation")).conditions
    assert conditions["ForAllValues:StringEquals"] == {"sts:IdentityTokenAudience": ["api://home"]}
    assert conditions["Null"] == {"sts:IdentityTokenAudience": "false"}
    assert allowed("federation", replace(PLACES, audiences=[])) == []


def test_secrets_are_those_that_targets_name() -> None:
    assert of("secretsmanager:GetSecretValue", allowed("secrets")).resources == (SECRET,)
    assert allowed("secrets", replace(PLACES, secrets=[])) == []


def test_keys_of_snapshots_may_be_used_where_blocks_are() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/s"
    assert of("kms:CreateGrant", allowed("snapshots", replace(PLACES, snapshot_keys=[key]))).resources == (key,)
    assert not [each for each in allowed("snapshots") if "kms:CreateGrant" in each.actions]


INSTANCES = "arn:aws:drs:eu-west-1:123456789012:recovery-instance/*"
GROUPS, RULES = (f"arn:aws:ec2:eu-west-1:123456789012:{kind}/*" for kind in ("security-group", "security-group-rule"))


def test_only_a_failback_of_ours_is_stopped_and_only_our_mark_is_put_on_and_off() -> None:
    found = allowed("recovery")
    assert of("drs:StopFailback", found).conditions == {"Null": {"aws:ResourceTag/drs-failback:target": "false"}}
    for action in ("drs:TagResource", "drs:UntagResource"):
        keys = of(action, found).conditions["ForAllValues:StringEquals"]
        assert keys == {"aws:TagKeys": ["drs-failback:target"]}
        assert of(action, found).conditions["Null"] == {"aws:TagKeys": "false"}
    assert of("drs:DescribeRecoveryInstances", found).resources == ("*",)
    changing = [each for each in found if ":Describe" not in each.actions[0]]
    assert {each.resources for each in changing} == {(INSTANCES,)}


def test_a_rule_is_made_with_our_tags_and_only_such_a_rule_is_taken_away() -> None:
    by_action: dict[str, dict[str, dict[str, dict[str, object]]]] = {}
    for each in allowed("recovery_hosts"):
        by_action.setdefault(each.actions[0], {})[each.resources[0]] = each.conditions
    becomes, ours = ({"Null": {f"aws:{kind}Tag/drs-failback:run": "false"}} for kind in ("Request", "Resource"))
    assert by_action["ec2:AuthorizeSecurityGroupIngress"] == {GROUPS: {}, RULES: becomes}
    assert by_action["ec2:RevokeSecurityGroupIngress"] == {GROUPS: {}, RULES: ours}
    at_birth = {"StringEquals": {"ec2:CreateAction": "AuthorizeSecurityGroupIngress"}}
    assert by_action["ec2:CreateTags"] == {RULES: {**becomes, **at_birth}}


def test_tokens_are_answered_of_this_machine_and_its_children() -> None:
    found = of("states:SendTaskSuccess", allowed("task_tokens"))
    assert found.resources == (PLACES.machine, f"{PLACES.machine}/*")


def test_only_the_roles_of_targets_with_keys_are_assumed() -> None:
    assert of("sts:AssumeRole", allowed("client_roles")).resources == tuple(PLACES.client_roles)
    assert allowed("client_roles", replace(PLACES, client_roles=[])) == []


def test_only_what_is_taken_home_is_launched_and_only_named_hooks_are_called() -> None:
    jobs = allowed("launch_jobs")
    assert of("drs:StartFailbackLaunch", jobs).conditions == {"Null": {"aws:ResourceTag/drs-failback:target": "false"}}
    assert of("drs:TagResource", jobs).resources == ("arn:aws:drs:eu-west-1:123456789012:job/*",)
    assert of("lambda:InvokeFunction", allowed("hooks")).resources == tuple(PLACES.hooks)
    assert of("lambda:InvokeFunction", allowed("watcher")).resources == (PLACES.watcher,)
    send = of("ssm:SendCommand", allowed("documents"))
    assert send.resources[0] == "arn:aws:ssm:eu-west-1:123456789012:document/stop-web"
    assert send.resources[-1] == "arn:aws:ec2:eu-west-1:123456789012:instance/*"
    nobody = replace(PLACES, hooks=[], documents=[])
    assert (allowed("hooks", nobody), allowed("documents", nobody)) == ([], [])
