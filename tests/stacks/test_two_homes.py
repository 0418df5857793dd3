"""A deployment with targets at both homes: each home's functions get into their own, and cdk-nag finds nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest

from failback.model.deployment import LONGEST_NAME, Deployment, parse_deployment
from failback.model.target import TARGET, GoogleTarget, HomeName
from failback.settings import FunctionSettings
from stacks.assets import Asset, Function, Workshop
from stacks.clients import GOOGLE
from stacks.functions import targets_prefix
from stacks.synthesis import synthesise
from tests.stacks.conftest import ROOT, Synthesis

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.assets, pytest.mark.timeout(300)]

HOMES: tuple[HomeName, ...] = get_args(HomeName)
EXAMPLES = {"azure": "deployment.example.json", "google": "deployment.example-google.json"}
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:google-AbCdEf"
LONGEST_ROLE_ARN = len("arn:aws-us-gov:iam::123456789012:role/") + 64
LONGEST_SUBJECT = 127
"""Bytes that Google takes as google.subject (WorkloadIdentityPoolProvider, attributeMapping)."""


@dataclass(frozen=True)
class Empty(Workshop):
    """Makes packages with nothing in them: a template names them only."""

    def make(self, function: Function) -> Asset:
        """An empty folder."""
        folder = self.build / function.name
        folder.mkdir(parents=True, exist_ok=True)
        return Asset(folder, sha256(function.name.encode()).hexdigest())


def example(home: str) -> dict[str, Any]:
    """The example file of a home."""
    read: dict[str, Any] = json.loads((ROOT / EXAMPLES[home]).read_text(encoding="utf-8"))
    return read


def targets() -> Iterator[dict[str, Any]]:
    """One at Azure, and three at Google: with each way in, and each way of client machines into AWS."""
    yield from example("azure")["targets"]
    (google,) = example("google")["targets"]
    yield google
    yield {**google, "name": "by-key", "credential": {"kind": "secret", "secret_arn": SECRET}, "client": None}
    yield {**google, "name": "keyed", "client": {"kind": "keys"}}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    """The template of a deployment with the longest name."""
    name = "n" * LONGEST_NAME
    deployment = parse_deployment(json.dumps({"name": name, "targets": list(targets())}))
    folder = tmp_path_factory.mktemp("two-homes")
    workshop = Empty(ROOT, folder / "build", deployment.python)
    path = synthesise(deployment, workshop, folder / "cdk.out")
    return Synthesis(deployment, workshop, path, json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("home", HOMES)
def test_each_home_has_an_example_file(home: HomeName) -> None:
    deployment = parse_deployment(json.dumps(example(home)))
    assert deployment.homes == [home]
    assert len(deployment.audiences(home)) == 1
    assert [target.client is not None for target in deployment.targets] == [True]


def functions_at(both: Synthesis, home: str) -> dict[str, dict[str, Any]]:
    """A home's functions by stage."""
    found = both.resources("Lambda::Function").values()
    variables = [(each["Environment"]["Variables"], each) for each in found]
    return {given["FAILBACK_STAGE"]: each for given, each in variables if given.get("FAILBACK_HOME") == home}


def statements_of(both: Synthesis, function: dict[str, Any]) -> list[dict[str, Any]]:
    role = function["Role"]["Fn::GetAtt"][0]
    found = both.resources("IAM::Policy").values()
    return [
        each for policy in found if {"Ref": role} in policy["Roles"] for each in policy["PolicyDocument"]["Statement"]
    ]


def actions_of(statement: dict[str, Any]) -> set[str]:
    given = statement["Action"]
    return {given} if isinstance(given, str) else set(given)


def test_each_stage_at_home_is_a_function_at_each_home(both: Synthesis) -> None:
    stages = {stage for stage, each in both.workshop.contracts.items() if each.side == "home"}
    assert [set(functions_at(both, home)) for home in HOMES] == [stages, stages]
    names = [each["FunctionName"] for each in both.resources("Lambda::Function").values()]
    assert max(len(name) for name in names) <= 64
    # Stages may be called by longer names than any is now.
    assert max(LONGEST_NAME + len(f"-{'s' * 32}-{home}") for home in HOMES) <= 64
    environment = next(
        each["Environment"]["Variables"]
        for each in both.resources("Lambda::Function").values()
        if "FAILBACK_FUNCTIONS" in each["Environment"]["Variables"]
    )
    known = json.loads(environment["FAILBACK_FUNCTIONS"])
    assert known == {
        home: {stage: each["FunctionName"] for stage, each in functions_at(both, home).items()} for home in HOMES
    }
    for function in (each for home in HOMES for each in functions_at(both, home).values()):
        given = {name: value if isinstance(value, str) else "made"
                 for name, value in function["Environment"]["Variables"].items()}  # fmt: skip
        assert FunctionSettings.from_environment({**given, "AWS_REGION": "eu-west-1"}).home in HOMES


