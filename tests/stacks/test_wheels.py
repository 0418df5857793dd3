"""Requirements are installed by the real pip, from a folder instead of the network: pruned, compiled, and once."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from failback.errors import PackageIncomplete
from failback.model.deployment import DEFAULT_PYTHON
from stacks.wheels import WheelSet, install

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "botocore/__init__.py": "",
    "botocore/data/endpoints.json": "{}",
    "botocore/data/s3/2006/service-2.json": "{}",
    "botocore/data/sts/2011/service-2.json": "{}",
    "botocore/data/lambda/2015/service-2.json": "{}",
    "azure/mgmt/tiny/__init__.py": "",
    "azure/mgmt/tiny/aio/__init__.py": "",
    "azure/mgmt/tiny/__init__.pyi": "",
    "azure/mgmt/tiny/tests/test_it.py": "",
    "tiny-1.0.data/scripts/tiny": "#!python\n",
    "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def wanted(folder: Path, requirement: str) -> WheelSet:
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
        wheel.writestr("tiny-1.0.dist-info/RECORD", "".join(f"{name},,\n" for name in FILES))
    (folder / "requirements.txt").write_text(f"--no-index\n--find-links {folder}\n{requirement}\n")
    (folder / "constraints.txt").write_text("tiny==1.0\n")
    return WheelSet((folder / "requirements.txt",), folder / "constraints.txt", DEFAULT_PYTHON, frozenset({"s3"}))


def test_a_set_is_installed_once_pruned_and_compiled_and_old_ones_go(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"wheels/{number}").mkdir(parents=True)
        (tmp_path / f"wheels/{number}.digest").write_text("x")
    wheels = install(wanted(tmp_path, "tiny"), tmp_path / "wheels")
    found = {str(path.relative_to(wheels.folder)) for path in wheels.folder.rglob("*") if path.is_file()}
    compiled = {name for name in found if name.endswith(".pyc")}
    assert found - compiled == {
        "botocore/__init__.py",
        "botocore/data/endpoints.json",
        "botocore/data/s3/2006/service-2.json",
        "botocore/data/sts/2011/service-2.json",
        "azure/mgmt/tiny/__init__.py",
        "tiny-1.0.dist-info/METADATA",
        "tiny-1.0.dist-info/WHEEL",
    }
    assert len(compiled) == 2
    assert len([path for path in (tmp_path / "wheels").iterdir() if path.is_dir()]) == 6
    assert (tmp_path / "wheels" / wanted(tmp_path, "tiny").key).is_dir()
    # The second time pip has nothing to install from, and isn't asked.
    (tmp_path / "tiny-1.0-py3-none-any.whl").unlink()
    again = WheelSet((tmp_path / "requirements.txt",), tmp_path / "constraints.txt", DEFAULT_PYTHON, frozenset({"s3"}))
    assert install(again, tmp_path / "wheels") == wheels


def test_what_cant_be_installed_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PackageIncomplete, match="no-such-package"):
        install(wanted(tmp_path, "no-such-package"), tmp_path / "wheels")
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == ["lock"]
