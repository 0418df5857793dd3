"""What tests of hostile images share: walk a tree whole, change bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failback.image.tree import FileTree

READ_OF_EACH = 200_000


def read_everything(tree: FileTree, path: str = "/", depth: int = 0) -> int:
    """How many entries there are; reads some of each file. A hostile tree's circles end at a depth."""
    count = 0
    for entry in tree.list(path):
        count += 1
        tree.find(entry.path)
        if entry.kind == "directory" and depth < 5 and count < 100:
            count += read_everything(tree, entry.path, depth + 1)
        elif entry.kind == "file":
            source = tree.open(entry.path)
            source.read(0, min(source.size, READ_OF_EACH))
            source.read(max(0, source.size - 1), min(1, source.size))
    return count


def patched(image: bytes, at: int, value: bytes) -> bytes:
    """The image with other bytes at one place."""
    return image[:at] + value + image[at + len(value) :]
