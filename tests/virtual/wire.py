"""The one place that every request of a function goes by: it's named, noted, and may be refused, lost, or be the last
one of its process."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError

from localcloud.faults import Deny, FaultPlan, FaultRule
from tests.virtual.functions import Killed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.virtual.world import World

Kind = Literal["denied", "late", "killed"]
NONE: Mapping[str, Any] = MappingProxyType({})
KINDS: tuple[Kind, ...] = ("denied", "late", "killed")
_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
_ARM = re.compile(r"/providers/[^/]+/([A-Za-z]+)(?:/[^/?]+(?:/([A-Za-z]+))?)?")


class Call(NamedTuple):
    """A request of a stage: what it asks for, and the how manieth of its kind it is in that stage of the run."""

    stage: str
    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.stage}: {self.name} {self.number}"


@dataclass
class Disturbance:
    """What's to happen to one call. Denied: it and all of its kind in that stage from then on, for good. Late: it takes
    effect, and neither its answer nor that of its repetitions in that invocation arrives. Killed: it takes effect, and
    the process ends."""

    call: Call
    kind: Kind
    met: int = 0


@dataclass
class Wire:
    """Notes what's sent, by server and stage; a server's disturbance strikes when its call comes.

    What isn't about one server is under the empty id.
    """

    world: World
    sent: dict[str, list[Call]] = field(default_factory=dict)
    disturbances: Mapping[str, Disturbance] = field(default_factory=dict)
    _lost: tuple[int, str] | None = None

    @contextmanager
    def tapped(self) -> Iterator[Wire]:
        """For the length of a `with` block."""
        send, wire = HTTPConnectionPool.urlopen, self

        def sent(pool: HTTPConnectionPool, method: str, url: str, *given: Any, **named: Any) -> Any:  # noqa: ANN401
            if not wire._is_a_functions():
                return send(pool, method, url, *given, **named)
            body = named.get("body", given[0] if given else None)
            return wire._send(
                method, url, named.get("headers") or {}, body, lambda: send(pool, method, url, *given, **named)
            )

        with patch.object(HTTPConnectionPool, "urlopen", sent):
            yield self

    def begin(self, disturbances: Mapping[str, Disturbance] = NONE) -> None:
        """Forget what was sent; strike from now on."""
        self.sent, self.disturbances, self._lost = {}, disturbances, None

    def begin_again(self) -> None:
        """Strike no more; what was sent stays noted."""
        self.disturbances = NONE

    def _is_a_functions(self) -> bool:
        here = threading.current_thread()
        return bool(self.world.functions.now) and (here is threading.main_thread() or here.name.startswith("LROPoller"))

    def _send(self, method: str, url: str, headers: Any, body: Any, send: Any) -> Any:  # noqa: ANN401
        invocation = len(self.world.functions.invocations)
        name = name_of(method, url, headers, body)
        if self._lost == (invocation, name):
            raise _unheard(name)
        server, stage = self.world.functions.about, self.world.functions.now
        sent = self.sent.setdefault(server, [])
        call = Call(stage, name, 1 + sum(each[:2] == (stage, name) for each in sent))
        sent.append(call)
        struck = self.disturbances.get(server)
        if struck is None or struck.call[:2] != call[:2] or (struck.kind != "denied" and struck.call != call):
            return send()
        if call.number < struck.call.number:
            return send()
        struck.met += 1
        if struck.kind == "denied":
            return self._refused(send)
        answer = send()
        if struck.kind == "killed":
            answer.drain_conn()
            raise Killed
        self._lost = (invocation, name)
        raise _unheard(name)

    def _refused(self, send: Any) -> Any:  # noqa: ANN401
        """The cloud's own refusal, of this one call."""
        faults = self.world.place.clouds.faults
        faults.use(FaultPlan(rules=(FaultRule(action=Deny()),)))
        try:
            return send()
        finally:
            faults.use(FaultPlan())


def name_of(method: str, url: str, headers: Any, body: Any) -> str:  # noqa: ANN401
    """What a request asks for: AWS's operation, or ARM's method and type, with which part of a machine it's about."""
    told = {_text(key).lower(): _text(value) for key, value in dict(headers).items()}
    path = urlsplit(url).path
    scope = _SCOPE.search(told.get("authorization", ""))
    if scope:
        return f"{scope[1]} {_operation(method, path, told, body)}"
    if path.endswith("/token"):
        return "entra token"
    found = _ARM.findall(path)
    kind = found[-1][0] if found else path.rsplit("/", 1)[-1]
    if kind == "locations":
        return f"arm {method} {path.split('/')[-1 if path.endswith('vmSizes') else -2]}"
    action = found[-1][1] if found else ""
    return f"arm {method} {kind}{f'/{action}' if action else ''}"


def _operation(method: str, path: str, headers: dict[str, str], body: Any) -> str:  # noqa: ANN401
    if "x-amz-target" in headers:
        return headers["x-amz-target"].rpartition(".")[2]
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return parse_qs(_text(body)).get("Action", ["?"])[0]
    parts = [each for each in path.split("/") if each]
    return (
        f"{method} {parts[0] if parts else '/'}"
        if len(parts) < 2
        else f"{method} .../{'tags' if parts[0] == 'tags' else 'object'}"
    )


def _text(value: Any) -> str:  # noqa: ANN401
    return value.decode() if isinstance(value, (bytes, bytearray)) else str(value or "")


def _unheard(name: str) -> Exception:
    return NewConnectionError(None, f"{name}: no answer has come")  # type: ignore[arg-type]
