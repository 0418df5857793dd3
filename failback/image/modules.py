"""The kernel modules of a root file system: which there are, what they need, and their content.

Indexes as kmod's depmod writes them (modules.dep(5)); modules.softdep isn't followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.errors import DataCorrupt
from failback.image.compression import decompress, detect
from failback.image.initrd import module_name
from failback.image.text_files import read_text

if TYPE_CHECKING:
    from failback.image.tree import FileTree

_ELF_MAGIC = b"\x7fELF"
_MODULE_LIMIT = 64 << 20  # the largest in-tree modules (amdgpu) have 25 MiB
_INDEX_LIMIT = 4 << 20  # a full distribution kernel's modules.dep has 1 MiB


class ModuleTree:
    """The modules of one kernel version, by absolute path within the tree; none where there is no modules.dep."""

    def __init__(self, tree: FileTree, version: str) -> None:
        self._tree = tree
        self._directory = f"/lib/modules/{version}"
        self._needs = dict(map(_parse_line, self._index("modules.dep")))
        self._paths = {_name_in_index(path): path for path in self._needs}
        self._builtin = frozenset(map(_name_in_index, self._index("modules.builtin")))

    def find(self, name: str) -> str | None:
        """The path of a module's file; "-" and "_" are the same."""
        path = self._paths.get(module_name(name))
        return self._absolute(path) if path is not None else None

    def builtin(self, name: str) -> bool:
        """Whether the module is part of the kernel itself."""
        return module_name(name) in self._builtin

    def closure(self, name: str) -> tuple[str, ...]:
        """The paths of a module and all it needs, in load order; empty where there's no such module."""
        start = self._paths.get(module_name(name))
        order: dict[str, None] = {}
        entered: set[str] = set()
        pending = [(start, False)] if start is not None else []
        # What a module needs is loaded from the last to the first, as modprobe does; the stack hands it out that way.
        while pending:
            path, needs_are_done = pending.pop()
            if needs_are_done:
                order[path] = None
            elif path not in entered:
                entered.add(path)
                pending.append((path, True))
                pending.extend((need, False) for need in self._needs.get(path, "").split())
        return tuple(map(self._absolute, order))

    def read(self, path: str) -> bytes:
        """A module's unpacked ELF file; raises DataCorrupt where it's none, is damaged or too large."""
        source = self._tree.open(path)
        if source.size > _MODULE_LIMIT:
            message = (
                f"{path}: has {source.size} bytes where a module has at most {_MODULE_LIMIT}; the image is damaged"
            )
            raise DataCorrupt(message)
        data = source.read(0, source.size)
        codec = None if data.startswith(_ELF_MAGIC) else detect(data[:16])
        if codec is not None:
            data = decompress(data, codec, what=path, limit=_MODULE_LIMIT)
        if not data.startswith(_ELF_MAGIC):
            message = f"{path}: is no kernel module (ELF) once unpacked; the image is damaged"
            raise DataCorrupt(message)
        return data

    def _index(self, name: str) -> list[str]:
        return read_text(self._tree, f"{self._directory}/{name}", limit=_INDEX_LIMIT).splitlines()

    def _absolute(self, path: str) -> str:
        return path if path.startswith("/") else f"{self._directory}/{path}"


def _parse_line(line: str) -> tuple[str, str]:
    path, _, needs = line.partition(":")
    return path, needs


def _name_in_index(path: str) -> str:
    # What module_name() does, without its checks: thousands of lines have to take milliseconds.
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")
