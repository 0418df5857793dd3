"""How servers change over: what stops the workload on AWS, who approves, what proves it at home, who accepts."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from failback.model.facts import Facts

LONGEST_HOLD_HOURS = 28 * 24
"""Of each wait for a person; the state machine itself ends after 90 days."""

FunctionArn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[\w-]+$")]
DocumentName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.:/-]{3,128}$")]
GroupId = Annotated[str, StringConstraints(pattern=r"^sg-([0-9a-f]{8}|[0-9a-f]{17})$")]
HostPort = Annotated[str, StringConstraints(pattern=r"^(\{address\}|[A-Za-z0-9.-]{1,253}):[0-9]{1,5}$")]
OWN_ADDRESS = "{address}"
"""In what's probed: the address of the server's own machine at home."""
MOST_PROBES = 5
"""Addresses that one look tries, each for some seconds."""
HIGHEST_PORT = 65535
Hours = Annotated[int, Field(ge=1, le=LONGEST_HOLD_HOURS)]

OnFailure = Literal["hold", "give_back"]


class NoFence(Facts):
    """Nothing stops the workload on AWS: what it writes after the launch is lost, and both sides may serve."""

    kind: Literal["none"]


class DocumentFence(Facts):
    """An SSM document stops the workload inside the recovery instance, another one (or none) starts it again.

    Each is run on the one instance with the parameters given here, and has `minutes` to succeed.
    """

    kind: Literal["ssm"]
    document: DocumentName
    parameters: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    lift_document: DocumentName | None = None
    lift_parameters: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    minutes: Annotated[int, Field(ge=1, le=120)] = 15


class FunctionFence(Facts):
    """A Lambda function of the customer's is called with `action` "fence" or "lift", `server` and `run`.

    It has to be ready for being called twice. Its answer `{"status": "done"}` ends it; `pending` has it called again.
    """

    kind: Literal["lambda"]
    function: FunctionArn
    minutes: Annotated[int, Field(ge=1, le=120)] = 15


class GroupFence(Facts):
    """The recovery instance's security groups are exchanged for this one, which lets nothing of the workload through.

    It has to let the replication agent out by 443; the way to port 1500 is opened in it by the run itself.
    """

    kind: Literal["security-group"]
    group: GroupId


Fence = Annotated[NoFence | DocumentFence | FunctionFence | GroupFence, Field(discriminator="kind")]


class LaunchChoice(Facts):
    """Whether a person approves each launch (`per` server, wave or run; within `approval_hours`), or none does.

    Once approved and fenced, everything has to be replicated within `lag_minutes`; a launch has `minutes` from then on.
    """

    mode: Literal["approve", "automatic"] = "approve"
    per: Literal["server", "wave", "run"] = "server"
    approval_hours: Hours = 72
    lag_minutes: Annotated[int, Field(ge=5, le=24 * 60)] = 60
    minutes: Annotated[int, Field(ge=10, le=24 * 60)] = 180


class VerifyChoice(Facts):
    """What counts as proof that a server came up at home, the first of them; it has `minutes` to be seen.

    `serial` is a regular expression for a line of its serial console, `agent` the home's own guest agent, `tcp` an
    address that answers, `http` a URL that gives a status below 400, `function` a Lambda function of the customer's
    that gives `{"verified": true}`. What has to be reached has to be reachable for the stage's function, and has to be
    this server at home: `{address}` in it stands for its own machine's address. A name that still leads to AWS, or to
    another server of the run, proves nothing; in rehearsals only what holds `{address}` is asked.
    """

    serial: Annotated[str, StringConstraints(max_length=200)] | None = None
    agent: bool = True
    tcp: Annotated[tuple[HostPort, ...], Field(max_length=MOST_PROBES)] = ()
    http: Annotated[str, StringConstraints(pattern=r"^https?://\S{1,500}$")] | None = None
    function: FunctionArn | None = None
    minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 30

    @field_validator("serial")
    @classmethod
    def _check_pattern(cls, serial: str | None) -> str | None:
        try:
            re.compile(serial or "")
        except re.error as error:
            message = f"isn't a regular expression: {error}"
            raise ValueError(message) from error
        return serial

    @field_validator("tcp")
    @classmethod
    def _check_ports(cls, tcp: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [each for each in tcp if not 1 <= int(each.rpartition(":")[2]) <= HIGHEST_PORT]
        if wrong:
            message = f"{', '.join(wrong)}: a port is 1 to {HIGHEST_PORT}"
            raise ValueError(message)
        return tcp


class CommitChoice(Facts):
    """Who accepts a server that came up: a person within `hours`, or the policy after `after_hours`, if it's proven.

    One that isn't proven waits for a person in any case. What nobody accepts stays at home, with all that's needed to
    go back kept.
    """

    by: Literal["person", "policy"] = "person"
    hours: Hours = 7 * 24
    after_hours: Annotated[int, Field(ge=0, le=LONGEST_HOLD_HOURS)] = 0


class CutoverChoice(Facts):
    """All of it. `fence` has to be said for goal failback, "none" included.

    `traffic` is called once a server is proven.
    `on_failure`: a server that fails before its launch is held for `hold_hours`, for a person to decide, or given back
    at once. Snapshots of original disks are kept for `snapshot_days` after the commit.
    """

    fence: Fence | None = None
    launch: LaunchChoice = LaunchChoice()
    verify: VerifyChoice = VerifyChoice()
    traffic: FunctionArn | None = None
    commit: CommitChoice = CommitChoice()
    on_failure: OnFailure = "hold"
    hold_hours: Hours = 72
    snapshot_days: Annotated[int, Field(ge=0, le=365)] = 7
