"""The deployment that the command talks to: a stack in the user's own AWS account, or the embedded clouds.

The SDK is imported late: it takes longer to load than everything else of the command together.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from failback.errors import CloudRefused, CloudUnreachable, NotDeployed, RequestInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import boto3
    from mypy_boto3_cloudformation.type_defs import OutputTypeDef
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType

    from failback.model.decision import DecisionRequest
    from failback.model.record import RunHistory, RunRecord
    from localcloud.embedded.state_file import EmbeddedState

Client: TypeAlias = Any
"""boto3 makes its clients when it runs; who takes one says which it is."""

# Seconds between two looks at a run. A look is two calls: far below every quota of an account, and what a person sees.
EMBEDDED_INTERVAL, ACCOUNT_INTERVAL = 0.5, 2.0
# Tries of each call, with the SDK's own growing pauses: throttling of a minute is sat out; nothing throttles here.
ACCOUNT_TRIES, EMBEDDED_TRIES = 10, 3
MACHINE, RUN_LOG, DECIDE = "StateMachineArn", "RunLogTable", "DecideFunction"
# What the embedded clouds answer while they come to their end.
ENDING = "ServiceUnavailableException"
# The embedded clouds take any key; these can't be anybody's.
LOCAL_KEY = "local"
WAYS_OUT = (
    "Start the embedded clouds with `failback local up`, or name the stack of a real deployment with --stack NAME or "
    "FAILBACK_STACK (and --profile, --region where AWS's own settings don't say them)."
)


class RunLogReader(Protocol):
    """What the command needs of a RunLog."""

    def read(self, run: str) -> RunHistory | None: ...

    def recent(self, limit: int) -> Sequence[RunRecord]: ...


@dataclass(frozen=True, slots=True)
class Where:
    """What the user says about where: a stack's name and AWS's own settings; `local` is the embedded clouds' folder."""

    local: Path
    stack: str = ""
    profile: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """A state machine's execution: its request as JSON, and how it ended (Step Functions' own Error and Cause)."""

    arn: str
    status: ExecutionStatusType
    request: str
    started: datetime
    stopped: datetime | None = None
    error: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A state machine, its run log and the door for decisions (`decider`); `interval` is in seconds."""

    name: str
    machine: str
    states: SFNClient
    run_log: RunLogReader
    interval: float
    session: boto3.Session | None = None
    url: str | None = None
    decider: str = ""

    def decide(self, wanted: DecisionRequest) -> Mapping[str, object]:
        """Have a decision noted; what the door answers. Raises RequestInvalid with every fault that it finds."""
        if self.session is None or not self.decider:
            message = f"{self.name} has no output {DECIDE}: deploy the stack again, with this version"
            raise NotDeployed(message)
        told = wanted.model_copy(update={"actor": wanted.actor or self.caller()})
        functions = _client(self.session, "lambda", self.url)
        answer = functions.invoke(FunctionName=self.decider, Payload=told.model_dump_json())
        said: Mapping[str, object] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            kind = RequestInvalid if said.get("errorType") == RequestInvalid.__name__ else CloudRefused
            raise kind(str(said.get("errorMessage", said)))
        return said

    def caller(self) -> str:
        """Who AWS says that this is."""
        if self.session is None:
            return ""
        return str(_client(self.session, "sts", self.url).get_caller_identity()["Arn"])

    def start(self, run: str, request: str) -> str:
        """Start a run and return its execution's ARN; the same run and request again is the same execution.

        Raises RequestInvalid where there's a run of that name with another request.
        """
        try:
            return self.states.start_execution(stateMachineArn=self.machine, name=run, input=request)["executionArn"]
        except self.states.exceptions.ExecutionAlreadyExists:
            # AWS says so of every execution that has ended, whatever its request was.
            before = self.execution(run)
        if before is None or json.loads(before.request) != json.loads(request):
            message = f"--run: there is a run {run!r} already, with another request; give this one another name"
            raise RequestInvalid(message)
        return before.arn

    def execution(self, run: str) -> Execution | None:
        """The run's execution; None if there's none (any more: AWS forgets an execution 90 days after its end)."""
        try:
            told = self.states.describe_execution(executionArn=self.execution_arn(run))
        except self.states.exceptions.ExecutionDoesNotExist:
            return None
        return Execution(
            arn=told["executionArn"],
            status=told["status"],
            request=told.get("input", "{}"),
            started=told["startDate"],
            stopped=told.get("stopDate"),
            error=told.get("error", ""),
            cause=told.get("cause", ""),
        )

    def execution_arn(self, run: str) -> str:
        """Step Functions makes an execution's ARN of its machine's and its name."""
        return f"{self.machine.replace(':stateMachine:', ':execution:', 1)}:{run}"


@contextmanager
def reached(where: Where, given: object = None) -> Iterator[Deployment]:
    """The deployment, and within the block what AWS refuses in our own words; `given` is one that's made already."""
    if isinstance(given, Deployment):
        yield given
        return
    from localcloud.embedded.state_file import read_state

    embedded = None if where.stack else read_state(where.local)
    if not where.stack and embedded is None:
        message = f"No deployment to talk to: no stack is named, and the embedded clouds don't run. {WAYS_OUT}"
        raise NotDeployed(message)
    with _in_our_words(where):
        yield connect_embedded(embedded) if embedded else connect_stack(where)


