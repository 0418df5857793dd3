"""Which deployment file a synthesis is for: the one that is named, else deployment.json, else the example."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from failback.errors import DeploymentInvalid
from failback.model.deployment import Deployment, parse_deployment

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = "deployment.json"
EXAMPLE = "deployment.example.json"


def read_deployment(root: Path, named: str | None = None) -> Deployment:
    """The deployment to make; raises DeploymentInvalid. The example is used with a note: it's nobody's account."""
    path = root / (named or DEFAULT)
    if named is None and not path.is_file():
        path = root / EXAMPLE
        note = f"note: there's no {DEFAULT}; this is {EXAMPLE}, whose targets don't exist. Copy it and fill it in."
        print(note, file=sys.stderr)
    try:
        text = path.read_bytes()
    except OSError as error:
        message = f"{path}: the deployment file can't be read ({error.strerror}). Name another by -c deployment=FILE."
        raise DeploymentInvalid(message) from error
    return parse_deployment(text, source=str(path))
