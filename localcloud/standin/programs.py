"""Runs the build tools: their output goes into the error where one fails, nothing is left running."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from failback.errors import StandinError
from localcloud.packages import find_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# The end of a tool's output that an error shows: its last screen.
SHOWN_LINES = 25
# Every file of the stand-in carries this time (2023-11-14T22:13:20Z), so that the same inputs give the same bytes.
SOURCE_DATE_EPOCH = 1_700_000_000


def run_program(
    arguments: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    cwd: Path | None = None,
) -> str:
    """Run one program to its end and return its standard output; raises StandinError when it fails or is absent."""
    name, *rest = map(str, arguments)
    command = find_command(name)
    if command is None:
        message = f"{name}: no such program here; `python -m localcloud.standin` lists every package that is missing"
        raise StandinError(message)
    done = subprocess.run(
        [command, *rest],
        env=build_environment(env or {}),
        input=stdin,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join((done.stderr or done.stdout).splitlines()[-SHOWN_LINES:])
        message = f"{name} failed with status {done.returncode}; the end of what it said:\n{tail}"
        raise StandinError(message)
    return done.stdout


def build_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a build tool: ours, with a fixed time, zone and language."""
    fixed = {"SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH), "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    return {**os.environ, **fixed, **extra}


def running_as_root() -> bool:
    """Whether this process is the superuser: then no user namespace is needed."""
    return os.geteuid() == 0


def in_root_namespace() -> tuple[str, ...]:
    """The words before a command that must see itself as root: none for root, else a user namespace's."""
    return () if running_as_root() else ("unshare", "--user", "--map-auto", "--map-root-user", "--")
