"""Faults on purpose: a WSGI middleware that throttles, denies, fails, delays, cuts or loses answers by rules.

A plan is a JSON file or a value, e.g. `{"seed": 7, "rules": [{"service": "ebs", "operation": "PutSnapshotBlock",
"nth": [3], "action": {"kind": "throttle"}}]}`. Rules are tried in order; delays add up, the first other one decides.
"""

from __future__ import annotations

import random
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from failback.errors import SettingsInvalid
from localcloud.fault_answers import Answer as Answer
from localcloud.fault_answers import cut, drop, exhaust, give, ignore_start
from localcloud.service_call import Call as Call
from localcloud.service_call import peek

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from localcloud.recording import Recorder

LONGEST_DELAY = 900.0
"""Seconds: what a Lambda function may last; nothing waits longer for an answer."""
LARGEST_SEARCHED = 1 << 20
"""Bytes of a body that a rule is looked for in."""

Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Faultable(Protocol):
    """What a service tells about itself, so that its faults look like its own."""

    def identify(self, environ: WSGIEnvironment) -> Call:
        """Which operation a request is, without reading its body."""

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """The service's own throttling error."""

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """The service's own word for a right that the caller lacks."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Throttle(_Frozen):
    """The service's throttling error; the call has no effect."""

    kind: Literal["throttle"] = "throttle"


class Deny(_Frozen):
    """The service's error for a right that's lacking; the call has no effect."""

    kind: Literal["deny"] = "deny"


class Status(_Frozen):
    """A bare 5xx, as a load balancer gives it; the call has no effect.

    `wait_ms` is how soon it asks to be called again (x-ms-retry-after-ms, which Azure's SDKs follow); 0 says nothing.
    """

    kind: Literal["status"] = "status"
    code: int = Field(default=503, ge=500, le=599)
    wait_ms: int = Field(default=0, ge=0, le=60_000)


class Delay(_Frozen):
    """Seconds to wait before the call; it's then made."""

    kind: Literal["delay"] = "delay"
    seconds: float = Field(ge=0, le=LONGEST_DELAY)


class Lose(_Frozen):
    """The call takes effect; the connection is closed without an answer."""

    kind: Literal["lose"] = "lose"


class Cut(_Frozen):
    """The call takes effect; the connection is closed after so many bytes of the answer's body."""

    kind: Literal["cut"] = "cut"
    after: int = Field(ge=0)


Action = Annotated[Throttle | Deny | Status | Delay | Lose | Cut, Field(discriminator="kind")]


class FaultRule(_Frozen):
    """Matches where everything that's given matches; `nth` counts the rule's matches from 1.

    `path` and `body` are searched for. What comes as a form is quoted; a disk's pages aren't looked into.
    """

    action: Action
    service: Word | None = None
    operation: Word | None = None
    method: Word | None = None
    path: Word | None = None
    body: Word | None = None
    probability: float = Field(default=1.0, ge=0, le=1)
    nth: tuple[Annotated[int, Field(ge=1)], ...] = ()

    @field_validator("path", "body")
    @classmethod
    def _is_an_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            message = f"not a regular expression: {error}"
            raise ValueError(message) from error
        return value

    def matches(self, call: Call, method: str, path: str, body: str | None = None) -> bool:
        """Whether the request is of the kind that the rule is for; without its body, whether it may be."""
        pairs = ((self.service, call.service), (self.operation, call.operation), (self.method, method))
        named = all(wanted in (None, given) for wanted, given in pairs)
        searched = ((self.path, path), (self.body, body))
        return named and all(each is None or text is None or re.search(each, text) for each, text in searched)


