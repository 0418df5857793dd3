"""The folder a worker's Python finds packages in besides its own code: what AWS's managed Python runtime holds.

A worker sees neither this program nor its other packages, so that a function that forgot one fails here as it would
in AWS.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from failback.errors import LocalCloudError

PACKAGES = (
    "awslambdaric",
    "simplejson",
    "snapshot-restore-py",
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "six",
    "urllib3",
)
"""The runtime client and the SDK, each with all that it needs."""


def lay_out_runtime(folder: Path) -> Path:
    """Fill the folder with links to the packages' files and give it back; raises LocalCloudError if one lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        for entry in _top_entries(package):
            link = folder / entry.name
            if not link.is_symlink():
                link.symlink_to(entry)
    return folder


def _top_entries(package: str) -> set[Path]:
    try:
        found = distribution(package)
    except PackageNotFoundError as error:
        message = f"The Python package {package} isn't installed; functions need it to run. Install the extra 'local'."
        raise LocalCloudError(message) from error
    place = Path(str(found.locate_file("")))
    names = {Path(file).parts[0] for file in found.files or ()}
    return {place / name for name in names if name not in {"..", "__pycache__"}}
