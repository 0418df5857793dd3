"""The rights that docs/deploy-google.md has somebody give: those of the adapter's calls, all of them and no other."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.cloud import compute_v1 as compute

from localcloud.google.access import permissions
from localcloud.google.front import Target
from localcloud.google.state import ResourceId
from localcloud.google_storage.rights import PERMISSIONS, REPLACE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/deploy-google.md").read_text(encoding="utf-8")
STORAGE = {
    "get_blob": "objects.get",
    "list_blobs": "objects.list",
    "upload_from_file": "objects.insert",
    "compose": "objects.compose",
    "delete": "objects.delete",
}
"""Calls of Cloud Storage's SDK as its API names them."""


def rest(name: str) -> str:
    """`setLabels` for `set_labels_unary`."""
    head, *words = name.removesuffix("_unary").split("_")
    return head + "".join(word.capitalize() for word in words)


def compute_calls(tree: ast.AST) -> Iterator[str]:
    """The methods of Compute's clients that a module names, as `instances.attachDisk`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name | ast.Attribute):
            continue
        owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
        client = getattr(compute, "".join(word.capitalize() for word in owner.split("_")) + "Client", None)
        if client is not None and hasattr(client, node.attr):
            yield f"{rest(owner)}.{rest(node.attr)}"


def storage_calls(tree: ast.AST) -> Iterator[str]:
    """The methods of Cloud Storage that a module calls: all of those take the same time limits."""
    for node in ast.walk(tree):
        limited = isinstance(node, ast.Call) and any(
            isinstance(each.value, ast.Call) and ast.unparse(each.value) == "storage_options()"
            for each in node.keywords
        )
        if isinstance(node, ast.Call) and limited and isinstance(node.func, ast.Attribute):
            yield STORAGE[node.func.attr]


def calls() -> set[str]:
    """What the adapter calls."""
    trees = [ast.parse(path.read_bytes()) for path in sorted((ROOT / "failback/clouds/google").glob("*.py"))]
    return {call for tree in trees for call in (*compute_calls(tree), *storage_calls(tree))}


def documented() -> dict[str, set[str]]:
    """The page's permissions by call; calls of one row share them."""
    rows = [line.strip().strip("|").split("|") for line in PAGE.splitlines() if re.match(r"\s*\| `[^|]*\| `", line)]
    split = [[set(re.findall(r"`([\w.]+)`", cell)) for cell in row[:2]] for row in rows]
    return {call: rights for named, rights in split for call in named}


def given() -> set[str]:
    """The permissions in the page's commands."""
    found = re.search(r"permissions='([^']+)'", PAGE)
    more = re.search(r"--permissions (storage\S+)", PAGE)
    assert found
    assert more
    return {*found[1].split(), *more[1].split(",")}


def needed(call: str) -> set[str]:
    """What the embedded clouds ask for."""
    if call.startswith("objects."):
        return {*PERMISSIONS[call], *([REPLACE] if call == "objects.compose" else [])}
    collection, method = call.split(".")
    scope = {"zoneOperations": "zones/z", "regionOperations": "regions/r", "globalOperations": "global"}.get(collection)
    name = "operations" if scope else collection
    return set(permissions(Target(ResourceId("p", scope or "zones/z", name, "n"), method)))


def test_the_adapter_calls_what_the_page_lists() -> None:
    assert calls() == set(documented())


@pytest.mark.parametrize("call", sorted(calls()))
def test_each_call_has_the_rights_that_it_needs(call: str) -> None:
    assert needed(call) <= documented()[call]


def test_the_roles_hold_what_the_table_does() -> None:
    assert given() == set().union(*documented().values())


def test_the_command_gives_the_permissions_as_one_list() -> None:
    """By a shell's own reading of the page."""
    found = re.search(r"( *permissions='[^']+')\n.*?--permissions (\"\$\(.*?\)\")", PAGE, re.DOTALL)
    assert found
    done = subprocess.run(["sh", "-c", f"{found[1]}\necho {found[2]}"], capture_output=True, text=True, check=True)
    assert set(done.stdout.strip().split(",")) | {each for each in given() if each.startswith("storage.")} == given()
    assert len(shlex.split(done.stdout)) == 1
