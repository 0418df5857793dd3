"""What Systems Manager is asked, and what its answers mean: pages, pending commands, outputs, refusals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from failback.clouds.aws.documents import TAIL, SsmDocuments
from failback.errors import CloudRefused
from tests.clouds.aws.embedded import Sdk, client_at

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTANCE = "i-0123456789abcdef0"
ID = "00000000-0000-4000-8000-000000000001"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PENDING = {"Filters": [{"key": "Status", "value": "Pending"}]}


@pytest.fixture
def ssm() -> Sdk:
    return client_at("ssm", "http://127.0.0.1:9", attempts=1)


@pytest.fixture
def asked(ssm: Sdk) -> Iterator[Stubber]:
    with Stubber(ssm) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def command(number: int, comment: str, *, instance: str = INSTANCE, minute: int = 0) -> dict[str, Any]:
    return {
        "CommandId": f"{ID[:-1]}{number}",
        "Comment": comment,
        "InstanceIds": [instance],
        "RequestedDateTime": NOON + timedelta(minutes=minute),
    }


def test_what_is_sent_is_bounded_and_carries_the_token(ssm: Sdk, asked: Stubber) -> None:
    asked.add_response("list_commands", {"Commands": [command(2, "another")]}, {"InstanceId": INSTANCE})
    asked.add_response("list_commands", {"Commands": []}, PENDING)
    given = {
        "InstanceIds": [INSTANCE],
        "DocumentName": "stop",
        "Parameters": {"service": ["shop"]},
        "Comment": "token",
        "TimeoutSeconds": 300,
    }
    asked.add_response("send_command", {"Command": {"CommandId": ID}}, given)
    assert SsmDocuments(ssm).run(INSTANCE, "stop", {"service": ["shop"]}, token="token", minutes=5) == ID


def test_a_command_that_has_not_reached_its_instance_is_found(ssm: Sdk, asked: Stubber) -> None:
    asked.add_response("list_commands", {"Commands": [], "NextToken": "t"}, {"InstanceId": INSTANCE})
    asked.add_response("list_commands", {"Commands": []}, {"InstanceId": INSTANCE, "NextToken": "t"})
    waiting = [command(2, "token", instance="i-00000000000000001"), command(3, "token")]
    asked.add_response("list_commands", {"Commands": waiting}, PENDING)
    assert SsmDocuments(ssm).run(INSTANCE, "stop", {}, token="token", minutes=5) == f"{ID[:-1]}3"


def test_commands_come_in_the_order_of_their_times_and_once(ssm: Sdk, asked: Stubber) -> None:
    newest_first = [command(3, "token-2", minute=9), command(2, "token"), command(4, "other")]
    asked.add_response("list_commands", {"Commands": newest_first}, {"InstanceId": INSTANCE})
    asked.add_response("list_commands", {"Commands": [command(3, "token-2", minute=9)]}, PENDING)
    assert SsmDocuments(ssm).begun(INSTANCE, token="token") == [f"{ID[:-1]}2", f"{ID[:-1]}3"]


def test_a_failed_command_tells_why_with_the_end_of_its_output(ssm: Sdk, asked: Stubber) -> None:
    asked.add_response(
        "list_commands", {"Commands": [{"Status": "TimedOut", "StatusDetails": "ExecutionTimedOut"}]}, {"CommandId": ID}
    )
    wrote = {"StandardOutputContent": "x" * 9000, "StandardErrorContent": "no such unit\n"}
    asked.add_response("get_command_invocation", wrote, {"CommandId": ID, "InstanceId": INSTANCE})
    status, said = SsmDocuments(ssm).outcome(INSTANCE, ID)
    assert status == "failed"
    assert said.startswith("ExecutionTimedOut: xxx")
    assert said.endswith("x\nno such unit")
    assert len(said) == len("ExecutionTimedOut: ") + TAIL


@pytest.mark.parametrize("code", ["InvalidPluginName", "InvocationDoesNotExist"])
def test_a_document_of_several_steps_has_no_output_of_its_own(ssm: Sdk, asked: Stubber, code: str) -> None:
    asked.add_response("list_commands", {"Commands": [{"Status": "Success"}]}, {"CommandId": ID})
    asked.add_client_error("get_command_invocation", code)
    assert SsmDocuments(ssm).outcome(INSTANCE, ID) == ("done", "")


@pytest.mark.parametrize("listed", [[], [{"Status": "Pending"}], [{"Status": "Cancelling"}]], ids=str)
def test_a_command_that_has_not_ended_is_pending(ssm: Sdk, asked: Stubber, listed: list[dict[str, str]]) -> None:
    asked.add_response("list_commands", {"Commands": listed}, {"CommandId": ID})
    assert SsmDocuments(ssm).outcome(INSTANCE, ID) == ("pending", "")


@pytest.mark.parametrize("operation", ["list_commands", "get_command_invocation"])
def test_another_error_of_a_look_is_told(ssm: Sdk, asked: Stubber, operation: str) -> None:
    if operation != "list_commands":
        asked.add_response("list_commands", {"Commands": [{"Status": "Success"}]})
    asked.add_client_error(operation, "ThrottlingException")
    with pytest.raises(ClientError, match="Throttling"):
        SsmDocuments(ssm).outcome(INSTANCE, ID)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("InvalidInstanceId", "AmazonSSMManagedInstanceCore"),
        ("InvalidDocument", "no such document"),
        ("InvalidParameters", "doesn't take these parameters"),
        ("UnsupportedPlatformType", "another operating system"),
    ],
)
def test_what_keeps_a_document_from_being_run_is_explained(ssm: Sdk, asked: Stubber, code: str, words: str) -> None:
    for given in ({"InstanceId": INSTANCE}, PENDING):
        asked.add_response("list_commands", {"Commands": []}, given)
    asked.add_client_error("send_command", code, "as it says")
    with pytest.raises(CloudRefused, match=rf"as it says \({code}\)\. .*{words}"):
        SsmDocuments(ssm).run(INSTANCE, "stop", {}, token="token", minutes=5)


def test_another_refusal_of_a_command_is_told_as_it_is(ssm: Sdk, asked: Stubber) -> None:
    for given in ({"InstanceId": INSTANCE}, PENDING):
        asked.add_response("list_commands", {"Commands": []}, given)
    asked.add_client_error("send_command", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        SsmDocuments(ssm).run(INSTANCE, "stop", {}, token="token", minutes=5)
