"""Small text files of a tree that may be hostile: read up to a limit, and shown without control characters."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.image.tree import FileTree, TreeEntry

TEXT_LIMIT = 256 << 10
"""Bytes read of a script or of a file of settings: twenty times the client's start script."""
_SHOWN_LIMIT = 200
_LISTED_LIMIT = 5000
"""Names looked at in one directory; /usr/bin of a full server has 2,000."""


def read_text(tree: FileTree, path: str, *, limit: int = TEXT_LIMIT) -> str:
    """The file's first `limit` bytes as text; empty where `path` leads to no file. Raises DataCorrupt when damaged."""
    entry = tree.find(path)
    if entry is None or entry.kind != "file":
        return ""
    return tree.open(entry.path).read(0, min(entry.size, limit)).decode("utf-8", "backslashreplace")


def active_lines(text: str, *, comment: str = "#") -> Iterator[str]:
    """Lines that say something, stripped; those that end in a backslash joined with the next."""
    for line in text.replace("\\\n", " ").splitlines():
        stripped = line.strip()
        if stripped and stripped[0] not in comment:
            yield stripped


def matching(tree: FileTree, directory: str, pattern: str) -> Iterator[TreeEntry]:
    """The entries of a directory whose names match a shell pattern, among the first thousands."""
    for count, entry in enumerate(tree.list(directory)):
        if count >= _LISTED_LIMIT:
            return
        if fnmatch.fnmatchcase(entry.path.rsplit("/", 1)[-1], pattern):
            yield entry


def shown(text: str) -> str:
    """Text fit for a terminal and a report: printable characters only, and not too many of them."""
    return "".join(char if char.isprintable() else "?" for char in text[:_SHOWN_LIMIT])
