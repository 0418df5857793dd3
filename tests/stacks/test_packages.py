"""The real functions' packages: whole, alone, small, and each with its own home only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.errors import PackageIncomplete
from failback.model.deployment import DEFAULT_PYTHON
from stacks.assets import GRUB_STAGES, Asset, Function, Workshop
from stacks.package_table import import_alone, late_imports, package_size, table_of

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.assets, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
HOMES = {"azure": ("azure", "msal"), "google": ("google",)}
FUNCTIONS = [
    each
    for each in Workshop(ROOT, ROOT / "build", DEFAULT_PYTHON).functions(HOMES)
    # One home's stages all carry the same; of the second home two are looked at.
    if each.home != "google" or each.stage in {"import_image", "boot_client"}
]
each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)


@pytest.fixture(scope="session")
def workshop() -> Workshop:
    return Workshop(ROOT, ROOT / "build", DEFAULT_PYTHON)


@pytest.fixture(scope="session")
def made(workshop: Workshop) -> Callable[[Function], Asset]:
    assets = {function: workshop.make(function) for function in FUNCTIONS}
    return assets.__getitem__


@each_function
def test_a_package_holds_its_own_home_only(made: Callable[[Function], Asset], function: Function) -> None:
    folder = made(function).folder
    for home, packages in HOMES.items():
        own = home == function.home
        assert (folder / "failback/clouds" / home).is_dir() is own
        assert [name for name in packages if (folder / name).exists()] == (list(packages) if own else [])
    parts = [folder / "lambdas" / part for part in ("stages", "doors")]
    places = [path for part in parts if part.is_dir() for path in part.iterdir() if path.is_dir()]
    assert [path for path in places if path.name != "__pycache__"] == [
        folder / "lambdas" / function.part / function.stage
    ]
    assert not any((folder / name).exists() for name in ("cli", "localcloud", "stacks", "assets", "tests"))
    assert (folder / "grub").is_dir() is (function.stage in GRUB_STAGES)


@each_function
def test_a_package_is_small(made: Callable[[Function], Asset], function: Function) -> None:
    assert package_size(made(function).folder) < function.limit


@each_function
def test_everything_that_is_ever_imported_is_in_the_package(
    made: Callable[[Function], Asset], workshop: Workshop, function: Function
) -> None:
    modules = late_imports(workshop, function)
    assert "boto3" in modules
    assert ("azure.mgmt.compute" in modules) is (function.home == "azure")
    assert ("google.cloud.compute_v1" in modules or "google.cloud" in modules) is (function.home == "google")
    import_alone(made(function).folder, modules)


def test_what_isnt_in_a_package_isnt_found_elsewhere(made: Callable[[Function], Asset]) -> None:
    aws = next(function for function in FUNCTIONS if not function.home)
    with pytest.raises(PackageIncomplete, match="No module named"):
        import_alone(made(aws).folder, ["pytest"])


@each_function
def test_a_package_has_nothing_of_the_machine_it_was_made_on(
    made: Callable[[Function], Asset], function: Function
) -> None:
    folder = made(function).folder
    names = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    assert not [name for name in names if name.startswith("bin/") or name.endswith(("/RECORD", "/INSTALLER", ".pyi"))]
    own = [path for part in ("failback", "lambdas") for path in (folder / part).rglob("*.pyc")]
    assert own
    assert not [path for path in own if str(ROOT).encode() in path.read_bytes()]
    # Every module is compiled, or the first call would do it, again and again.
    assert [name for name in names if name.endswith("/handler.py")]
    sources = [
        path for path in (folder / "azure", folder / "google", folder / "boto3", folder / "failback") if path.is_dir()
    ]
    for source in [path for place in sources for path in place.rglob("*.py")]:
        assert list((source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc")), source


@each_function
def test_clients_of_all_services_that_a_stage_may_call_can_be_made(
    made: Callable[[Function], Asset], function: Function
) -> None:
    """botocore's other models are pruned; those that the contract names, and STS, have to work."""
    services = sorted(function.services)
    code = "import sys; sys.path.insert(0, sys.argv[1]); import boto3; session = boto3.Session('a', 'b')\n"
    code += "for name in [*sys.argv[2:], 'sts']: session.client(name, region_name='eu-west-1')"
    command = [sys.executable, "-I", "-S", "-c", code, str(made(function).folder), *services]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    data = made(function).folder / "botocore/data"
    assert not (data / "rds").exists()
    assert {path.name for path in data.iterdir() if path.is_dir()} >= set(services)


MESSAGES_OF_A_PACKAGE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from google.auth.credentials import AnonymousCredentials
from google.cloud import compute_v1
from failback.clouds.google.place import GoogleClients
url = "http://127.0.0.1:9"
clients = GoogleClients("p", AnonymousCredentials(), compute_url=url, storage_url=url)
made = {name: type(getattr(clients, name)).__name__ for name in GoogleClients.__annotations__}
kinds = {name: kind for name in compute_v1.__all__ if hasattr(kind := getattr(compute_v1, name), "pb")}
fields = {name: [[each.number, each.name, each.type, each.message_type.name if each.message_type else ""]
                 for each in kind.pb().DESCRIPTOR.fields] for name, kind in kinds.items()}
print(json.dumps([made, fields]))
"""


def test_all_clients_of_google_can_be_made_and_their_messages_are_whole(made: Callable[[Function], Asset]) -> None:
    """Most of the library for Compute is pruned; what's left is the same as in the whole one."""
    from google.cloud import compute_v1 as whole

    from failback.clouds.google.place import GoogleClients

    folder = made(next(function for function in FUNCTIONS if function.home == "google")).folder
    command = [sys.executable, "-I", "-S", "-c", MESSAGES_OF_A_PACKAGE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    clients, fields = json.loads(done.stdout)
    assert set(clients) == set(GoogleClients.__annotations__)
    assert len(fields) < len(whole.__all__) // 4
    for name, each in fields.items():
        descriptor = getattr(whole, name).pb().DESCRIPTOR
        assert each == [
            [field.number, field.name, field.type, field.message_type.name if field.message_type else ""]
            for field in descriptor.fields
        ], name


def test_a_second_installation_gives_the_same_package(
    made: Callable[[Function], Asset], workshop: Workshop, tmp_path: Path
) -> None:
    """Made anew in another place from the same wheels' content, the folder is the same to the last name."""
    function = next(function for function in FUNCTIONS if function.stage == "write_report")
    key = workshop.wheel_set(function).key
    (tmp_path / "wheels").mkdir()
    shutil.copytree(workshop.build / "wheels" / key, tmp_path / "wheels" / key)
    shutil.copy(workshop.build / "wheels" / f"{key}.digest", tmp_path / "wheels")
    again = Workshop(ROOT, tmp_path, DEFAULT_PYTHON).make(function)
    first = made(function)
    assert again.digest == first.digest
    assert files_of(again.folder) == files_of(first.folder)


def files_of(folder: Path) -> dict[str, int]:
    return {os.path.relpath(path, folder): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def test_the_table_tells_sizes(made: Callable[[Function], Asset], workshop: Workshop) -> None:
    function = next(function for function in FUNCTIONS if function.stage == "write_report")
    (row,) = table_of(workshop, [(function, made(function))]).splitlines()[2:]
    name, size, seconds, peak, *_ = (cell.strip() for cell in row.strip("|").split("|"))
    assert name == "write-report"
    assert 1 < float(size) < 60
    assert 0 < float(seconds.removesuffix(" s")) < 60
    assert 10 < int(peak.removesuffix(" MiB")) < 500
