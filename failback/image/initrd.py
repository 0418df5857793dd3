"""What the client's initrd offers: kernel modules, dracut's live module and hook directory, commands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from failback.image.initrd_segments import BUILTIN_LIST, Unpacking, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from failback.image.initrd_tree import InitrdTree
    from failback.image.source import ByteSource

_MODULE_FILE = re.compile(r"(.+)\.ko(\.gz|\.xz|\.zst)?")
_MODULE_ROOT = "lib/modules"
_FILE_SYSTEM_MODULES = {"iso9660": "isofs"}
_COMMAND_DIRECTORIES = ("usr/sbin", "usr/bin", "sbin", "bin")
# Newer dracut looks into var/lib first; what has no var/lib has only the other, sometimes as a link.
_HOOK_DIRECTORIES = ("var/lib/dracut/hooks", "lib/dracut/hooks", "usr/lib/dracut/hooks")
_LIVE_PROGRAM = "dmsquash-live-root"


@dataclass(frozen=True, slots=True)
class Initrd:
    """An initrd as the kernel would have unpacked it; paths are relative to its root.

    `segments` says how each was packed ("cpio" for not at all); `modules` and `builtin` list module names (see
    module_name()) per kernel version, the latter those that the kernel has within itself.
    """

    segments: tuple[str, ...]
    kernel_versions: tuple[str, ...]
    modules: Mapping[str, frozenset[str]]
    builtin: Mapping[str, frozenset[str]]
    tree: InitrdTree = field(repr=False, compare=False)

    def has(self, path: str) -> bool:
        """Something is there, links followed."""
        return self.tree.find(path) is not None

    def resolve(self, path: str) -> str:
        """Where `path` leads after every link, so that a file added there replaces none; DataCorrupt for circles."""
        return self.tree.resolve(path)

    @property
    def hook_directory(self) -> str | None:
        """Dracut's directory of hooks, resolved ("usr/lib/dracut/hooks"); None in an initrd that dracut didn't make."""
        for path in _HOOK_DIRECTORIES:
            node = self.tree.find(path)
            if node is not None and node.is_directory:
                return self.resolve(path)
        return None

    @property
    def dracut_live(self) -> bool:
        """Dracut's dmsquash-live module is there, so that the kernel argument root=live:... is understood."""
        return not self.missing_commands([_LIVE_PROGRAM])

    def missing_commands(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that no directory of commands has as an executable file."""
        return tuple(name for name in names if not self._has_command(name))

    def _has_command(self, name: str) -> bool:
        nodes = (self.tree.find(f"{directory}/{name}") for directory in _COMMAND_DIRECTORIES)
        return any(node is not None and node.is_file and node.mode & 0o111 for node in nodes)

    def has_module(self, name: str, kernel: str) -> bool:
        """The kernel of that version finds the module here, as a file or within itself; "iso9660" means isofs."""
        wanted = module_name(_FILE_SYSTEM_MODULES.get(name, name))
        return wanted in self.modules.get(kernel, ()) or wanted in self.builtin.get(kernel, ())


def module_name(path: str) -> str:
    """The kernel's name of a module given by file or by name: "kernel/fs/dm-mod.ko.xz" and "dm-mod" are "dm_mod"."""
    name = PurePosixPath(path).name
    file = _MODULE_FILE.fullmatch(name)
    return (file[1] if file else name).replace("-", "_")


def read_initrd(sources: Sequence[ByteSource]) -> Initrd:
    """Look through the initrd files that a boot entry names, in order, without holding their contents.

    Raises DataCorrupt where they're cut off or damaged, so that the kernel wouldn't reach what comes after, and
    UnknownCompression for lz4, lzo and what isn't known at all.
    """
    unpacking = Unpacking()
    for number, source in enumerate(sources, start=1):
        unpack(source, unpacking, what="initrd" if len(sources) == 1 else f"initrd {number} of {len(sources)}")
    tree = unpacking.tree
    root = tree.find(_MODULE_ROOT)
    versions = sorted(name for name, node in root.children.items() if node.is_directory) if root else []
    return Initrd(
        segments=tuple(unpacking.segments),
        kernel_versions=tuple(versions),
        modules={version: _module_files(tree, version) for version in versions},
        builtin={version: _builtin_modules(tree, version) for version in versions},
        tree=tree,
    )


def _module_files(tree: InitrdTree, version: str) -> frozenset[str]:
    files = (path for path, _ in tree.files_under(f"{_MODULE_ROOT}/{version}"))
    return frozenset(module_name(path) for path in files if _MODULE_FILE.fullmatch(path))


def _builtin_modules(tree: InitrdTree, version: str) -> frozenset[str]:
    listed = tree.find(f"{_MODULE_ROOT}/{version}/{BUILTIN_LIST}")
    content = (listed.content if listed else None) or b""
    return frozenset(module_name(line) for line in content.decode("utf-8", "replace").splitlines())
