"""What of moto is replaced, each by the hash of the source it was written against.

A change there isn't seen by any type checker: the test of these pins says which seam has to be looked at again.
"""

from __future__ import annotations

import hashlib
import inspect
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias

from failback.errors import EngineMismatch

if TYPE_CHECKING:
    from types import TracebackType

MOTO_VERSION = "5.2.5"

Inside: TypeAlias = Any
"""Something of moto's own: what it is says no type that could be checked here."""

_ASL = "moto.stepfunctions.parser.asl.component"
_DISTRIBUTED = f"{_ASL}.state.exec.state_map.iteration.distributed_iteration_component:DistributedIterationComponent"
_ITEM_WORKER = (
    f"{_ASL}.state.exec.state_map.iteration.itemprocessor.distributed_item_processor_worker"
    ":DistributedItemProcessorWorker"
)
_CALLBACK = "moto.stepfunctions.parser.asl.eval.callback.callback:CallbackPoolManager"
_HTTP = "moto.stepfunctions.responses:StepFunctionResponse"
_BACKEND = "moto.stepfunctions.parser.models:StepFunctionsParserBackend"
_MACHINE = "moto.stepfunctions.models:StateMachine"
_NESTED = f"{_ASL}.state.exec.state_task.service.state_task_service_sfn:StateTaskServiceSfn"
_INTERFACES = "moto.ec2.models.elastic_network_interfaces:NetworkInterfaceBackend"


@dataclass(frozen=True, slots=True)
class Pin:
    """The start of the SHA-256 of a source, and what the seam assumes of it."""

    digest: str
    assumes: str


PINS = {
    "moto.stepfunctions.parser.asl.utils.boto_client:boto_client_for": Pin(
        "1f44dc2ac8aa2179", "takes a new boto3 client for each task, from the module's own name `boto3`"
    ),
    f"{_ASL}.state.wait.wait_function.wait_function:WaitFunction._wait_interval": Pin(
        "8f954dee80372b4b", "is all that a Wait state waits in, and ends early once env isn't running"
    ),
    f"{_ASL}.common.retry.retrier_decl:RetrierDecl._eval_body": Pin(
        "48463fff19cefa98", "waits for a retry by `time.sleep`, `time` being the module's own name"
    ),
    "moto.stepfunctions.parser.asl.eval.event.event_manager:EventManager.add_event": Pin(
        "cb430fa2e3fed3e8", "writes every event of an execution, one manager for each execution"
    ),
    f"{_CALLBACK}.notify": Pin("244536ab931eb3b8", "takes answers to a token, however often"),
    f"{_CALLBACK}.heartbeat": Pin("b816a1b1ca234405", "takes heartbeats of a token, also after its answer"),
    f"{_BACKEND}.send_task_success": Pin("2e95c66f0d676001", "fails while another execution is starting"),
    f"{_BACKEND}.send_task_failure": Pin("2d5a9597cf1d92f9", "fails while another execution is starting"),
    f"{_BACKEND}.send_task_heartbeat": Pin("279ad79cd7a2f24b", "fails while another execution is starting"),
    f"{_BACKEND}.start_execution": Pin("0f8d9dd57baf0c28", "makes no name for an execution that was given none"),
    f"{_HTTP}.send_task_failure": Pin("f0fed5e805768377", "drops the cause"),
    f"{_HTTP}.stop_execution": Pin("633c8a544aacfd14", "drops error and cause"),
    f"{_HTTP}.describe_execution": Pin("c3953bdc9ce21fda", "returns a string output unquoted and no end of a time-out"),
    f"{_HTTP}.get_execution_history": Pin("3889cc6224ac2f76", "knows neither pages nor the reverse order"),
    f"{_MACHINE}.create_from_cloudformation_json": Pin("97e9fc1f9bd3ba26", "reads DefinitionString only"),
    f"{_MACHINE}.update_from_cloudformation_json": Pin("cb61711c12bd559e", "reads DefinitionString only"),
    f"{_MACHINE}.has_cfn_attr": Pin("06f7f8983c54eddc", "doesn't know Arn"),
    f"{_MACHINE}.get_cfn_attribute": Pin("de60b705bd0aa1f7", "doesn't know Arn"),
    f"{_DISTRIBUTED}._map_run": Pin(
        "e45cb604929ff346", "runs all children and counts the failed ones in map_run_record.item_counter"
    ),
    f"{_DISTRIBUTED}._eval_body": Pin(
        "5f5e01607eb064fb", "puts one new event manager in the place of the execution's own while the children run"
    ),
    f"{_ITEM_WORKER}._eval_job": Pin(
        "c97e0ed4aba18b55", "runs a child in a frame of its own, by the event manager that the frame holds"
    ),
    "moto.stepfunctions.parser.backend.execution:BaseExecutionWorkerCommunication.terminated": Pin(
        "360372a6a57bf99b", "is called once when an execution has ended, and sets its status"
    ),
    "moto.cloudformation.parsing:parse_resource": Pin(
        "7e5488f05fab1c07",
        "drops unknown types with `warnings.warn`, `warnings` being the module's own name",
    ),
    "moto.events.models:Rule.send_to_targets": Pin(
        "472e002e2dab8a59", "is called for every rule and event, and matches them"
    ),
    "moto.awslambda.models:LambdaFunction._invoke_lambda": Pin(
        "23ce7a8f956e8090",
        "is what moto itself calls functions by; gives text, whether it failed, the log",
    ),
    f"{_NESTED}._eval_service_task": Pin("dc94f9e92201e833", "asks the SDK by the definition's names"),
    f"{_NESTED}._build_sync2_resolver": Pin(
        "fbbf50b684b90a7e", "gives what is called until it gives something, after the start put its answer on the stack"
    ),
    f"{_INTERFACES}.modify_network_interface_attribute": Pin(
        "4f6c4782da6db02e", "leaves the instance's own groups as they were, and takes groups that aren't there"
    ),
}
"""Everything replaced, as module:name. What a seam only calls is covered by the tests of the state machines."""


