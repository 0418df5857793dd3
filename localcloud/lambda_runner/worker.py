"""One sandbox of a function: a process that awslambdaric runs in, its endpoint, its folder and its log."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.lambda_runner import guard
from localcloud.lambda_runner.function import FunctionSpec, Surroundings, worker_environment
from localcloud.lambda_runner.outcome import (
    MAX_RESPONSE_BYTES,
    Outcome,
    exited,
    out_of_memory,
    timed_out,
    too_large,
)
from localcloud.lambda_runner.runtime_api import Invocation, Report, RuntimeEndpoint
from localcloud.lambda_runner.usage import descendants, resident_bytes

if TYPE_CHECKING:
    from localcloud.lambda_runner.sandbox_log import SandboxLog

INIT_SECONDS = 10.0
"""What Lambda gives a cold start before the function's own time-out begins to count."""
LOOK_SECONDS = 0.05
"""How often memory, life and deadline are looked at while a handler runs."""
END_SECONDS = 5.0
"""A guard kills and ends within milliseconds; more means that something is badly wrong."""


class Worker:
    """A sandbox that takes one invocation at a time; starts its process when made."""

    def __init__(
        self, function: FunctionSpec, surroundings: Surroundings, *, runtime: Path, folder: Path, log: SandboxLog
    ) -> None:
        self.function, self.surroundings, self.log = function, surroundings, log
        self.last_used = time.monotonic()
        self._started = time.monotonic()
        self._init_seconds: float | None = None
        self._ready = False
        self._peak = 0
        self._temporary = Path(tempfile.mkdtemp(dir=folder, prefix=f"{function.name}-"))
        self._endpoint = RuntimeEndpoint()
        self._guard = self._start(runtime)

    def _start(self, runtime: Path) -> subprocess.Popen[bytes]:
        environment = worker_environment(
            self.function,
            self.surroundings,
            api=self._endpoint.address,
            stream=self.log.stream,
            temporary=self._temporary,
            runtime=runtime,
        )
        # -S: the packages of this program's own environment aren't the function's.
        command = [sys.executable, "-S", "-m", "awslambdaric", self.function.handler]
        with self.log.path.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, "-S", "-E", guard.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=self.function.code,
            )

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._guard.poll() is None

    @property
    def pid(self) -> int:
        """The guard's process id; the handler's process is its child."""
        return self._guard.pid

    def invoke(self, payload: bytes, *, request_id: str, client_context: str | None = None) -> Outcome:
        """Run the handler once; never raises for what the handler does."""
        cold = not self._ready
        start = self.log.size
        self.log.write(f"START RequestId: {request_id} Version: {self.function.version}")
        begun = time.monotonic()
        outcome = self._run(payload, request_id, client_context)
        seconds = time.monotonic() - begun - (self._init_seconds or 0.0 if cold else 0.0)
        self._write_end(request_id, max(seconds, 0.0), outcome, cold=cold)
        self.last_used = time.monotonic()
        return Outcome(outcome.payload, outcome.error_type, outcome.fatal, self.log.tail(start))

    def close(self) -> None:
        """Kill the sandbox and all that it started, and remove its folder; may be called twice."""
        if self._guard.stdin:
            self._guard.stdin.close()
        try:
            self._guard.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        self._endpoint.close()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _run(self, payload: bytes, request_id: str, client_context: str | None) -> Outcome:
        early = self._await_ready(request_id)
        if early is not None:
            return early
        limit = float(self.function.timeout_seconds)
        deadline = time.monotonic() + limit
        deadline_ms = int((time.time() + limit) * 1000)
        arn = self.function.arn
        self._endpoint.submit(Invocation(request_id, payload, arn, deadline_ms, client_context))
        answer = self._watch(request_id, deadline)
        return answer if isinstance(answer, Outcome) else _outcome(answer)

    def _await_ready(self, request_id: str) -> Outcome | None:
        """Wait until the handler's module is loaded; something else than None is how that failed."""
        if self._ready:
            # The word that it waits again comes just after the last answer.
            answer = self._watch(request_id, time.monotonic() + END_SECONDS)
            return answer if isinstance(answer, Outcome) else None
        answer = self._watch(request_id, self._started + INIT_SECONDS + self.function.timeout_seconds)
        if isinstance(answer, Outcome):
            return answer
        if answer.kind == "init_error":
            return Outcome(answer.body, answer.error_type, fatal=True)
        self._ready = True
        self._init_seconds = time.monotonic() - self._started
        return None

    def _watch(self, request_id: str, deadline: float) -> Report | Outcome:
        """The worker's next word, or how Lambda would say that there is none."""
        while True:
            left = deadline - time.monotonic()
            report = self._endpoint.report(max(0.0, min(LOOK_SECONDS, left)))
            if report is not None:
                return report
            if left <= 0:
                return timed_out(request_id, self.function.timeout_seconds)
            if not self.alive:
                # Its last word may have come just before its end.
                return self._endpoint.report(0) or exited(request_id, self._guard.returncode)
            if self._measure() > self.function.memory_mib * 1024 * 1024:
                return out_of_memory(request_id)

    def _measure(self) -> int:
        used = resident_bytes(descendants(self._guard.pid))
        self._peak = max(self._peak, used)
        return used

    def _write_end(self, request_id: str, seconds: float, outcome: Outcome, *, cold: bool) -> None:
        self._measure()
        if outcome.error_type in {"Sandbox.Timedout", "Runtime.ExitError"}:
            text = outcome.payload.decode()
            self.log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z {request_id} {text}")
        self.log.write(f"END RequestId: {request_id}")
        milliseconds = seconds * 1000
        fields = [
            f"REPORT RequestId: {request_id}",
            f"Duration: {milliseconds:.2f} ms",
            f"Billed Duration: {int(milliseconds) + 1} ms",
            f"Memory Size: {self.function.memory_mib} MB",
            f"Max Memory Used: {self._peak // (1024 * 1024)} MB",
        ]
        if cold and self._init_seconds is not None:
            fields.append(f"Init Duration: {self._init_seconds * 1000:.2f} ms")
        if outcome.failed:
            status = "timeout" if outcome.error_type == "Sandbox.Timedout" else "error"
            fields += [f"Status: {status}", f"Error Type: {outcome.error_type}"]
        self.log.write("\t".join(fields))


def _outcome(report: Report) -> Outcome:
    if report.size > MAX_RESPONSE_BYTES:
        return too_large(report.size)
    if report.kind == "response":
        return Outcome(report.body)
    return Outcome(report.body, report.error_type or "Unhandled")


def new_request_id() -> str:
    """A request's id in AWS's form."""
    return str(uuid.uuid4())
