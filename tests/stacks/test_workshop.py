"""Packages hold what their function reaches and nothing else, and change with their inputs only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.errors import GrubUnavailable, PackageIncomplete
from stacks.assets import Function, Workshop
from stacks.wheels import compile_all, content_hash
from tests.stacks.conftest import check_out

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.stacks.conftest import Checkout


def function(workshop: Workshop, stage: str) -> Function:
    return next(each for each in workshop.functions(["azure"]) if each.stage == stage)


def content(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path) for path in found}


def digests(checkout: Checkout) -> dict[str, str]:
    workshop = checkout.pretend_wheels()
    return {each.stage: workshop.make(each).digest for each in workshop.functions(["azure"])}


def test_functions_are_named_by_stage_and_home(checkout: Checkout) -> None:
    functions = checkout.workshop.functions(["azure"])
    assert [each.name for each in functions] == ["build-image", "import-image-azure", "watch"]
    assert functions[0].handler == "lambdas.stages.build_image.handler.handler"


def test_a_door_is_a_function_too(checkout: Checkout) -> None:
    workshop = checkout.pretend_wheels()
    door = function(workshop, "watch")
    assert door.handler == "lambdas.doors.watch.handler.handler"
    assert content(workshop.make(door).folder) >= {"lambdas/doors/watch/handler.py", "lambdas/connections.py"}
    assert not (workshop.make(door).folder / "lambdas/stages").exists()


def test_a_stage_without_a_handler_isnt_deployed_yet(checkout: Checkout) -> None:
    (checkout.root / "lambdas/doors/watch/handler.py").unlink()
    assert [each.stage for each in checkout.workshop.functions(["azure"])] == ["build_image", "import_image"]


def test_models_of_services_that_botocore_calls_otherwise_are_kept(checkout: Checkout) -> None:
    workshop = checkout.workshop
    assert function(workshop, "watch").services == {"stepfunctions"}
    assert workshop.wheel_set(function(workshop, "build_image")).services >= {"dynamodb", "s3", "stepfunctions"}


def test_a_home_without_adapter_is_refused(checkout: Checkout) -> None:
    with pytest.raises(PackageIncomplete, match=r"failback/clouds/google/connection\.py"):
        checkout.workshop.functions(["google"])


def test_a_package_of_aws_holds_no_home(checkout: Checkout) -> None:
    workshop = checkout.pretend_wheels()
    assert content(workshop.make(function(workshop, "build_image")).folder) == {
        "a_package/__init__.py",
        "failback/__init__.py",
        "failback/data/__init__.py",
        "failback/data/rules.sh",
        "failback/late.py",
        "failback/naming.py",
        "lambdas/__init__.py",
        "lambdas/connections.py",
        "lambdas/stages/__init__.py",
        "lambdas/stages/build_image/__init__.py",
        "lambdas/stages/build_image/handler.py",
        *(f"grub/{name}" for name in ("boot.img", "core.img", "grubx64.efi", "version")),
    }


def test_a_package_of_a_home_holds_its_whole_adapter(checkout: Checkout) -> None:
    workshop = checkout.pretend_wheels()
    folder = workshop.make(function(workshop, "import_image")).folder
    assert {path for path in content(folder) if path.startswith("failback/clouds/")} == {
        "failback/clouds/__init__.py",
        *(f"failback/clouds/azure/{name}.py" for name in ("__init__", "connection", "disks", "never_named")),
    }
    assert not (folder / "grub").exists()
    assert "FOR = 'azure'" in (folder / "a_package/__init__.py").read_text()


def test_a_package_is_made_once(checkout: Checkout) -> None:
    workshop = checkout.pretend_wheels()
    made = workshop.make(function(workshop, "build_image"))
    (made.folder / "mark").touch()
    assert workshop.make(function(workshop, "build_image")) == made
    assert (made.folder / "mark").exists()


def test_the_same_inputs_give_the_same_package_anywhere(checkout: Checkout, tmp_path: Path) -> None:
    first = checkout.pretend_wheels()
    other = type(checkout)(tmp_path / "elsewhere" / "deeper")
    for path in [
        path for path in checkout.root.rglob("*") if path.is_file() and path.suffix in {".py", ".txt", ".json"}
    ]:
        other.write(str(path.relative_to(checkout.root)), path.read_text())
    for name in ("data/rules.sh", "data/.rules.sh.swp"):
        other.write(f"failback/{name}", (checkout.root / "failback" / name).read_text())
    for path in (checkout.root / "build/grub").iterdir():
        other.write(f"build/grub/{path.name}", path.read_text())
    second = other.pretend_wheels()
    for stage in ("build_image", "import_image"):
        one, two = first.make(function(first, stage)), second.make(function(second, stage))
        assert one.digest == two.digest
        assert compiled(one.folder) == compiled(two.folder)
        assert content_hash(one.folder) == content_hash(two.folder)


def compiled(folder: Path) -> dict[str, bytes]:
    own = [path for part in ("failback", "lambdas") for path in (folder / part).rglob("*.pyc")]
    assert own
    return {str(path.relative_to(folder)): path.read_bytes() for path in own}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The digests of a checkout as it is; of equal ones they're equal, wherever those lie."""
    return digests(check_out(tmp_path_factory.mktemp("untouched")))


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        pytest.param("failback/naming.py", {"build_image", "import_image", "watch"}, id="shared-module"),
        pytest.param("failback/late.py", {"build_image"}, id="late-module"),
        pytest.param("failback/data/rules.sh", {"build_image"}, id="data"),
        pytest.param("build/grub/grubx64.efi", {"build_image"}, id="grub"),
        pytest.param("failback/clouds/azure/never_named.py", {"import_image"}, id="adapter"),
        pytest.param("lambdas/stages/import_image/handler.py", {"import_image"}, id="handler"),
        pytest.param("failback/unused.py", set(), id="unreached"),
        pytest.param("failback/data/.rules.sh.swp", set(), id="hidden"),
    ],
)
def test_a_digest_changes_with_its_inputs(
    untouched: Mapping[str, str], checkout: Checkout, name: str, changed: set[str]
) -> None:
    checkout.write(name, (checkout.root / name).read_text() + "\n# changed\n")
    after = digests(checkout)
    assert {stage for stage in untouched if untouched[stage] != after[stage]} == changed


