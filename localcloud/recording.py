"""Every call that the product makes of the embedded clouds, written down in the order of their beginning.

What's kept is what a reader needs to judge them by: never a token, key or signature, and of bodies only what
localcloud/recorded_bodies.py says.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from localcloud.recorded_bodies import LARGEST_ANSWER, answer_of, body_of, is_heard, query_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from localcloud.service_call import Call


@dataclass(slots=True)
class RecordedCall:
    """One call. `number` and `ended` count beginnings and ends over all fronts, so they tell what came before what.

    `caller` is the function's name, empty where the front doesn't know it. `status` is the service's own answer: 0
    where a fault kept the call from it, or where it hasn't answered. `fault` is the kind of fault that it met. `body`
    and `answer` are JSON of what's kept of them, empty for nothing.
    """

    number: int
    at: datetime
    service: str
    operation: str
    method: str
    path: str
    caller: str = ""
    query: str = ""
    body: str = ""
    answer: str = ""
    fault: str = ""
    status: int = 0
    ended: int = 0

    @property
    def took_effect(self) -> bool:
        """Whether the service has done what was asked, as far as its answer tells."""
        return 200 <= self.status < 300

    @property
    def came_through(self) -> bool:
        """Whether it got as far as the service: refused there, it had no effect, and was asked for all the same."""
        return self.fault in {"", "delay", "lose", "cut"}


@dataclass
class Recorder:
    """All calls so far; safe for threads. `clock` is what their times are of."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _calls: list[RecordedCall] = field(default_factory=list)
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """In the order in which they began."""
        with self._lock:
            return tuple(self._calls)

    def begin(self, call: Call, environ: WSGIEnvironment, *, caller: str = "") -> RecordedCall:
        """Write a call down before anything is done about it; what's read of its body is put back."""
        body, query = body_of(call, environ), query_of(call, environ)
        with self._lock:
            self._count += 1
            made = RecordedCall(
                number=self._count,
                at=self.clock(),
                service=call.service,
                operation=call.operation,
                method=str(environ["REQUEST_METHOD"]),
                path=str(environ.get("PATH_INFO", "")),
                caller=caller,
                query=query,
                body=body,
            )
            self._calls.append(made)
        return made

    def listening(self, made: RecordedCall, application: WSGIApplication) -> WSGIApplication:
        """The application, whose answer to that call is written down when it gives it."""

        def listened(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            def start(status: str, headers: list[tuple[str, str]], *error: object) -> Callable[[bytes], object]:
                self._end(made, int(status.split()[0]))
                return start_response(status, headers, *error)  # type: ignore[arg-type]

            return application(environ, start)

        return self._hearing(made, listened) if is_heard(made.service, made.operation) else listened

    def _hearing(self, made: RecordedCall, application: WSGIApplication) -> WSGIApplication:
        def heard(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            answer = application(environ, start_response)
            try:
                pieces = list(answer)
            finally:
                if close := getattr(answer, "close", None):
                    close()
            # A page of a list may be long; what's kept of it is short.
            if made.took_effect and sum(map(len, pieces)) <= LARGEST_ANSWER:
                made.answer = answer_of(made.service, made.operation, b"".join(pieces))
            return pieces

        return heard

    def _end(self, made: RecordedCall, status: int) -> None:
        with self._lock:
            self._count += 1
            made.status, made.ended = status, self._count
