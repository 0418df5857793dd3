"""The contract of KeyMint: the keys are such as an agent's settings take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.clouds.aws.client_keys import StsKeyMint
from failback.model.agent import AgentSettings, DiskMapping
from tests.clouds.aws.tables import REGION
from tests.contracts.aws.conftest import KINDS
from tests.memory.client_keys import MemoryMint

if TYPE_CHECKING:
    from failback.recovery_ports import KeyMint

ROLE = "arn:aws:iam::123456789012:role/prod-client-azure-home"
INSTANCE = "i-0123456789abcdef0"
ARN = f"arn:aws:drs:{REGION}:123456789012:recovery-instance/{INSTANCE}"


@pytest.fixture(params=KINDS)
def mint(request: pytest.FixtureRequest) -> KeyMint:
    if request.param == "memory":
        return MemoryMint()
    request.getfixturevalue("moto")
    import boto3

    return StsKeyMint(boto3.client("sts", REGION))


def test_keys_serve_an_agent_and_are_not_shown(mint: KeyMint) -> None:
    first = mint.mint(ROLE, session="run-1-client", instance_arn=ARN)
    second = mint.mint(ROLE, session="run-1-client", instance_arn=ARN)
    for access_key, secret_key, session_token in (first, second):
        AgentSettings(
            run="run-1",
            server="web",
            region=REGION,
            recovery_instance=INSTANCE,
            credentials="keys",
            access_key=access_key,
            secret_key=secret_key,
            session_token=session_token,
            mapping=(DiskMapping(recovery_device="/dev/xvda", lun=0),),
        )
        assert secret_key.get_secret_value() not in repr((access_key, secret_key, session_token))
    assert first[0].get_secret_value() != second[0].get_secret_value()
