"""The synthesised template: who may do what, what is encrypted, and that the embedded AWS takes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import DeploymentInvalid
from failback.model.target import TARGET
from failback.settings import FunctionSettings
from localcloud.moto_seams.deploy import unknown_types
from stacks.synthesis import synthesise

if TYPE_CHECKING:
    from tests.stacks.conftest import Synthesis

pytestmark = [pytest.mark.assets, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]


def policies_of(synthesis: Synthesis, stage: str) -> list[dict[str, Any]]:
    function = next(each for each in functions(synthesis).values() if each["FunctionName"].endswith(stage))
    role = function["Role"]["Fn::GetAtt"][0]
    found = synthesis.resources("IAM::Policy").values()
    return [
        each for policy in found if {"Ref": role} in policy["Roles"] for each in policy["PolicyDocument"]["Statement"]
    ]


def functions(synthesis: Synthesis) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in synthesis.resources("Lambda::Function").items()}


def actions_of(statement: dict[str, Any]) -> set[str]:
    given = statement["Action"]
    return {given} if isinstance(given, str) else set(given)


def test_every_type_can_be_made_by_the_embedded_aws(synthesis: Synthesis) -> None:
    assert unknown_types(synthesis.template) == {}
    assert not [each for each in synthesis.template["Resources"].values() if each["Type"].startswith("Custom::")]
    assert "Parameters" not in synthesis.template


def test_every_function_is_there_with_a_role_of_its_own(synthesis: Synthesis) -> None:
    wanted = {f"drs-failback-{each.name}": each for each in synthesis.workshop.functions(["azure"])}
    found = {each["FunctionName"]: each for each in functions(synthesis).values()}
    assert set(found) == set(wanted)
    assert len({str(each["Role"]) for each in found.values()}) == len(found)
    for name, each in found.items():
        contract = wanted[name].contract
        assert (each["MemorySize"], each["Timeout"]) == (contract.memory_mib, contract.timeout_seconds)
        assert each["Runtime"] == f"python{synthesis.deployment.python}"
        assert each["TracingConfig"] == {"Mode": "Active"}
        assert each["Handler"] == wanted[name].handler
        assert "ReservedConcurrentExecutions" not in each


def test_functions_understand_their_environment(synthesis: Synthesis) -> None:
    for each in functions(synthesis).values():
        given = {
            name: value if isinstance(value, str) else "made"
            for name, value in each["Environment"]["Variables"].items()
        }
        settings = FunctionSettings.from_environment({**given, "AWS_REGION": "eu-west-1"})
        assert each["FunctionName"].startswith(f"drs-failback-{settings.stage.replace('_', '-')}")
        assert (settings.home or "") == ("azure" if each["FunctionName"].endswith("-azure") else "")
        assert settings.targets == "/drs-failback/targets"
        roles = each["Environment"]["Variables"].get("FAILBACK_CLIENT_ROLES", "")
        assert str(roles).endswith(":role/drs-failback-client-']]}") is bool(settings.home)
        if settings.stage == "check_request":
            home = settings.functions["azure"]
            assert set(home.values()) <= {one["FunctionName"] for one in functions(synthesis).values()}
            assert home["import_image"] == "drs-failback-import-image-azure"


@pytest.mark.parametrize("stage", ["check-request", "fetch-iso", "build-image", "write-report", "watch"])
def test_a_role_of_awss_side_never_gets_into_a_home(synthesis: Synthesis, stage: str) -> None:
    actions = {action for each in policies_of(synthesis, stage) for action in actions_of(each)}
    assert not {action for action in actions if action.startswith(("sts:", "secretsmanager:"))}


def test_no_role_may_do_everything_of_anything(synthesis: Synthesis) -> None:
    for policy in synthesis.resources("IAM::Policy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            assert not [action for action in actions_of(statement) if action.endswith(":*")]
    assert not [role for role in synthesis.resources("IAM::Role").values() if "ManagedPolicyArns" in role]


def test_giving_back_removes_only_what_carries_a_runs_tag(synthesis: Synthesis) -> None:
    removing = {"ec2:DeleteSnapshot", "ec2:DeregisterImage"}
    found = [each for each in policies_of(synthesis, "give-back-azure") if actions_of(each) & removing]
    assert {action for each in found for action in actions_of(each)} == removing
    assert all(each["Condition"] == {"Null": {"aws:ResourceTag/drs-failback:run": "false"}} for each in found)


def test_storage_is_encrypted_and_kept(synthesis: Synthesis) -> None:
    (bucket,) = synthesis.resources("S3::Bucket").values()
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    aborts = [
        each["AbortIncompleteMultipartUpload"]
        for each in bucket["LifecycleConfiguration"]["Rules"]
        if "AbortIncompleteMultipartUpload" in each
    ]
    assert aborts == [{"DaysAfterInitiation": 7}]
    (table,) = synthesis.resources("DynamoDB::Table").values()
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    (index,) = table["GlobalSecondaryIndexes"]
    assert (index["IndexName"], [key["AttributeName"] for key in index["KeySchema"]]) == ("recent", ["kind", "started"])
    (key,) = synthesis.resources("KMS::Key").values()
    assert key["EnableKeyRotation"]
    for kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key"):
        (kept,) = (each for each in synthesis.template["Resources"].values() if each["Type"] == kind)
        assert kept["DeletionPolicy"] == "Retain"


def test_logs_end_and_are_encrypted(synthesis: Synthesis) -> None:
    groups = synthesis.resources("Logs::LogGroup")
    assert len(groups) == len(functions(synthesis)) + 1
    assert {each["RetentionInDays"] for each in groups.values()} == {90}
    assert all("KmsKeyId" in each for each in groups.values())


def test_the_machine_calls_the_stages_and_nothing_else(synthesis: Synthesis) -> None:
    (machine,) = synthesis.resources("StepFunctions::StateMachine").values()
    assert machine["StateMachineName"] == "drs-failback"
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False
    text = (ROOT / "statemachine/failback.asl.json").read_text(encoding="utf-8")
    substituted = machine["DefinitionSubstitutions"]
    assert {name for name in substituted if f"${{{name}}}" in text} == set(substituted)
    assert text.count("${") == len(substituted)
    role = machine["RoleArn"]["Fn::GetAtt"][0]
    allowed = [
        each
        for policy in synthesis.resources("IAM::Policy").values()
        if {"Ref": role} in policy["Roles"]
        for each in policy["PolicyDocument"]["Statement"]
        if "lambda:InvokeFunction" in actions_of(each)
    ]
    (statement,) = allowed
    called = {each["Fn::GetAtt"][0] for each in statement["Resource"]}
    assert called == {name for name, each in functions(synthesis).items() if ".stages." in each["Handler"]}


def test_the_machine_may_run_its_own_children(synthesis: Synthesis) -> None:
    (machine,) = synthesis.resources("StepFunctions::StateMachine").values()
    role = machine["RoleArn"]["Fn::GetAtt"][0]
    own, children, parts = (
        f":{kind}:drs-failback{rest}']]}}"
        for kind, rest in (("stateMachine", ""), ("execution", "/*"), ("execution", ":*"))
    )
    ends = [children, parts]
    wanted = {"states:StartExecution": [own], "states:DescribeExecution": ends, "states:StopExecution": ends}
    found = {
        action: [str(one) for one in (each["Resource"] if isinstance(each["Resource"], list) else [each["Resource"]])]
        for policy in synthesis.resources("IAM::Policy").values()
        if {"Ref": role} in policy["Roles"]
        for each in policy["PolicyDocument"]["Statement"]
        for action in actions_of(each)
        if action in wanted
    }
    assert set(found) == set(wanted)
    for action, last in wanted.items():
        assert len(found[action]) == len(last)
        assert all(resource.endswith(end) for resource, end in zip(found[action], last, strict=True)), found[action]


def test_the_watcher_is_woken_by_the_clock_and_by_drs(synthesis: Synthesis) -> None:
    (watcher,) = (name for name, each in functions(synthesis).items() if each["FunctionName"] == "drs-failback-watch")
    arn = {"Fn::GetAtt": [watcher, "Arn"]}
    rules = synthesis.resources("Events::Rule")
    assert {each.get("ScheduleExpression") for each in rules.values()} == {"rate(1 minute)", None}
    rules = {name: each for name, each in rules.items() if all(target["Arn"] == arn for target in each["Targets"])}
    assert len(rules) == 2
    patterns = [each["EventPattern"] for each in rules.values() if "EventPattern" in each]
    assert patterns == [{"source": ["aws.drs"], "detail-type": ["DRS Recovery Instance Failback State Change"]}]
    permissions = synthesis.resources("Lambda::Permission").values()
    sources = {each["SourceArn"]["Fn::GetAtt"][0] for each in permissions if each["FunctionName"] == arn}
    assert sources == set(rules)
    # The next minute makes up for what was lost.
    (settings,) = synthesis.resources("Lambda::EventInvokeConfig").values()
    assert settings["MaximumRetryAttempts"] == 0


def test_what_ends_an_execution_of_the_machine_is_cleaned_up_after(synthesis: Synthesis) -> None:
    """A child of a Distributed Map is of another ARN: its end is its run's business."""
    name = "drs-failback-clean-up-aborted"
    (door,) = (key for key, each in functions(synthesis).items() if each["FunctionName"] == name)
    found = [each for each in synthesis.resources("Events::Rule").values() if "aws.states" in str(each)]
    (rule,) = found
    assert [target["Arn"] for target in rule["Targets"]] == [{"Fn::GetAtt": [door, "Arn"]}]
    detail = rule["EventPattern"]["detail"]
    assert detail["status"] == ["ABORTED", "TIMED_OUT", "FAILED"]
    (machine,) = detail["stateMachineArn"]
    assert machine["Fn::Join"][1][-1] == ":stateMachine:drs-failback"


