"""Which of our own modules a program can reach, read from its source: what is never imported isn't shipped."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from failback.errors import PackageIncomplete

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

OWN = ("failback", "lambdas")
"""The packages whose modules are ours; all others come with the requirements or with Python."""


@dataclass(slots=True)
class Reached:
    """What a program reaches: our modules by name, and the foreign ones that they name."""

    files: dict[str, Path] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)


def reachable(root: Path, modules: Iterable[str]) -> Reached:
    """What these modules reach, late imports inside functions included, those under TYPE_CHECKING left out.

    An import by a computed name can't be seen: its modules have to be among `modules`. Raises PackageIncomplete where
    one of our modules isn't there.
    """
    reached = Reached()
    waiting = [(name, "what was asked for") for name in modules]
    while waiting:
        name, by = waiting.pop()
        if name in reached.files or name in reached.foreign:
            continue
        if not _is_ours(name):
            reached.foreign.add(name)
            continue
        path = source_of(root, name)
        if path is None:
            message = f"{by} imports {name}, and there's no such module: put it right, or the function can't start"
            raise PackageIncomplete(message)
        reached.files[name] = path
        parent = name.rpartition(".")[0]
        waiting += [(parent, name)] if parent else []
        waiting += [(each, name) for each in _imported(root, path, name if path.stem == "__init__" else parent)]
    return reached


def source_of(root: Path, module: str) -> Path | None:
    """A module's source file; None where the name is no module (but something inside one, perhaps)."""
    place = root.joinpath(*module.split("."))
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def _is_ours(name: str) -> bool:
    return name.split(".")[0] in OWN


def _imported(root: Path, path: Path, package: str) -> Iterator[str]:
    """The modules that a file imports."""
    for node in _imports(path.read_bytes()):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        else:
            origin = _origin(node, package)
            yield origin
            names = (f"{origin}.{each.name}" for each in node.names)
            # What is imported from a package may be a module of it or a name inside it.
            yield from (name for name in names if _is_ours(name) and source_of(root, name))


@lru_cache(maxsize=1000)
def _imports(source: bytes) -> tuple[ast.Import | ast.ImportFrom, ...]:
    return tuple(node for node in _running(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom))


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run: all but the bodies of `if TYPE_CHECKING`."""
    yield node
    skipped = node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else []
    for child in ast.iter_child_nodes(node):
        if child not in skipped:
            yield from _running(child)


def _origin(node: ast.ImportFrom, package: str) -> str:
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])
