"""Synthesises the CDK app for the embedded clouds, unless nothing that goes into it has changed since the last time."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from failback.errors import LocalCloudError
from localcloud.embedded.clouds import (
    CLIENT_AUDIENCE,
    CLIENT_ID,
    CLIENT_IDENTITY,
    HOME_GROUP,
    HOME_LOCATION,
    HOME_NETWORK,
    HOME_SUBNET,
    REGION,
)
from localcloud.embedded.google import google_target
from localcloud.embedded.state_file import TARGETS
from localcloud.lambda_runner.function import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("failback", "lambdas", "stacks", "statemachine", "assets")
FILES = ("app.py", "cdk.json", "requirements.txt", "constraints.txt")
TARGET, GOOGLE_TARGET = TARGETS["azure"], TARGETS["google"]
STAMP = "drs-failback.stamp"
SECONDS = 1800
"""What a synthesis may take: seconds with everything at hand, minutes when functions' packages have to be fetched."""
_SHOWN = 4000
_WATCHED = frozenset({".py", ".json", ".txt", ".sh", ".service", ".cfg", ""})


def write_deployment(path: Path, *, subscription: str, tenant: str, azure: bool = True, google: bool = False) -> Path:
    """Write the deployment file with a target at each of these embedded homes."""
    at_azure = [_azure_target(subscription, tenant)] if azure else []
    at_google = [google_target(GOOGLE_TARGET, audience=CLIENT_AUDIENCE)] if google else []
    deployment = {
        "region": REGION,
        "python": RUNTIME.removeprefix("python"),
        "removal": "destroy",
        "targets": [*at_azure, *at_google],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(deployment, indent=2) + "\n", encoding="utf-8")
    return path


def _azure_target(subscription: str, tenant: str) -> dict[str, Any]:
    group = f"/subscriptions/{subscription}/resourceGroups/{HOME_GROUP}/providers"
    client = {
        "kind": "managed-identity",
        "identity_id": f"{group}/Microsoft.ManagedIdentity/userAssignedIdentities/{CLIENT_IDENTITY.name}",
        "principal_id": CLIENT_IDENTITY.principal_id,
        "audience": CLIENT_AUDIENCE,
    }
    return {
        "name": TARGET,
        "home": "azure",
        "tenant_id": tenant,
        "client_id": CLIENT_ID,
        "subscription_id": subscription,
        "resource_group": HOME_GROUP,
        "location": HOME_LOCATION,
        "subnet_id": f"{group}/Microsoft.Network/virtualNetworks/{HOME_NETWORK.name}/subnets/{HOME_SUBNET}",
        "client": client,
    }


def synthesise(deployment: Path, out: Path, *, root: Path = ROOT) -> bool:
    """Run the CDK app into `out`; False if what's there came from the same sources and deployment.

    Others who want the same wait meanwhile. Raises LocalCloudError with the end of what the app said.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, digest = out / STAMP, inputs_digest(deployment, root)
        if stamp.is_file() and stamp.read_text(encoding="ascii") == digest and (out / "manifest.json").is_file():
            return False
        stamp.unlink(missing_ok=True)
        _run_app(deployment, out, root)
        stamp.write_text(digest, encoding="ascii")
        return True


def inputs_digest(deployment: Path, root: Path = ROOT) -> str:
    """A hash of everything that the app reads, names included."""
    digest = hashlib.sha256()
    for path in (*_sources(root), deployment):
        digest.update(f"{path if path == deployment else path.relative_to(root)}\n{path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(root: Path) -> Iterator[Path]:
    yield from (root / name for name in FILES if (root / name).is_file())
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix in _WATCHED:
                yield path


def _run_app(deployment: Path, out: Path, root: Path) -> None:
    command = [sys.executable, "app.py", "-c", f"deployment={deployment.resolve()}"]
    environment = {**os.environ, "CDK_OUTDIR": str(out.resolve()), "PYTHONPATH": str(root)}
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        message = f"The CDK app didn't end within {SECONDS} s. Its packages come over the network: is it there?"
        raise LocalCloudError(message) from error
    if done.returncode or not (out / "manifest.json").is_file():
        said = (done.stderr or done.stdout)[-_SHOWN:]
        message = f"The CDK app ended with {done.returncode} and wrote no cloud assembly. It said:\n{said}"
        raise LocalCloudError(message)
