"""Google's library for Compute without the services and messages that nobody here calls: a sixth of it is left.

Its layout, as generated (google-cloud-compute 1.57): a folder a service, one module with all messages, and lists of the
names of both in three files. Whole lines are taken out of those, so that every Python makes the same files.
"""

from __future__ import annotations

import ast
import re
import shutil
from typing import TYPE_CHECKING

from failback.errors import PackageIncomplete

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

_SERVICE = re.compile(r"^from google\.cloud\.compute_v1\.services import (\w+)", re.MULTILINE)
"""How a transport imports the services by which operations are followed."""
_NAMED = re.compile(r"\bcompute\.([A-Z]\w+)")
_LISTED = re.compile(r'\s+(?:"(?P<text>[\w.]+)"|(?P<name>\w+)),\s*')


def names_in(texts: Iterable[str]) -> frozenset[str]:
    """The clients and messages that sources name, all as `compute.NAME`: our adapter's, and the library's services."""
    return frozenset(name for text in texts for name in _NAMED.findall(text))


def prune_compute(library: Path, named: Collection[str]) -> None:
    """Leave the clients and messages of these names, and what they need; PackageIncomplete for one it hasn't."""
    start, types = library / "__init__.py", library / "types"
    owners = {name: service for service, names in _services(_parsed(start)) for name in names}
    classes = {each.name: each for each in _parsed(types / "compute.py").body if isinstance(each, ast.ClassDef)}
    unknown = sorted(set(named) - set(owners) - set(classes))
    if unknown:
        message = (
            f"google-cloud-compute has no {', '.join(unknown)}, which failback/clouds/google names: compare its "
            "version in constraints.txt with the one that the adapter was written for."
        )
        raise PackageIncomplete(message)
    services = _closed({owners[name] for name in named if name in owners}, lambda each: _followed_by(library, each))
    called = names_in(text for service in services for text in _texts(library / "services" / service))
    messages = _closed((called | set(named)) & set(classes), lambda each: _mentioned(classes[each], classes))
    useless = set(owners.values()) - services
    gone = (set(classes) - messages) | {name for name, service in owners.items() if service in useless}
    for service in useless:
        shutil.rmtree(library / "services" / service)
    for path in (start, types / "__init__.py", types / "compute.py"):
        path.write_text(_without(path.read_text(encoding="utf-8"), gone, useless), encoding="utf-8")


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _texts(folder: Path) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))]


def _services(start: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Each service that the library's beginning imports, and the names of its clients."""
    for each in start.body:
        if isinstance(each, ast.ImportFrom) and (service := _service_of(each)):
            yield service, [name.name for name in each.names]


def _service_of(statement: ast.ImportFrom) -> str:
    before, _, service = (statement.module or "").partition(".")
    return service if before == "services" else ""


def _followed_by(library: Path, service: str) -> set[str]:
    return {name for text in _texts(library / "services" / service) for name in _SERVICE.findall(text)}


def _mentioned(message: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> set[str]:
    """The other messages of a message's fields, which are named by strings."""
    strings = {each.value for each in ast.walk(message) if isinstance(each, ast.Constant)}
    names = {each.id for each in ast.walk(message) if isinstance(each, ast.Name)}
    return {name for name in classes if name in strings or name in names}


def _closed(first: Iterable[str], needs: Callable[[str], Iterable[str]]) -> set[str]:
    """These, and whatever they need."""
    kept: set[str] = set()
    waiting = list(first)
    while waiting:
        name = waiting.pop()
        if name not in kept:
            kept.add(name)
            waiting += needs(name)
    return kept


def _without(text: str, gone: Collection[str], services: Collection[str]) -> str:
    """A module's text without these names: their classes and imports, and their lines in lists."""
    lines, dropped = text.splitlines(keepends=True), set[int]()
    for each in ast.parse(text).body:
        whole = isinstance(each, ast.ClassDef) and each.name in gone
        whole = whole or (isinstance(each, ast.ImportFrom) and _service_of(each) in services)
        span = range(each.lineno - 1, each.end_lineno or each.lineno)
        if whole:
            dropped |= set(span)
        elif isinstance(each, ast.ImportFrom | ast.Assign):
            dropped |= {number for number in span if _lists(lines[number], gone, services)}
    return "".join(line for number, line in enumerate(lines) if number not in dropped)


def _lists(line: str, gone: Collection[str], services: Collection[str]) -> bool:
    found = _LISTED.fullmatch(line)
    if found is None:
        return False
    before, _, last = (found["text"] or found["name"]).rpartition(".")
    return last in (services if before.endswith(".services") else gone)
