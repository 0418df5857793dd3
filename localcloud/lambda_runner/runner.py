"""Runs functions: finds or starts a sandbox for each invocation and keeps it for the next one.

Concurrency is as Lambda's: an invocation above a function's reserved concurrency is refused. Functions without a
reservation share what this machine can hold; above that an invocation waits, since AWS would run it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from localcloud.lambda_runner.async_events import AsyncEvents
from localcloud.lambda_runner.function import FunctionSpec, Surroundings, check_runtime
from localcloud.lambda_runner.managed_runtime import lay_out_runtime
from localcloud.lambda_runner.outcome import Throttled
from localcloud.lambda_runner.sandbox_log import SandboxLog, read_logs
from localcloud.lambda_runner.usage import descendants
from localcloud.lambda_runner.worker import Worker, new_request_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from localcloud.lambda_runner.outcome import Outcome

SANDBOX_MIB = 96
"""What a sandbox holds of its own on the average: 60 MiB without a home's SDK, up to 145 with one."""
SHARE = 4
"""Sandboxes take a quarter of this machine's memory: tests run two embedded clouds at once."""
FEWEST_WORKERS, ENOUGH_WORKERS = 24, 48
"""With fewer than a run needs, each call is a cold start: three servers at once take 44. 48 hold 4.5 GiB."""


def workers_that_fit(memory: int) -> int:
    """How many sandboxes at once a machine of that many bytes of memory is to hold."""
    return max(FEWEST_WORKERS, min(ENOUGH_WORKERS, memory // SHARE // (SANDBOX_MIB << 20)))


MOST_WORKERS = workers_that_fit(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
"""Sandboxes at once on this machine."""


class LambdaRunner:
    """Sandboxes of all functions; `folder` holds their temporary folders and logs. Close it, or use it by `with`."""

    def __init__(
        self,
        folder: Path,
        surroundings: Surroundings,
        *,
        most_workers: int = MOST_WORKERS,
        retry_seconds: Sequence[float] = (60.0, 120.0),
    ) -> None:
        self._folder, self._surroundings, self._most = folder, surroundings, most_workers
        self._runtime = lay_out_runtime(folder / "runtime")
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._changed = threading.Condition()
        self._idle: list[Worker] = []
        self._busy: list[Worker] = []
        self._starting: Counter[str] = Counter()
        self._closed = False
        self._events = AsyncEvents(self.invoke, retry_seconds=retry_seconds)

    def invoke(
        self, function: FunctionSpec, payload: bytes, *, request_id: str = "", client_context: str | None = None
    ) -> Outcome:
        """Run the function once and wait for it; raises Throttled or RuntimeMismatch."""
        check_runtime(function)
        worker = self._take(function)
        outcome: Outcome | None = None
        try:
            outcome = worker.invoke(payload, request_id=request_id or new_request_id(), client_context=client_context)
        finally:
            self._give_back(worker, keep=outcome is not None and not outcome.fatal)
        return outcome

    def enqueue(self, function: FunctionSpec, payload: bytes, *, request_id: str = "") -> None:
        """Run the function some time soon, again if it fails; raises RuntimeMismatch."""
        check_runtime(function)
        self._events.put(function, payload, request_id or new_request_id())

    @property
    def dropped_events(self) -> Sequence[tuple[str, bytes]]:
        """Functions' names and payloads of asynchronous events that failed for good, the newest 100."""
        return self._events.dropped

    @property
    def processes(self) -> list[int]:
        """The ids of the processes held, one a sandbox."""
        with self._changed:
            return [worker.pid for worker in (*self._idle, *self._busy)]

    def kill(self, name: str) -> int:
        """Kill whatever runs in the function's sandboxes that are at work, as a crash would; gives how many those are.

        Their invocations end as `Runtime.ExitError`.
        """
        with self._changed:
            struck = [worker for worker in self._busy if worker.function.name == name]
        for worker in struck:
            for process in descendants(worker.pid):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        return len(struck)

    def logs(self, name: str) -> str:
        """What the function's sandboxes wrote, with Lambda's START, END and REPORT lines."""
        return read_logs(self._log_folder(name))

    def close(self) -> None:
        """End every sandbox, also those at work; queued events are dropped."""
        self._events.close()
        with self._changed:
            self._closed = True
            workers = [*self._idle, *self._busy]
            self._idle.clear()
            self._changed.notify_all()
        for worker in workers:
            worker.close()

    def __enter__(self) -> LambdaRunner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _log_folder(self, name: str) -> Path:
        return self._folder / "logs" / name

    def _take(self, function: FunctionSpec) -> Worker:
        """A sandbox that's ours until given back: a warm one of exactly this function, or a new one."""
        with self._changed:
            reusable = self._claim(function)
            victims = [] if reusable else self._retire(function)
        for victim in victims:
            victim.close()
        if reusable:
            return reusable
        try:
            worker = self._start(function)
        finally:
            with self._changed:
                self._starting[function.name] -= 1
        with self._changed:
            self._busy.append(worker)
            closed = self._closed
        if closed:
            worker.close()
        return worker

    def _claim(self, function: FunctionSpec) -> Worker | None:
        """A warm sandbox, or None and the right to start one; the lock is held."""
        while True:
            if self._closed:
                message = "The embedded cloud is shutting down"
                raise Throttled(message)
            running = sum(worker.function.name == function.name for worker in self._busy)
            running += self._starting[function.name]
            if function.reserved_concurrency is not None and running >= function.reserved_concurrency:
                message = "Rate Exceeded."
                raise Throttled(message)
            for worker in reversed(self._idle):
                if worker.function == function and worker.alive:
                    self._idle.remove(worker)
                    self._busy.append(worker)
                    return worker
            if len(self._busy) + self._starting.total() < self._most:
                self._starting[function.name] += 1
                return None
            self._changed.wait()

    def _retire(self, function: FunctionSpec) -> list[Worker]:
        """Idle sandboxes to end: of older versions, dead ones, and the longest unused above what fits."""
        outdated = [
            worker
            for worker in self._idle
            if not worker.alive or (worker.function.arn == function.arn and worker.function != function)
        ]
        rest = sorted((each for each in self._idle if each not in outdated), key=lambda worker: worker.last_used)
        excess = len(rest) + len(self._busy) + self._starting.total() - self._most
        victims = outdated + rest[: max(0, excess)]
        self._idle = [worker for worker in self._idle if worker not in victims]
        return victims

    def _start(self, function: FunctionSpec) -> Worker:
        log = SandboxLog(self._log_folder(function.name), function.version)
        return Worker(function, self._surroundings, runtime=self._runtime, folder=self._folder / "tmp", log=log)

    def _give_back(self, worker: Worker, *, keep: bool) -> None:
        with self._changed:
            self._busy.remove(worker)
            keep = keep and not self._closed
            if keep:
                self._idle.append(worker)
            self._changed.notify_all()
        if not keep:
            worker.close()
