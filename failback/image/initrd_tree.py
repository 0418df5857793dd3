"""The file tree that the kernel makes of an initrd's members, by its own rules (Linux kernel, init/initramfs.c).

Without these rules one would see files that the kernel never creates, and write through links that it would replace.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.errors import DataCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.image.cpio import CpioEntry

LINK_LIMIT = 40
"""Symbolic links followed for one path: the kernel's MAXSYMLINKS."""
STEP_LIMIT = 10_000_000
"""Parts of paths walked in all: 4,000 members of 8 parts are 32,000. Links chained on purpose could take hours."""


@dataclass(slots=True)
class InitrdNode:
    """A file, directory or link: its type and rights, size in bytes, and a link's target or a file's kept content."""

    mode: int
    size: int = 0
    content: bytes | None = None
    children: dict[str, InitrdNode] = field(default_factory=dict)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def target(self) -> str | None:
        """Where a symbolic link points; None for anything else."""
        if not stat.S_ISLNK(self.mode):
            return None
        return (self.content or b"").decode("utf-8", "surrogateescape")


class InitrdTree:
    """Grows by add(); paths are relative to its root, with or without a leading "/".

    Everything asked of it raises DataCorrupt once `steps` parts of paths have been walked.
    """

    def __init__(self, *, steps: int = STEP_LIMIT) -> None:
        self._root = InitrdNode(stat.S_IFDIR | 0o755)
        self._linked: dict[tuple[int, int, int], InitrdNode] = {}
        self._steps_left = steps

    def add(self, entry: CpioEntry) -> None:
        """Take one member as the kernel does: what it has no directory for is skipped, what is in its way replaced."""
        directory, _, name = entry.name.rstrip("/").rpartition("/")
        parent = self.find(directory)
        if name in ("", ".", "..") or parent is None or not parent.is_directory or not stat.S_IFMT(entry.mode):
            return
        there = parent.children.get(name)
        if there is not None and there.is_directory and (stat.S_ISDIR(entry.mode) or there.children):
            return
        parent.children[name] = self._node_of(entry)

    def end_archive(self) -> None:
        """Forget the hard links: their numbers mean something within one archive only."""
        self._linked.clear()

    def _node_of(self, entry: CpioEntry) -> InitrdNode:
        node = InitrdNode(entry.mode, entry.size, entry.content)
        if not node.is_file or entry.links < 2:
            return node
        # All names but one come without content: dracut hard-links equal files, GNU cpio stores the last one's.
        linked = self._linked.setdefault(entry.inode, node)
        if entry.size:
            linked.size, linked.content = entry.size, entry.content
        return linked

    def find(self, path: str) -> InitrdNode | None:
        """What `path` leads to, links followed; None where there's nothing or the links go in circles."""
        trail = self._walk(path)
        if trail is None:
            return None
        return trail[-1][1] if trail else self._root

    def resolve(self, path: str) -> str:
        """`path` with every link in it followed; what isn't there yet is kept as it is.

        Raises DataCorrupt where the links go in circles.
        """
        trail = self._walk(path)
        if trail is None:
            message = f"initrd: the symbolic links of {path} go in circles; nothing can be put there"
            raise DataCorrupt(message)
        return "/".join(name for name, _ in trail)

    def files_under(self, directory: str) -> Iterator[tuple[str, InitrdNode]]:
        """Paths and nodes of the files below `directory`; a link counts as the file it leads to, if it's one."""
        found = self.find(directory)
        waiting = [(directory, found)] if found else []
        while waiting:
            path, node = waiting.pop()
            if node.is_directory:
                waiting += [(f"{path}/{name}", child) for name, child in node.children.items()]
            elif (end := node if node.target is None else self.find(path)) and end.is_file:
                yield path, end

    def _walk(self, path: str) -> list[tuple[str, InitrdNode | None]] | None:
        """Each part of the resolved path with its node; None after too many links."""
        trail: list[tuple[str, InitrdNode | None]] = []
        waiting = path.split("/")[::-1]
        links = 0
        while waiting:
            self._count_step()
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del trail[-1:]
                continue
            parent = trail[-1][1] if trail else self._root
            node = parent.children.get(part) if parent else None
            target = node.target if node else None
            if target is None:
                trail.append((part, node))
                continue
            links += 1
            if links > LINK_LIMIT:
                return None
            if target.startswith("/"):
                trail.clear()
            waiting += target.split("/")[::-1]
        return trail

    def _count_step(self) -> None:
        self._steps_left -= 1
        if self._steps_left < 0:
            message = "initrd: its paths and links are deeper than any real one's; it's damaged or hostile"
            raise DataCorrupt(message)