class FaultPlan(_Frozen):
    """Rules and the seed of their chances: the same requests in the same order meet the same faults."""

    rules: tuple[FaultRule, ...] = ()
    seed: int = 0

    @classmethod
    def read(cls, path: Path) -> FaultPlan:
        """Raises SettingsInvalid that lists every fault of the file with its place."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, each['loc'])) or 'file'}: {each['msg']}" for each in error.errors()]
            message = f"{path.name} isn't a plan of faults: " + "; ".join(faults)
            raise SettingsInvalid(message) from error


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """A fault that was done; `span` is the range of bytes that the request names, if it does."""

    call: Call
    method: str
    path: str
    action: Action
    span: str = ""


class FaultInjector:
    """A WSGI application around another; `shape` is the service it speaks for, often that application itself."""

    def __init__(
        self,
        application: WSGIApplication,
        plan: FaultPlan,
        shape: Faultable,
        *,
        sleep: Callable[[float], None] = time.sleep,
        recorder: Recorder | None = None,
        caller: Callable[[WSGIEnvironment], str] = lambda _environ: "",
    ) -> None:
        self._application, self._shape, self._sleep = application, shape, sleep
        self._recorder, self._caller = recorder, caller
        self._lock = threading.Lock()
        self._records: list[FaultRecord] = []
        self.use(plan)

    def use(self, plan: FaultPlan) -> None:
        """Follow another plan from now on; counts and chances begin anew."""
        with self._lock:
            self._plan, self._chance = plan, random.Random(plan.seed)
            self._matched = [0] * len(plan.rules)

    @property
    def records(self) -> tuple[FaultRecord, ...]:
        """What was done, in order."""
        with self._lock:
            return tuple(self._records)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        call, application, recorded = self._shape.identify(environ), self._application, None
        if self._recorder is not None:
            recorded = self._recorder.begin(call, environ, caller=self._caller(environ))
            application = self._recorder.listening(recorded, application)
        actions = self._actions(call, environ)
        if recorded is not None and actions:
            recorded.fault = actions[-1].kind
        return self._met(actions, application, environ, start_response)

    def _met(
        self,
        actions: Iterable[Action],
        application: WSGIApplication,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        for action in actions:
            match action:
                case Delay():
                    self._sleep(action.seconds)
                case Throttle():
                    return give(self._shape.throttled(environ), environ, start_response)
                case Deny():
                    return give(self._shape.denied(environ), environ, start_response)
                case Status():
                    return give(_bare(action), environ, start_response)
                case Lose():
                    exhaust(application(environ, ignore_start))
                    drop(environ)
                case Cut():
                    return cut(application(environ, start_response), action.after, environ)
        return application(environ, start_response)

    def _actions(self, call: Call, environ: WSGIEnvironment) -> list[Action]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        span = str(environ.get("HTTP_X_MS_RANGE") or environ.get("HTTP_RANGE") or "")
        body = self._searched(call, environ)
        chosen: list[Action] = []
        with self._lock:
            for number, rule in enumerate(self._plan.rules):
                if rule.matches(call, method, path, body) and self._due(number, rule):
                    chosen.append(rule.action)
                    self._records.append(FaultRecord(call, method, path, rule.action, span))
                    if not isinstance(rule.action, Delay):
                        break
        return chosen

    def _searched(self, call: Call, environ: WSGIEnvironment) -> str:
        """The beginning of the body, where a rule asks for it; read before anything is locked, as it may take long."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if not any(rule.body is not None and rule.matches(call, method, path) for rule in self._plan.rules):
            return ""
        return peek(environ, LARGEST_SEARCHED).decode("utf-8", "replace")

    def _due(self, number: int, rule: FaultRule) -> bool:
        self._matched[number] += 1
        if rule.nth and self._matched[number] not in rule.nth:
            return False
        return rule.probability >= 1 or self._chance.random() < rule.probability


def _bare(status: Status) -> Answer:
    heads = [("Content-Type", "text/html")]
    if status.wait_ms:
        heads.append(("x-ms-retry-after-ms", str(status.wait_ms)))
    return Answer(status.code, tuple(heads), b"<html><body>Service unavailable</body></html>")
