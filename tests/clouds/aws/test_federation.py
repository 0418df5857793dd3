"""The ways into a home: the token that STS is asked for, and a secret's text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from failback.clouds.aws.federation import secret_text, web_identity_token
from failback.clouds.aws.session import ATTEMPTS, CONNECTIONS, client
from failback.errors import SignInRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

AUDIENCE = "api://AzureADTokenExchange"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with mock_aws():
        yield


@pytest.mark.usefixtures("cloud")
def test_a_token_is_asked_of_the_regional_sts() -> None:
    sts = client("sts", region="eu-west-1")
    assert sts.meta.endpoint_url == "https://sts.eu-west-1.amazonaws.com"
    asked = {"Audience": [AUDIENCE], "SigningAlgorithm": "RS256", "DurationSeconds": 300}
    # The service's own model judges both sides; the embedded AWS has a token service of its own.
    with Stubber(sts) as stub:
        answer = {"WebIdentityToken": "a.b.c", "Expiration": datetime(2026, 11, 22, tzinfo=UTC)}
        stub.add_response("get_web_identity_token", answer, asked)
        assert web_identity_token(sts, AUDIENCE) == "a.b.c"
        stub.assert_no_pending_responses()


@pytest.mark.usefixtures("cloud")
def test_a_secret_is_text() -> None:
    make: Any = boto3.client
    secrets = make("secretsmanager", "eu-west-1")
    text = secrets.create_secret(Name="home", SecretString="s3cret")["ARN"]
    binary = secrets.create_secret(Name="bytes", SecretBinary=b"\x01")["ARN"]
    assert secret_text(secrets, text) == "s3cret"
    with pytest.raises(SignInRefused, match=r"bytes.*plain text"):
        secret_text(secrets, binary)


@pytest.mark.usefixtures("cloud")
def test_clients_are_patient_and_have_room() -> None:
    config = client("s3", region="eu-west-1").meta.config
    assert config.max_pool_connections == CONNECTIONS >= 64
    assert config.retries == {"mode": "standard", "total_max_attempts": ATTEMPTS}
