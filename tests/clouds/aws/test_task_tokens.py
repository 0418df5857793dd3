"""What Step Functions says of a token, and what of it means that nobody waits."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from failback.clouds.aws.task_tokens import StepTokens
from tests.clouds.aws.embedded import client_at


@pytest.mark.parametrize(
    ("code", "nobody"),
    [
        pytest.param("TaskDoesNotExist", True, id="no-task"),
        pytest.param("TaskTimedOut", True, id="timed-out"),
        pytest.param("InvalidToken", True, id="no-token"),
        pytest.param("InvalidOutput", False, id="our-own-fault"),
        pytest.param("AccessDeniedException", False, id="denied"),
    ],
)
def test_nobody_waits(code: str, *, nobody: bool) -> None:
    states = client_at("stepfunctions", "http://127.0.0.1:9", attempts=1)
    tokens = StepTokens(states)
    with Stubber(states) as stubber:
        stubber.add_client_error("send_task_success", code, expected_params={"taskToken": "t", "output": "{}"})
        stubber.add_client_error(
            "send_task_failure", code, expected_params={"taskToken": "t", "error": "e", "cause": "c"}
        )
        if nobody:
            assert not tokens.succeed("t", "{}")
            assert not tokens.fail("t", error="e", cause="c")
            return
        with pytest.raises(ClientError, match=code):
            tokens.succeed("t", "{}")
        with pytest.raises(ClientError, match=code):
            tokens.fail("t", error="e", cause="c")
