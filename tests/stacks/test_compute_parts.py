"""What's taken out of a library that is laid out as Google's for Compute, and what stays because something needs it."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from failback.errors import PackageIncomplete
from stacks.compute_parts import names_in, prune_compute

if TYPE_CHECKING:
    from pathlib import Path

TYPES = '''
__protobuf__ = dict(
    manifest={
        "Disk",
        "Firewall",
        "GetDiskRequest",
        "Label",
        "Operation",
    },
)


class Disk:
    """A Firewall has nothing to do with it."""

    labels = dict(
        message="Label",
    )


class Firewall(
    object,
):
    labels = dict(message="Label", disk=Disk)


class GetDiskRequest:
    pass


class Label:
    class Kind:
        """Not one of the library's own names."""


class Operation:
    error = dict(message=Label)


__all__ = tuple(sorted(__protobuf__["manifest"]))
'''
FILES = {
    "__init__.py": """__lazy_modules__ = {
    "compute_v1.services.disks",
    "compute_v1.services.firewalls",
    "compute_v1.services.zone_operations",
}
from .services.disks import DisksClient
from .services.firewalls import (
    FirewallsClient,
)
from .services.zone_operations import ZoneOperationsClient
from .types.compute import (
    Disk,
    Firewall,
    GetDiskRequest,
    Label,
    Operation,
)

__all__ = (
    "Disk",
    "DisksClient",
    "Firewall",
    "FirewallsClient",
    "GetDiskRequest",
    "Label",
    "Operation",
    "ZoneOperationsClient",
)
""",
    "types/__init__.py": 'from .compute import (\n    Disk,\n    Firewall,\n)\n\n__all__ = (\n    "Disk",\n)\n',
    "types/compute.py": TYPES,
    "services/__init__.py": "",
    "services/disks/__init__.py": "class DisksClient:\n    needs = 'compute.GetDiskRequest'\n",
    "services/disks/transports/base.py": "from google.cloud.compute_v1.services import zone_operations\n",
    "services/firewalls/__init__.py": "class FirewallsClient:\n    needs = 'compute.Firewall'\n",
    "services/zone_operations/__init__.py": "class ZoneOperationsClient:\n    needs = 'compute.Operation'\n",
}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "compute_v1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "compute_v1"


def test_what_is_named_stays_with_all_it_needs(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prune_compute(library, names_in(["disks: compute.DisksClient", "-> compute.Disk:", "place.compute.disks"]))
    folders = {path.name for path in (library / "services").iterdir() if path.is_dir()}
    assert folders == {"disks", "zone_operations"}
    monkeypatch.syspath_prepend(library.parent)
    left = importlib.import_module("compute_v1")
    kept = {"Disk", "DisksClient", "GetDiskRequest", "Label", "Operation", "ZoneOperationsClient"}
    assert set(left.__all__) == kept
    assert all(hasattr(left, name) for name in kept)
    assert not hasattr(left, "Firewall")
    types = importlib.import_module("compute_v1.types.compute")
    assert set(types.__all__) == kept - {"DisksClient", "ZoneOperationsClient"}
    assert not hasattr(types, "Firewall")
    assert types.Label.Kind.__doc__ == "Not one of the library's own names."
    assert left.__lazy_modules__ == {"compute_v1.services.disks", "compute_v1.services.zone_operations"}
    for name in [each for each in sys.modules if each.partition(".")[0] == "compute_v1"]:
        monkeypatch.delitem(sys.modules, name)


def test_pruned_again_it_stays_as_it_is(library: Path) -> None:
    prune_compute(library, {"DisksClient", "Disk"})
    first = {path: path.read_text() for path in library.rglob("*.py")}
    prune_compute(library, {"DisksClient", "Disk"})
    assert {path: path.read_text() for path in library.rglob("*.py")} == first


def test_a_name_that_the_library_hasnt_is_said(library: Path) -> None:
    with pytest.raises(PackageIncomplete, match=r"has no FirewallClient, Volume,.*constraints\.txt"):
        prune_compute(library, {"FirewallClient", "Volume", "Disk"})
    assert (library / "services/firewalls").is_dir()