def connect_embedded(state: EmbeddedState) -> Deployment:
    """The deployment in the embedded clouds."""
    import boto3

    session = boto3.Session(LOCAL_KEY, LOCAL_KEY, region_name=state.region)
    return _deployment("the embedded clouds", session, state.outputs, interval=EMBEDDED_INTERVAL, url=state.aws_url)


def connect_stack(where: Where) -> Deployment:
    """The deployment of that stack; raises NotDeployed if there's none."""
    import boto3
    from botocore.exceptions import ClientError

    session = boto3.Session(profile_name=where.profile, region_name=where.region)
    place = f"in {session.region_name}"
    try:
        stacks = _client(session, "cloudformation").describe_stacks(StackName=where.stack)["Stacks"]
    except ClientError as error:
        # CloudFormation's way to say that there's no such stack.
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        message = f"There's no stack {where.stack!r} {place}: {error.response['Error']['Message']}. {WAYS_OUT}"
        raise NotDeployed(message) from error
    listed: Sequence[OutputTypeDef] = stacks[0].get("Outputs", [])
    outputs = {each["OutputKey"]: each["OutputValue"] for each in listed}
    return _deployment(f"stack {where.stack} {place}", session, outputs, interval=ACCOUNT_INTERVAL)


def _deployment(
    name: str, session: boto3.Session, outputs: Mapping[str, str], *, interval: float, url: str | None = None
) -> Deployment:
    from failback.clouds.aws.run_log import DynamoRunLog

    missing = [output for output in (MACHINE, RUN_LOG) if output not in outputs]
    if missing:
        message = f"{name} has no output {' and no '.join(missing)}: it isn't this product's stack, or not up to date"
        raise NotDeployed(message)
    run_log = DynamoRunLog(_client(session, "dynamodb", url), outputs[RUN_LOG])
    states = _client(session, "stepfunctions", url)
    return Deployment(name, outputs[MACHINE], states, run_log, interval, session, url, outputs.get(DECIDE, ""))


def _client(session: boto3.Session, service: str, url: str | None = None) -> Client:
    from botocore.config import Config

    config = Config(retries={"mode": "standard", "total_max_attempts": EMBEDDED_TRIES if url else ACCOUNT_TRIES})
    make: Client = session.client
    return make(service, endpoint_url=url, config=config)


@contextmanager
def _in_our_words(where: Where) -> Iterator[None]:
    from botocore import exceptions

    from failback.clouds.aws.refusals import STALE

    unready = (
        exceptions.ProfileNotFound,
        exceptions.NoRegionError,
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.SSOError,
    )
    try:
        yield
    except unready as error:
        message = f"AWS can't be asked about stack {where.stack!r}: {error}. Sign in, or say --profile and --region."
        raise NotDeployed(message) from error
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        raise CloudUnreachable(_unreachable(where, error)) from error
    except exceptions.ClientError as error:
        told = error.response["Error"]
        if not where.stack and told["Code"] == ENDING:
            raise CloudUnreachable(_unreachable(where, error)) from error
        if told["Code"] in STALE:
            message = f"AWS doesn't take the credentials: {told['Message']}. Sign in again, or say --profile."
            raise NotDeployed(message) from error
        message = (
            f"AWS refuses {error.operation_name}: {told['Code']}: {told['Message']}. The command needs "
            "cloudformation:DescribeStacks, states:StartExecution, states:DescribeExecution, to read the run log, and "
            "for decisions lambda:InvokeFunction."
        )
        raise CloudRefused(message) from error


def _unreachable(where: Where, error: Exception) -> str:
    if where.stack:
        return f"AWS can't be reached: {error}. Runs that have begun go on by themselves."
    return (
        "The embedded clouds can't be reached: they were stopped, or have broken down, and their runs with them. "
        f"`failback local status` says whether they run; {where.local}/log says what they said last. ({error})"
    )
