"""AWS's outbound tokens: asked for through boto3 and from inside a function, taken by Azure through its own SDK."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import boto3
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.azure.cloud import AzureCloud, AzureSettings
from localcloud.azure.identity import FederatedCredential
from localcloud.federation import BLOCK, ISSUER, Federation
from localcloud.gateway.dispatch import Applications
from localcloud.gateway.run import AwsSettings, EmbeddedAws, run_aws
from localcloud.lambda_runner.role_sessions import RoleSessions
from tests.localcloud.azure.clients import CLIENT_ID, RecordingDriver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Sdk = Any
ROLE = "arn:aws:iam::123456789012:role/import"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:import"
AUDIENCE = "api://AzureADTokenExchange"
ARM = "https://management.azure.com/.default"


@pytest.fixture(scope="module")
def federation() -> Federation:
    return Federation(RoleSessions())


@pytest.fixture(scope="module")
def aws(federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    settings = AwsSettings(tmp_path_factory.mktemp("aws"), applications=Applications(parts=federation.parts))
    with run_aws(settings) as running:
        yield running


@pytest.fixture(scope="module")
def sts(aws: EmbeddedAws, federation: Federation) -> Sdk:
    return client(aws, federation._sessions.open(role=ROLE, function=FUNCTION))


def client(aws: EmbeddedAws, key: str) -> Sdk:
    session: Sdk = boto3.session.Session(key, "local", "local", region_name="us-east-1")
    retries = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    return session.client("sts", endpoint_url=aws.url, config=retries)


def test_the_token_speaks_of_the_role_and_is_checked_by_the_published_key(aws: EmbeddedAws, sts: Sdk) -> None:
    tags = [{"Key": "stage", "Value": "import image"}]
    answer = sts.get_web_identity_token(Audience=[AUDIENCE], SigningAlgorithm="RS256", Tags=tags)
    with urllib.request.urlopen(f"{aws.url}/.well-known/jwks.json") as document:
        key = jwt.PyJWKSet.from_dict(json.load(document)).keys[0]
    claims = jwt.decode(answer["WebIdentityToken"], key, audience=AUDIENCE, issuer=ISSUER)
    assert claims["sub"] == ROLE
    assert claims["aud"] == AUDIENCE
    assert claims["exp"] - claims["iat"] == 300
    assert answer["Expiration"].timestamp() == claims["exp"]
    assert claims[BLOCK] == {
        "aws_account": "123456789012", "source_region": "us-east-1", "lambda_source_function_arn": FUNCTION,
        "request_tags": {"stage": "import image"},
    }  # fmt: skip
    with urllib.request.urlopen(f"{aws.url}/.well-known/openid-configuration") as document:
        assert json.load(document)["issuer"] == ISSUER


def test_many_audiences_stay_in_order(sts: Sdk) -> None:
    wanted = [f"a{number}" for number in range(10)]
    token = sts.get_web_identity_token(Audience=wanted, SigningAlgorithm="RS256", DurationSeconds=60)
    claims = jwt.decode(token["WebIdentityToken"], options={"verify_signature": False})
    assert claims["aud"] == wanted
    assert claims["exp"] - claims["iat"] == 60


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"Audience": []}, "ValidationError", "audience"),
        ({"Audience": [str(number) for number in range(11)]}, "ValidationError", "audience"),
        ({"SigningAlgorithm": "ES384"}, "NotImplemented", "ES384"),
        ({"SigningAlgorithm": "HS256"}, "ValidationError", "signingAlgorithm"),
        ({"DurationSeconds": 59}, "ValidationError", "durationSeconds"),
        ({"DurationSeconds": 3601}, "ValidationError", "durationSeconds"),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "ValidationError", "tags"),
        ({"Tags": [{"Key": "<", "Value": "1"}]}, "ValidationError", "tags.1.key"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_service_refuses_is_refused(sts: Sdk, changes: Sdk, code: str, text: str) -> None:
    with pytest.raises(ClientError, match=rf"{code}.*{text}"):
        sts.get_web_identity_token(**{"Audience": [AUDIENCE], "SigningAlgorithm": "RS256", **changes})


def test_only_roles_get_one_and_only_while_it_is_enabled(aws: EmbeddedAws, sts: Sdk, federation: Federation) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied.*isn't a role"):
        client(aws, "AKIASOMEBODY").get_web_identity_token(Audience=[AUDIENCE], SigningAlgorithm="RS256")
    federation.enabled = False
    with pytest.raises(ClientError, match="OutboundWebIdentityFederationDisabledException"):
        sts.get_web_identity_token(Audience=[AUDIENCE], SigningAlgorithm="RS256")
    federation.enabled = True
    assert sts.get_caller_identity()["Account"] == "123456789012"


def test_azure_takes_it_for_the_role_it_trusts_and_for_no_other(
    aws: EmbeddedAws, federation: Federation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = (FederatedCredential(CLIENT_ID, ISSUER, ROLE, AUDIENCE),)
    settings = AzureSettings(tmp_path / "azure", trusted, federation.issuers)

    def sign_in(role: str, base_url: str) -> Sdk:
        sts = client(aws, federation._sessions.open(role=role, function=FUNCTION))

        def assertion() -> str:
            answer = sts.get_web_identity_token(Audience=[AUDIENCE], SigningAlgorithm="RS256")
            return str(answer["WebIdentityToken"])

        way_in: Sdk = {"authority": base_url, "disable_instance_discovery": True}
        with ClientAssertionCredential(settings.tenant, CLIENT_ID, assertion, **way_in) as credential:
            return jwt.decode(credential.get_token(ARM).token, options={"verify_signature": False})

    with AzureCloud(settings, driver=RecordingDriver()).serve() as at:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(at.ca_file))
        assert sign_in(ROLE, at.base_url)["appid"] == CLIENT_ID
        with pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
            sign_in(f"{ROLE}-other", at.base_url)
