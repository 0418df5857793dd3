"""A read-only file tree inside an image: what squashfs and ext4 readers offer, and what inspection asks of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.image.source import ByteSource

EntryKind = Literal["file", "directory", "symlink", "other"]


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One name in a directory; `size` in bytes, 0 for anything but a file."""

    path: str
    kind: EntryKind
    size: int
    mode: int


class FileTree(Protocol):
    """Paths are absolute within the tree ("/usr/bin/sh"); links are followed inside the tree, never outside."""

    def find(self, path: str) -> TreeEntry | None:
        """The entry that `path` leads to, links followed; None where there is none or the links go in circles."""
        ...

    def list(self, path: str) -> Iterator[TreeEntry]:
        """The entries of a directory, links not followed, sorted by name; nothing where `path` is no directory."""
        ...

    def open(self, path: str) -> ByteSource:
        """The file's content with random access; raises DataCorrupt where `path` leads to no file."""
        ...
