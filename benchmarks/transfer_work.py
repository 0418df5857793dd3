"""What benchmarks' jobs have in common: a stopwatch, a process of its own for each, a stage called to its end."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from failback.model.stage import StageResult

Json = dict[str, Any]
C = TypeVar("C")
F = TypeVar("F")


class Stopwatch:
    """Wall and processor seconds of what's measured, its children's too, without what has to be there first."""

    def __init__(self) -> None:
        self.seconds = self.processor = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        began, processor = time.monotonic(), _processor()
        yield
        self.seconds += time.monotonic() - began
        self.processor += _processor() - processor


def _processor() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def do_named_job(jobs: Mapping[str, Callable[..., Json]]) -> None:
    """Do the job that's named on the command line, with the arguments given there as JSON, and print what it took."""
    watch = Stopwatch()
    result = jobs[sys.argv[1]](watch, **json.loads(sys.argv[2]))
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps(result | {"seconds": watch.seconds, "processor": watch.processor, "peak_mib": max(peaks) / 1024}))


def job_process(module: str, job: str, arguments: Mapping[str, object], environment: Mapping[str, str]) -> Json:
    """What a job of a module took, done in a process of its own; one that fails ends the benchmark."""
    command = [sys.executable, "-m", module, job, json.dumps(arguments)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{job} failed with {done.returncode}")
    took: Json = json.loads(done.stdout)
    return took


def to_the_end(call: Callable[[C | None], StageResult[F, C]]) -> F:
    """Call a stage as the state machine does, without the waits."""
    result = call(None)
    while result.status != "done":
        result = call(result.cursor)
    assert result.facts is not None
    return result.facts
