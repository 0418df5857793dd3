"""Seams in the interpreter of state machines: its clients, its waits, its task tokens."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from localcloud.moto_seams.pins import Inside, Swaps, find

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.config import Config

MOST_CONNECTIONS = 256
"""Tasks of one service at once: a Distributed Map's children times what each has in parallel."""
LOOK_SECONDS = 0.2
"""How late a wait may notice that its execution has ended."""

_ASL = "moto.stepfunctions.parser.asl.component"
_RETRY = f"{_ASL}.common.retry.retrier_decl:RetrierDecl._eval_body"
_WAIT = f"{_ASL}.state.wait.wait_function.wait_function:WaitFunction._wait_interval"
_CLIENT = "moto.stepfunctions.parser.asl.utils.boto_client:boto_client_for"
_CALLBACK = "moto.stepfunctions.parser.asl.eval.callback.callback:CallbackPoolManager"


class _Environment(Protocol):
    """What the seams use of moto's environment of one running branch."""

    @property
    def program_state_event(self) -> threading.Event: ...

    def is_running(self) -> bool: ...


class TimeScale:
    """How long a second of a Wait state or of a pause before a retry lasts; may be changed at any time."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def wait(self, environment: _Environment, seconds: float) -> None:
        """Wait so long, or until the execution has ended."""
        deadline = time.monotonic() + seconds * self.scale
        while environment.is_running() and (left := deadline - time.monotonic()) > 0:
            # The event is set and cleared at once: whoever isn't waiting just then doesn't see it.
            environment.program_state_event.wait(min(left, LOOK_SECONDS))


class _Clients:
    """Stands where the interpreter expects boto3: one client a service, since making one is neither fast nor safe
    in many threads at once."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], Any] = {}

    def client(self, *, service_name: str, region_name: str, config: Config, **_given: object) -> Inside:
        # Importing the SDK binds a socket (urllib3 looks for IPv6).
        import boto3
        from botocore.config import Config

        with self._lock:
            key = (service_name, region_name)
            if key not in self._made:
                self._made[key] = boto3.session.Session().client(
                    service_name,  # type: ignore[call-overload]
                    region_name=region_name,
                    endpoint_url=self._endpoint_url,
                    aws_access_key_id="ASIASTATES",
                    aws_secret_access_key="local",
                    config=config.merge(Config(max_pool_connections=MOST_CONNECTIONS, inject_host_prefix=False)),
                )
            return self._made[key]


class _RetrySleep:
    """Stands where the retrier expects the module `time`; knows the branch that sleeps from the thread."""

    def __init__(self, scale: TimeScale) -> None:
        self._scale, self._here = scale, threading.local()

    def around(self, evaluate: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def evaluate_known(retrier: object, env: _Environment) -> None:
            self._here.environment = env
            evaluate(retrier, env)

        return evaluate_known

    def sleep(self, seconds: float) -> None:
        self._scale.wait(self._here.environment, seconds)


def seam_engine(swaps: Swaps, *, endpoint_url: str, scale: TimeScale) -> None:
    """Let tasks call the given address, waits follow the scale, and tokens be answered once."""
    _seam_clients(swaps, endpoint_url)
    swaps.function(_WAIT, lambda _state, env, wait_seconds: scale.wait(env, wait_seconds))
    owner, name = find(_RETRY)
    sleeper = _RetrySleep(scale)
    swaps.function(_RETRY, sleeper.around(getattr(owner, name)))
    swaps.name(find(_RETRY.partition(":")[0] + ":time")[0], "time", sleeper)
    _seam_tokens(swaps)


def _seam_clients(swaps: Swaps, endpoint_url: str) -> None:
    module, _ = find(_CLIENT)
    swaps.name(module, "boto3", _Clients(endpoint_url))


def _seam_tokens(swaps: Swaps) -> None:
    """A token takes one answer: the second is told that the task doesn't wait any more."""
    from moto.stepfunctions.parser.asl.eval.callback.callback import (
        CallbackConsumerTimeout,
        CallbackNotifyConsumerError,
        CallbackPoolManager,
    )

    notify, heartbeat, lock = CallbackPoolManager.notify, CallbackPoolManager.heartbeat, threading.Lock()

    def refuse_if_over(pool: Inside, callback_id: str) -> None:
        endpoint = pool.get(callback_id)
        if endpoint is not None and endpoint._notify_event.is_set():
            raise CallbackNotifyConsumerError(CallbackConsumerTimeout())

    def notify_once(pool: Inside, callback_id: str, outcome: Inside) -> bool:
        with lock:
            refuse_if_over(pool, callback_id)
            return bool(notify(pool, callback_id, outcome))

    def heartbeat_while_open(pool: Inside, callback_id: str) -> bool:
        refuse_if_over(pool, callback_id)
        return bool(heartbeat(pool, callback_id))

    swaps.function(f"{_CALLBACK}.notify", notify_once)
    swaps.function(f"{_CALLBACK}.heartbeat", heartbeat_while_open)
