"""SSM documents run inside recovery instances (botocore's service model ssm 2014-11-06).

SendCommand takes no token, so the command's comment carries ours, and what has that comment is never sent again. Run
Command is eventually consistent: that a command is listed by the time of a second try is unconfirmed, and a document
has to be ready for being run twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clouds.aws.answers import code_of
from failback.errors import CloudRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Literal

    from botocore.exceptions import ClientError
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import CommandTypeDef

TAIL = 600
"""Characters of what a command wrote that are told, from its end."""

_UNDER_WAY = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
# Not known yet, and no output of its own: a document of several steps has one for each of them.
_NOT_YET = frozenset({"InvalidCommandId", "InvocationDoesNotExist"})
_NO_OUTPUT = _NOT_YET | {"InvalidPluginName"}
_ADVICE = {
    "InvalidInstanceId": (
        "Systems Manager doesn't manage it. Usually its agent isn't installed or doesn't run, its instance profile "
        "lacks AmazonSSMManagedInstanceCore, or it has no way to Systems Manager. See to that, or choose another kind "
        "of fence"
    ),
    "InvalidDocument": "There's no such document in this account and Region, nor shared with it. Correct its name",
    "InvalidParameters": "The document doesn't take these parameters. Correct them, or the document",
    "UnsupportedPlatformType": "The document is made for another operating system. Choose one for this server's",
}


class SsmDocuments:
    """Documents."""

    def __init__(self, ssm: SSMClient) -> None:
        self._ssm = ssm

    def run(
        self, instance: str, document: str, parameters: Mapping[str, Sequence[str]], *, token: str, minutes: int
    ) -> str:
        for command in self._commands(instance):
            if command.get("Comment") == token:
                return command["CommandId"]
        try:
            sent = self._ssm.send_command(
                InstanceIds=[instance],
                DocumentName=document,
                Parameters=parameters,
                Comment=token,
                TimeoutSeconds=minutes * 60,
            )
        except self._ssm.exceptions.ClientError as error:
            raise _explained(error, instance, document) from error
        return sent["Command"]["CommandId"]

    def begun(self, instance: str, *, token: str) -> Sequence[str]:
        found = [each for each in self._commands(instance) if each.get("Comment", "").startswith(token)]
        # Their times, and where those are the same, as they were listed.
        return list(dict.fromkeys(each["CommandId"] for each in sorted(found, key=_when)))

    def outcome(self, instance: str, command: str) -> tuple[Literal["pending", "done", "failed"], str]:
        """By the whole command: its invocation tells of one step only."""
        try:
            listed = self._ssm.list_commands(CommandId=command)["Commands"]
        except self._ssm.exceptions.ClientError as error:
            if code_of(error) in _NOT_YET:
                return "pending", ""
            raise
        if not listed or listed[0]["Status"] in _UNDER_WAY:
            return "pending", listed[0].get("StatusDetails", "") if listed else ""
        if listed[0]["Status"] == "Success":
            return "done", self._output(instance, command)
        said = [listed[0].get("StatusDetails", ""), self._output(instance, command)]
        return "failed", ": ".join(each for each in said if each) or listed[0]["Status"]

    def _commands(self, instance: str) -> Iterator[CommandTypeDef]:
        """Those of an instance; ones that haven't reached it are only listed without its id (ListCommands)."""
        pages = self._ssm.get_paginator("list_commands")
        for page in pages.paginate(InstanceId=instance):
            yield from page["Commands"]
        for page in pages.paginate(Filters=[{"key": "Status", "value": "Pending"}]):
            yield from (each for each in page["Commands"] if instance in each.get("InstanceIds", ()))

    def _output(self, instance: str, command: str) -> str:
        try:
            found = self._ssm.get_command_invocation(CommandId=command, InstanceId=instance)
        except self._ssm.exceptions.ClientError as error:
            if code_of(error) in _NO_OUTPUT:
                return ""
            raise
        wrote = (found.get("StandardOutputContent", ""), found.get("StandardErrorContent", ""))
        return "\n".join(each.strip() for each in wrote if each.strip())[-TAIL:]


def _when(command: CommandTypeDef) -> float:
    return command["RequestedDateTime"].timestamp()


def _explained(error: ClientError, instance: str, document: str) -> Exception:
    """What a person can do, where the code says it; else the error itself."""
    advice = _ADVICE.get(code_of(error))
    if advice is None:
        return error
    said = error.response.get("Error", {}).get("Message", "") or code_of(error)
    return CloudRefused(f"The SSM document {document} can't be run on {instance}: {said} ({code_of(error)}). {advice}.")
