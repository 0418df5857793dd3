"""What the machine's own apt knows: the Debian mirrors it is set up with, and the current cloud kernel."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from failback.errors import StandinError
from localcloud.standin.programs import run_program

LISTS = Path("/var/lib/apt/lists")
KERNEL_METAPACKAGE = "linux-image-cloud-amd64"
# Options of this kind shape how apt fetches (proxies, clock checks), and apply to the new root file system as well.
FORWARDED_OPTIONS = re.compile(
    r"Acquire::(https?::(Proxy|Proxy-Auto-Detect|Timeout|Verify-Peer|CaInfo)|https?::Proxy::\S+"
    r"|Check-Valid-Until|Check-Date|Retries|ForceIPv4)$"
)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel package: its name ("linux-image-6.1.0-56-cloud-amd64") and its Debian version."""

    package: str
    version: str


def read_mirrors() -> str:
    """The configured Debian archives as lines of a sources.list; raises StandinError where apt knows none."""
    listed = run_program(
        [
            "apt-get",
            "indextargets",
            "--format",
            "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
            "Origin: Debian",
        ]
    )
    lines = sorted(set(listed.splitlines()))
    if not lines:
        message = "apt knows no Debian archive here; add one to its sources and run apt-get update"
        raise StandinError(message)
    return "".join(f"{line}\n" for line in lines)


def read_options() -> tuple[str, ...]:
    """The machine's apt options about fetching, each as `Name "value"`."""
    dumped = run_program(["apt-config", "dump", "--no-empty", "Acquire", "--format", "%f %v%n"])
    pairs = (line.partition(" ") for line in dumped.splitlines())
    return tuple(f'{name} "{value}"' for name, _, value in pairs if FORWARDED_OPTIONS.match(name))


def read_kernel(memo: Path) -> Kernel:
    """The newest cloud kernel that apt knows; kept in `memo` until apt's lists change, as asking apt takes a second."""
    indexes = _list_indexes()
    remembered = _read_memo(memo)
    if remembered is not None and (not indexes or remembered[0] == indexes):
        return remembered[1]
    kernel = _ask_for_kernel()
    memo.parent.mkdir(parents=True, exist_ok=True)
    memo.write_text(json.dumps({"indexes": indexes, **asdict(kernel)}))
    return kernel


def download_kernel(kernel: Kernel, folder: Path) -> Path:
    """The kernel's .deb, downloaded into `folder` unless it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    pattern = f"{kernel.package}_*.deb"
    for old in folder.glob(pattern):
        old.unlink()
    run_program(["apt-get", "--quiet", "download", f"{kernel.package}={kernel.version}"], cwd=folder)
    return next(folder.glob(pattern))


def _list_indexes() -> list[str]:
    """Name, size and time of every package index that apt has here; none before the first `apt-get update`."""
    indexes = sorted(LISTS.glob("*_Packages*")) if LISTS.is_dir() else []
    return [f"{index.name} {index.stat().st_size} {index.stat().st_mtime_ns}" for index in indexes]


def _read_memo(memo: Path) -> tuple[list[str], Kernel] | None:
    if not memo.is_file():
        return None
    facts = json.loads(memo.read_text())
    return facts["indexes"], Kernel(facts["package"], facts["version"])


def _ask_for_kernel() -> Kernel:
    shown = run_program(["apt-cache", "show", "--no-all-versions", KERNEL_METAPACKAGE])
    found = re.search(r"^Depends: (linux-image-\S+-cloud-amd64) \(= (\S+)\)", shown, re.MULTILINE)
    if found is None:
        message = f"apt doesn't say which kernel {KERNEL_METAPACKAGE} stands for; run apt-get update first"
        raise StandinError(message)
    return Kernel(found[1], found[2])