def check_version(found: str | None = None) -> None:
    """Refuse any other moto; raises EngineMismatch."""
    found = found or version("moto")
    if found != MOTO_VERSION:
        message = (
            f"moto {found} is installed, and the embedded AWS is made for {MOTO_VERSION}: it replaces functions inside "
            f"of it. Install moto[server]=={MOTO_VERSION}."
        )
        raise EngineMismatch(message)


def digest_of(target: str) -> str:
    """The pin of a source as it is now."""
    owner, name = find(target)
    return hashlib.sha256(inspect.getsource(getattr(owner, name)).encode()).hexdigest()[:16]


def find(target: str) -> tuple[Any, str]:
    """The module or class that holds the target, and its name there."""
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner: Any = import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    return owner, name


class Swaps:
    """Replacements that are undone, last first, when the `with` block ends."""

    def __init__(self) -> None:
        self._undo = ExitStack()

    def function(self, target: str, replacement: object) -> None:
        """Replace a pinned function or method."""
        if target not in PINS:
            message = f"{target} isn't pinned"
            raise EngineMismatch(message)
        owner, name = find(target)
        self.name(owner, name, replacement)

    def name(self, owner: Inside, name: str, replacement: object) -> None:
        """Replace a module's or class's own name."""
        before = inspect.getattr_static(owner, name)
        setattr(owner, name, replacement)
        self._undo.callback(setattr, owner, name, before)

    def item(self, owner: Inside, name: str, replacement: object) -> None:
        """Replace a dictionary's value, or add one."""
        if name in owner:
            self._undo.callback(owner.__setitem__, name, owner[name])
        else:
            self._undo.callback(owner.pop, name)
        owner[name] = replacement

    def __enter__(self) -> Swaps:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._undo.close()