def test_a_home_s_functions_have_tokens_for_their_own_home_only(both: Synthesis) -> None:
    audiences: dict[str, set[str]] = {}
    for home in HOMES:
        for function in functions_at(both, home).values():
            for each in statements_of(both, function):
                if "sts:GetWebIdentityToken" in actions_of(each):
                    given = each["Condition"]["ForAllValues:StringEquals"]["sts:IdentityTokenAudience"]
                    audiences.setdefault(home, set()).update(given)
    (google,) = (each for each in both.deployment.targets if each.name == "google-home")
    assert isinstance(google, GoogleTarget)
    assert google.credential.kind == "federation"
    provider = f"https://iam.googleapis.com/{google.credential.provider}"
    assert audiences == {"azure": {"api://AzureADTokenExchange"}, "google": {provider}}


def test_a_home_s_secret_is_read_by_its_own_functions_only(both: Synthesis) -> None:
    for home in HOMES:
        found = [
            each
            for function in functions_at(both, home).values()
            for each in statements_of(both, function)
            if "secretsmanager:GetSecretValue" in actions_of(each)
        ]
        assert {each["Resource"] for each in found} == ({SECRET} if home == "google" else set())


def test_stages_may_the_same_at_each_home(both: Synthesis) -> None:
    """What they may at AWS is their contract's; the way in and the key roles depend on the home's targets."""
    own = {"secretsmanager:GetSecretValue", "sts:AssumeRole"}
    may = [
        {
            stage: {action for each in statements_of(both, function) for action in actions_of(each)} - own
            for stage, function in functions_at(both, home).items()
        }
        for home in HOMES
    ]
    assert may[0] == may[1]


def test_the_roles_that_sign_in_are_named_by_home(both: Synthesis) -> None:
    for home in HOMES:
        named = str(both.template["Outputs"][f"RolesAt{home.capitalize()}"])
        own = {each["Role"]["Fn::GetAtt"][0] for each in functions_at(both, home).values()}
        assert {name for name in both.resources("IAM::Role") if f"'{name}'" in named} == own


def test_a_role_s_arn_is_short_enough_for_google(both: Synthesis) -> None:
    """CloudFormation names the roles, in 64 characters at most; a path would make the ARN longer."""
    assert LONGEST_ROLE_ARN <= LONGEST_SUBJECT
    for function in functions_at(both, "google").values():
        role = both.resources("IAM::Role")[function["Role"]["Fn::GetAtt"][0]]
        assert "Path" not in role
        assert "RoleName" not in role


def client_roles(both: Synthesis) -> dict[str, dict[str, Any]]:
    prefix = f"{both.deployment.name}-client-"
    named = [(str(each.get("RoleName", "")), each) for each in both.resources("IAM::Role").values()]
    return {name.removeprefix(prefix): each for name, each in named if name.startswith(prefix)}


def test_clients_at_google_are_trusted_by_their_account_or_get_keys(both: Synthesis) -> None:
    found = client_roles(both)
    assert set(found) == {"azure-home", "google-home", "keyed"}
    (statement,) = found["google-home"]["AssumeRolePolicyDocument"]["Statement"]
    client = example("google")["targets"][0]["client"]
    assert statement == {
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {f"{GOOGLE}:sub": client["unique_id"], f"{GOOGLE}:oaud": client["audience"]}
        },
        "Effect": "Allow",
        "Principal": {"Federated": GOOGLE},
    }  # fmt: skip
    (statement,) = found["keyed"]["AssumeRolePolicyDocument"]["Statement"]
    minting = functions_at(both, "google")["register_client"]["Role"]
    assert statement["Principal"] == {"AWS": minting}
    # Google's issuer is IAM's own: a provider is made for Azure's tenant only.
    (provider,) = both.resources("IAM::OIDCProvider").values()
    assert "sts.windows.net" in provider["Url"]


def test_keys_are_minted_by_the_home_s_own_function_only(both: Synthesis) -> None:
    for home in HOMES:
        function = functions_at(both, home)["register_client"]
        roles = [each["Resource"] for each in statements_of(both, function) if "sts:AssumeRole" in actions_of(each)]
        assert len(roles) == (home == "google")
        assert all(str(role).endswith("-client-keyed']]}") for role in roles)


def test_targets_of_both_homes_are_parameters(both: Synthesis) -> None:
    held = {each["Name"]: TARGET.validate_json(each["Value"]) for each in both.resources("SSM::Parameter").values()}
    prefix = targets_prefix(both.deployment)
    assert held == {f"{prefix}/{target.name}": target for target in both.deployment.targets}


def test_both_examples_make_one_deployment() -> None:
    whole = {**example("azure"), "targets": [example(home)["targets"][0] for home in HOMES]}
    assert isinstance(parse_deployment(json.dumps(whole)), Deployment)
    assert Path(ROOT / EXAMPLES["google"]).name in (ROOT / "docs/deploy-google.md").read_text(encoding="utf-8")
