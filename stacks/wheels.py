"""Requirements as manylinux wheels for Lambda's Python, installed once into build/wheels and compiled there.

Two functions with the same requirements share one folder; a later synthesis finds it and needs no network.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from failback.errors import PackageIncomplete
from stacks.compute_parts import prune_compute

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PLATFORM = "manylinux2014_x86_64"
"""Amazon Linux 2's C library (2.26) and all later ones of Lambda take these wheels."""

_KEPT = 6
"""Sets that stay: those of two or three deployments. Packages keep the files that they link to."""
_RULES = 2
"""Goes up when what is pruned, or how it's compiled, changes."""
# pip's own notes, which differ from machine to machine, and what nobody imports in a function.
_PIP_FILES = ("bin", *(f"*.dist-info/{name}" for name in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")))
_NEVER_IMPORTED = (
    "**/*.pyi",
    "**/tests",
    "**/__pycache__",
    # The SDKs' asynchronous twins.
    "azure/**/aio",
    # zstandard's second backend, for Pythons other than CPython.
    "zstandard/_cffi*.so",
    "zstandard/backend_cffi.py",
    # Google's second name for all of Compute, and Storage by gRPC.
    "google/cloud/compute",
    "google/cloud/storage/asyncio",
    "google/cloud/storage/_experimental",
    "google/cloud/_storage",
    "google/cloud/_storage_v2",
)
# What botocore reads for every service, beside the folders that are called after one.
_SERVICES_ALWAYS = frozenset({"sts"})


@dataclass(frozen=True, slots=True)
class WheelSet:
    """What to install: requirement files, their pins, Lambda's Python, and the AWS services that are called.

    `compute` names the clients and messages of Google's library for Compute that are used, where that is installed.
    """

    files: tuple[Path, ...]
    constraints: Path
    python: str
    services: frozenset[str]
    compute: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """Hash of all of it: another key, another installation."""
        services = sorted(self.services | _SERVICES_ALWAYS)
        rules: list[object] = [_RULES, PLATFORM, self.python, services, sorted(self.compute)]
        texts = [path.read_text(encoding="utf-8") for path in (*self.files, self.constraints)]
        return hashlib.sha256(json.dumps([*rules, *texts]).encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class Wheels:
    """An installed set: its folder, and a hash of its files' content as the wheels had it."""

    folder: Path
    digest: str


def install(wanted: WheelSet, cache: Path) -> Wheels:
    """The set's folder, made if it isn't there; raises PackageIncomplete if a package can't be had."""
    place = cache / wanted.key
    note = cache / f"{wanted.key}.digest"
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache):
        if not note.is_file():
            shutil.rmtree(place, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=cache, prefix="installing-") as half:
                folder = Path(half) / "packages"
                _pip(wanted, folder)
                _prune(folder, wanted.services | _SERVICES_ALWAYS)
                if wanted.compute:
                    prune_compute(folder / "google/cloud/compute_v1", wanted.compute)
                digest = content_hash(folder)
                compile_all(folder, wanted.python)
                folder.rename(place)
            note.write_text(digest, encoding="ascii")
            _drop_older(cache)
        return Wheels(place, note.read_text(encoding="ascii"))


def content_hash(folder: Path) -> str:
    """SHA-256 over names and content of all files but compiled ones; times, owners and places don't count."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        total.update(f"{path.relative_to(folder)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def compile_all(folder: Path, python: str, *parts: str) -> None:
    """Compile a folder's modules (or its `parts`' only) for that Python; raises PackageIncomplete where it lacks.

    Hashes instead of times make the files the same everywhere, `unchecked` spares Lambda the comparison, and the paths
    in them are Lambda's.
    """
    command = [_interpreter(python), "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    places = [str(folder / part) for part in parts] or [str(folder)]
    _run([*command, "-s", str(folder), "-p", "/var/task", *places], "A module can't be compiled")


def _interpreter(python: str) -> str:
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{python}")
    if found is None:
        message = (
            f"python: the deployment file asks for Python {python}, and there's no python{python} here to compile the "
            f"functions with: without that their first call takes four times as long. Install it, or name "
            f"{sys.version_info.major}.{sys.version_info.minor}, which this is."
        )
        raise PackageIncomplete(message)
    return found


def _pip(wanted: WheelSet, folder: Path) -> None:
    place = ["--platform", PLATFORM, "--only-binary=:all:", "--implementation", "cp", "--python-version", wanted.python]
    files = [word for path in wanted.files for word in ("-r", str(path))]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"]
    command = [sys.executable, "-m", "pip", "install", *quiet, *place, "-c", str(wanted.constraints), *files]
    failure = "The functions' requirements can't be installed (only this step asks the network, once)"
    _run([*command, "--target", str(folder)], failure)


def _run(command: Sequence[str], failure: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{failure}: {(done.stderr or done.stdout).strip()[-1500:]}"
        raise PackageIncomplete(message)


def _prune(folder: Path, services: Iterable[str]) -> None:
    kept = set(services)
    models = {path for path in folder.glob("botocore/data/*") if path.is_dir() and path.name not in kept}
    for path in [found for rule in (*_PIP_FILES, *_NEVER_IMPORTED) for found in folder.glob(rule)] + sorted(models):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _drop_older(cache: Path) -> None:
    notes = sorted(cache.glob("*.digest"), key=lambda note: note.stat().st_mtime, reverse=True)
    for note in notes[_KEPT:]:
        note.unlink()
        shutil.rmtree(note.with_suffix(""))


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One installation at a time, in all processes."""
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