def test_the_watcher_launches_answers_tokens_and_changes_nothing_else(synthesis: Synthesis) -> None:
    actions = {action for each in policies_of(synthesis, "failback-watch") for action in actions_of(each)}
    assert {"states:SendTaskSuccess", "states:SendTaskFailure", "drs:DescribeRecoveryInstances"} <= actions
    assert not {action for action in actions if action.startswith(("ec2:", "s3:", "ssm:"))}
    assert {action for action in actions if action.startswith("drs:")} == {
        "drs:DescribeRecoveryInstances", "drs:StartFailbackLaunch", "drs:TagResource", "drs:DescribeJobs",
        "drs:DescribeJobLogItems",
    }  # fmt: skip


def test_no_function_ends_a_recovery_instance(synthesis: Synthesis) -> None:
    actions = {
        action
        for policy in synthesis.resources("IAM::Policy").values()
        for each in policy["PolicyDocument"]["Statement"]
        for action in actions_of(each)
    }
    ending = ("Terminate", "Disconnect", "Delete", "Stop", "Start")
    named = [name for name in actions if name.startswith(("drs:", "ec2:"))]
    touching = {name for name in named if name.partition(":")[2].startswith(ending)}
    assert touching == {"ec2:DeleteSnapshot", "drs:StopFailback", "drs:StartFailbackLaunch"}


