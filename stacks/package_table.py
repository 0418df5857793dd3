"""What a package costs: its size, how long its imports take in a fresh interpreter, and in how much memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import PackageIncomplete

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from stacks.assets import Asset, Function, Workshop

# -I -S: no site-packages, no environment; sys.path then holds the standard library only.
_ALONE = ("-I", "-S", "-c")
_PROGRAM = """
import json, sys, time
folder, modules = json.loads(sys.argv[1])
sys.path.insert(0, folder)
began = time.perf_counter()
for name in modules:
    __import__(name)
spent = time.perf_counter() - began
foreign = sorted({place for module in list(sys.modules.values()) if (place := getattr(module, "__file__", None))
                  and not place.startswith((folder, sys.base_prefix))})
# Its own peak: getrusage would tell that of the process that started it, where that was larger.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([spent, peak * 1024, foreign]))
"""


@dataclass(frozen=True, slots=True)
class ImportCost:
    """Importing modules from a package and the standard library alone: seconds, the process's peak bytes."""

    seconds: float
    peak: int


def package_size(folder: Path) -> int:
    """Bytes of all files, unpacked."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def import_alone(folder: Path, modules: Iterable[str]) -> ImportCost:
    """Import modules where nothing but the package and Python is to be seen; raises PackageIncomplete."""
    command = [sys.executable, *_ALONE, _PROGRAM, json.dumps([str(folder), list(modules)])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{folder}: not everything can be imported from it: {done.stderr.strip()[-1000:]}"
        raise PackageIncomplete(message)
    seconds, peak, elsewhere = json.loads(done.stdout)
    if elsewhere:
        message = f"{folder}: these came from elsewhere: {', '.join(elsewhere)}"
        raise PackageIncomplete(message)
    return ImportCost(seconds, peak)


def late_imports(workshop: Workshop, function: Function) -> Sequence[str]:
    """Everything that the function ever imports, inside functions too: what its first call costs at most."""
    reached = workshop.reached(function)
    return [*sorted(reached.files), *sorted(reached.foreign - {"__future__", "_typeshed"})]


def table_of(workshop: Workshop, made: Sequence[tuple[Function, Asset]]) -> str:
    """A table of all packages; the second and third figures are of the handler, the last two of every import."""
    lines = [
        "| function | MB unpacked | import of the handler | its peak | all imports | their peak |",
        "|---|---|---|---|---|---|",
    ]
    for function, asset in made:
        handler = import_alone(asset.folder, [function.handler.rpartition(".")[0]])
        whole = import_alone(asset.folder, late_imports(workshop, function))
        costs = (f"{cost.seconds:.2f} s | {cost.peak / 2**20:.0f} MiB" for cost in (handler, whole))
        lines.append(f"| {function.name} | {package_size(asset.folder) / 10**6:.1f} | {' | '.join(costs)} |")
    return "\n".join(lines)
