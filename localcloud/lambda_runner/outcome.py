"""How an invocation ended, and Lambda's own words for the ways a sandbox can fail."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass

MAX_REQUEST_BYTES = 6 * 1024 * 1024
"""The largest payload of a synchronous invocation (Lambda quotas, "Invocation payload")."""
MAX_RESPONSE_BYTES = MAX_REQUEST_BYTES + 100
"""The largest answer; Lambda's own error text names 6,291,556."""
MAX_EVENT_BYTES = 1024 * 1024
"""The largest payload of an asynchronous invocation (Lambda quotas)."""

# The words of Go's syscall.Signal, in which Lambda reports how a runtime died.
_SIGNALS = {
    signal.SIGKILL: "killed",
    signal.SIGTERM: "terminated",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGABRT: "aborted",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the caller of a function gets; `error_type` is None if the handler returned.

    `fatal` says that the worker can't be used again.
    """

    payload: bytes
    error_type: str | None = None
    fatal: bool = False
    log_tail: str = ""

    @property
    def failed(self) -> bool:
        """Whether the answer carries X-Amz-Function-Error."""
        return self.error_type is not None


class Throttled(Exception):
    """The function runs as often at once as its reserved concurrency allows: TooManyRequestsException."""


def sandbox_error(request_id: str, error_type: str, text: str, *, fatal: bool = True) -> Outcome:
    """An error that Lambda itself reports, in its shape: no stack trace, the request's id before the text."""
    body = {"errorType": error_type, "errorMessage": f"RequestId: {request_id} Error: {text}"}
    return Outcome(json.dumps(body).encode(), error_type, fatal=fatal)


def timed_out(request_id: str, seconds: float) -> Outcome:
    """The handler didn't return within the function's time-out."""
    return sandbox_error(request_id, "Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds")


def out_of_memory(request_id: str) -> Outcome:
    """The sandbox used more than the function's memory and was killed for it."""
    return exited(request_id, 128 + signal.SIGKILL)


def exited(request_id: str, status: int) -> Outcome:
    """The runtime's process ended by itself; the status is its exit code, or 128 + the signal."""
    if status == 0:
        text = "Runtime exited without providing a reason"
    elif status > 128:
        number = status - 128
        name = _SIGNALS.get(signal.Signals(number), f"signal {number}") if number in _NUMBERS else f"signal {number}"
        text = f"Runtime exited with error: signal: {name}"
    else:
        text = f"Runtime exited with error: exit status {status}"
    return sandbox_error(request_id, "Runtime.ExitError", text)


def too_large(size: int) -> Outcome:
    """The handler returned more than an answer may hold."""
    text = f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
    body = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": text}
    return Outcome(json.dumps(body).encode(), "Function.ResponseSizeTooLarge")


_NUMBERS = frozenset(int(each) for each in signal.Signals)