def test_targets_are_parameters(synthesis: Synthesis) -> None:
    (parameter,) = synthesis.resources("SSM::Parameter").values()
    assert parameter["Name"] == "/drs-failback/targets/azure-home"
    assert TARGET.validate_json(parameter["Value"]) == synthesis.deployment.targets[0]
    outputs = {"StateMachineArn", "RunLogTable", "ImageBucket", "TargetsPrefix", "DecideFunction", "RolesAtAzure"}
    assert set(synthesis.template["Outputs"]) == outputs


def test_the_roles_that_sign_in_at_home_are_named(synthesis: Synthesis) -> None:
    """Those of the functions at home, and no other: each needs a federated credential there."""
    named = str(synthesis.template["Outputs"]["RolesAtAzure"])
    roles = {name for name in synthesis.resources("IAM::Role") if f"'{name}'" in named}
    at_home = {
        function["Role"]["Fn::GetAtt"][0]
        for function in synthesis.resources("Lambda::Function").values()
        if function["FunctionName"].endswith("-azure")
    }
    assert roles == at_home
    stages = synthesis.workshop.contracts.values()
    assert len(roles) == len([each for each in stages if each.side == "home"])


def test_what_cdk_nag_finds_without_a_reason_fails_the_synthesis(
    synthesis: Synthesis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stacks.functions.accept_wildcard", lambda *_: None)
    with pytest.raises(DeploymentInvalid, match=r"validation-report\.json"):
        synthesise(synthesis.deployment, synthesis.workshop, tmp_path)
    assert "AwsSolutions-IAM5" in (tmp_path / "validation-report.json").read_text(encoding="utf-8")


def test_cfn_lint_finds_nothing(synthesis: Synthesis) -> None:
    program = str(Path(sys.executable).with_name("cfn-lint"))
    command = [program, "--ignore-checks", "W3005", "--template", str(synthesis.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_app_says_what_is_wrong_with_a_deployment_file(tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text('{"targets": [], "colour": 1}')
    command = [sys.executable, "app.py", "-c", f"deployment={tmp_path / 'wrong.json'}", "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert "colour: " in done.stderr
    assert "targets: there's none" in done.stderr
    assert "Traceback" not in done.stderr