def test_a_digest_changes_with_packages_and_python(checkout: Checkout) -> None:
    before = digests(checkout)
    for path in (checkout.root / "build/wheels").glob("*.digest"):
        path.write_text("other packages")
    workshop = checkout.workshop
    assert all(before[each.stage] != workshop.make(each).digest for each in workshop.functions(["azure"]))


@pytest.mark.parametrize("name", ["constraints.txt", "failback/clouds/aws/requirements.txt"])
def test_wheels_are_installed_anew_for_other_pins(checkout: Checkout, name: str) -> None:
    workshop = checkout.workshop
    wanted = workshop.wheel_set(function(workshop, "build_image")).key
    checkout.write(name, "boto3==2\n")
    assert workshop.wheel_set(function(workshop, "build_image")).key != wanted
    other = Workshop(workshop.root, workshop.build, "3.13")
    assert other.wheel_set(function(other, "build_image")).key != wanted


def test_old_versions_go(checkout: Checkout) -> None:
    for number in range(4):
        checkout.write("failback/naming.py", f"NAME = {number}\n")
        digests(checkout)
    assert len(list((checkout.root / "build/assets").glob("build-image-*"))) == 3


def test_a_compiled_module_tells_neither_time_nor_place(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("def f(): pass\n")
    compile_all(tmp_path, "3.11")
    (made,) = tmp_path.rglob("*.pyc")
    # PEP 552: the second word is 1 for files that are told by their source's hash, and not compared with it.
    assert made.read_bytes()[4:8] == (1).to_bytes(4, "little")
    assert str(tmp_path).encode() not in made.read_bytes()
    assert b"/var/task/module.py" in made.read_bytes()


def test_a_python_that_isnt_here_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackageIncomplete, match=r"there's no python3\.99 here"):
        compile_all(tmp_path, "3.99")


def test_a_broken_module_isnt_shipped(checkout: Checkout) -> None:
    checkout.write("lambdas/stages/import_image/handler.py", "import lambdas.connections\nreturn 1\n")
    workshop = checkout.pretend_wheels()
    with pytest.raises(PackageIncomplete, match="can't be compiled"):
        workshop.make(function(workshop, "import_image"))
    assert not list((checkout.root / "build/assets").iterdir())


def test_grub_has_to_be_there(checkout: Checkout) -> None:
    (checkout.root / "build/grub/core.img").unlink()
    workshop = checkout.pretend_wheels()
    with pytest.raises(GrubUnavailable, match="make grub"):
        workshop.make(function(workshop, "build_image"))
