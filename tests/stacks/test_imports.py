"""What a program reaches is read from its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.errors import PackageIncomplete
from stacks.imports import reachable

if TYPE_CHECKING:
    from tests.stacks.conftest import Checkout


def reached(checkout: Checkout, text: str) -> set[str]:
    checkout.write("lambdas/start.py", text)
    found = reachable(checkout.root, ["lambdas.start"])
    return (set(found.files) | found.foreign) - {"lambdas", "lambdas.start", "failback"}


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        pytest.param("import failback.naming", {"failback.naming"}, id="import"),
        pytest.param("from failback import naming, data", {"failback.naming", "failback.data"}, id="from-package"),
        pytest.param("from failback.naming import NAME", {"failback.naming"}, id="from-module"),
        pytest.param("from . import connections", {"lambdas.connections", "failback.naming"}, id="relative"),
        pytest.param("def f():\n  import failback.late\n", {"failback.late"}, id="late"),
        pytest.param("if TYPE_CHECKING:\n  import failback.late\n", set(), id="types-only"),
        pytest.param("if TYPE_CHECKING:\n  import os\nelse:\n  import failback.late\n", {"failback.late"}, id="else"),
        pytest.param("from boto3.session import Session\nimport os.path", {"boto3.session", "os.path"}, id="foreign"),
    ],
)
def test_imports_are_followed(checkout: Checkout, text: str, modules: set[str]) -> None:
    assert reached(checkout, text) == modules


def test_relative_imports_climb(checkout: Checkout) -> None:
    checkout.write("lambdas/deep/__init__.py", "")
    checkout.write("lambdas/deep/start.py", "from ..connections import naming")
    files = reachable(checkout.root, ["lambdas.deep.start"]).files
    assert {"lambdas.deep", "lambdas.connections", "failback.naming"} <= set(files)


def test_a_package_comes_with_its_parents(checkout: Checkout) -> None:
    files = reachable(checkout.root, ["failback.clouds.azure.connection"]).files
    assert {"failback", "failback.clouds", "failback.clouds.azure", "failback.clouds.azure.disks"} <= set(files)
    assert "failback.clouds.azure.never_named" not in files


def test_a_module_that_isnt_there_is_named_with_who_wants_it(checkout: Checkout) -> None:
    with pytest.raises(PackageIncomplete, match=r"lambdas\.start imports failback\.gone"):
        reached(checkout, "def f():\n  from failback.gone import x\n")
