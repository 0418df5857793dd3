"""What the readers of file systems share: how a path is followed through links, and how bytes and names are checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from failback.errors import DataCorrupt
from failback.image.tree import TreeEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from failback.image.source import ByteSource
    from failback.image.tree import EntryKind


class Inode(Protocol):
    """What every file system's nodes tell of themselves; `size` in bytes, `mode` as stat(2) gives it."""

    @property
    def kind(self) -> EntryKind: ...
    @property
    def size(self) -> int: ...
    @property
    def mode(self) -> int: ...


Node = TypeVar("Node", bound=Inode)
Key = TypeVar("Key")
Value = TypeVar("Value")

LINK_LIMIT = 40
"""Symbolic links followed in one path, as in Linux (MAXSYMLINKS): more is a circle."""

STEP_LIMIT = 256
"""Names walked in one path, those in links included: deeper is no real tree, and each may cost a large directory."""

PATH_LIMIT = 4096
"""Bytes of a path or of a link's target (PATH_MAX)."""

DIRECTORIES_KEPT = 8
"""Listings that a reader keeps: what one path goes through."""


class NodeTree(ABC, Generic[Node]):
    """A FileTree over a file system's inodes; `what` names the file system in errors."""

    def __init__(self, root: Node, what: str) -> None:
        if root.kind != "directory":
            message = f"{what}: its root is no directory; the image is damaged"
            raise DataCorrupt(message)
        self._root = root

    def find(self, path: str) -> TreeEntry | None:
        """The entry that `path` leads to, named by its path without links; None where there is none."""
        found = self._follow(path)
        return self._entry(*found) if found else None

    def list(self, path: str) -> Iterator[TreeEntry]:
        """The entries of the directory that `path` leads to, links not followed, sorted by name."""
        found = self._follow(path)
        if found and found[1].kind == "directory":
            for name in sorted(self._names(found[1])):
                child = self._child(found[1], name)
                if child is not None:
                    yield self._entry(f"{found[0].rstrip('/')}/{name}", child)

    def open(self, path: str) -> ByteSource:
        """The file's content; raises DataCorrupt where `path` leads to no file."""
        found = self._follow(path)
        if not found or found[1].kind != "file":
            message = f"{path}: is no file in this file system; the image isn't what it's taken for"
            raise DataCorrupt(message)
        return self._content(*found)

    def _entry(self, path: str, node: Node) -> TreeEntry:
        return TreeEntry(path, node.kind, node.size if node.kind == "file" else 0, node.mode)

    @abstractmethod
    def _names(self, directory: Node) -> Iterable[str]:
        """The names in a directory, without "." and ".."."""

    @abstractmethod
    def _child(self, directory: Node, name: str) -> Node | None:
        """The node of that name in a directory, links not followed."""

    @abstractmethod
    def _link_target(self, link: Node) -> str:
        """Where a symbolic link points."""

    @abstractmethod
    def _content(self, path: str, file: Node) -> ByteSource:
        """A file's bytes; `path` is for errors."""

    def _follow(self, path: str) -> tuple[str, Node] | None:
        """The path without links and the node at its end; "/" is where absolute links begin and ".." stops."""
        trail: list[tuple[str, Node]] = []
        pending, steps, links = deque(path.split("/")), 0, 0
        while pending:
            name = pending.popleft()
            here = trail[-1][1] if trail else self._root
            if here.kind != "directory":
                return None
            if name == "..":
                del trail[-1:]
            if name in ("", ".", ".."):
                continue
            node, steps = self._child(here, name), steps + 1
            if node is None or steps > STEP_LIMIT:
                return None
            if node.kind != "symlink":
                trail.append((name, node))
                continue
            target, links = self._link_target(node), links + 1
            if links > LINK_LIMIT or not target:
                return None
            pending.extendleft(reversed(target.split("/")))
            trail = [] if target.startswith("/") else trail
        return "/" + "/".join(name for name, _ in trail), trail[-1][1] if trail else self._root


def decode_name(name: bytes) -> str:
    """A file name as text that can always be printed: bytes that aren't UTF-8 become \\xNN."""
    return name.decode("utf-8", "backslashreplace")


class Recent(Generic[Key, Value]):
    """The last `count` values that were made, by their key."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key, make: Callable[[Key], Value]) -> Value:
        """The value of `key`, made now if it isn't among the last ones."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = make(key)
        self._values[key] = value
        if len(self._values) > self._count:
            self._values.popitem(last=False)
        return value


def check_name(name: bytes) -> None:
    """Raise DataCorrupt for what can't be one file's name."""
    if not name or b"/" in name or b"\0" in name or name in (b".", b".."):
        message = f"a file has the name {name!r}, which no file can have; the file system is damaged"
        raise DataCorrupt(message)
