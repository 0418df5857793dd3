"""What the client's initrd offers: kernel modules, dracut's live module and hook directory, commands.

An initrd is a row of segments, plain or compressed, that the kernel unpacks one over the other (Linux kernel,
Documentation/driver-api/early-userspace/buffer-format.rst); several initrd files are loaded as one row.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from failback.errors import DataCorrupt, UnknownCompression
from failback.image.compression import decompressor, detect
from failback.image.cpio import CpioBudget, CpioEntry, CpioReader
from failback.image.initrd_tree import InitrdTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from failback.image.compression import Codec
    from failback.image.source import ByteSource

UNPACKED_LIMIT = 1 << 30
"""Bytes that compressed segments may unpack to in all: generic ones take 100 to 200 MiB, the client's 4 GB machine holds
them in memory beside everything else."""
SEGMENT_LIMIT = 64
"""Segments of all files: microcode, the system, an appended file or two. Without a bound, millions of empty ones fit."""

_PIECE = 1 << 18
_HEAD = 13  # what detect() wants to see
_ALIGN = 4
_PADDING = re.compile(rb"\0*")
_MODULE = re.compile(r"(.+)\.ko(\.gz|\.xz|\.zst)?")
_COMMAND_DIRECTORIES = ("usr/sbin", "usr/bin", "sbin", "bin")
# Newer dracut reads its hooks from var/lib first; older releases have only lib, sometimes as a link.
_HOOK_DIRECTORIES = ("var/lib/dracut/hooks", "lib/dracut/hooks", "usr/lib/dracut/hooks")
_LIVE_PROGRAM = "sbin/dmsquash-live-root"
_BUILTIN_LIST = "modules.builtin"
_FILE_SYSTEM_MODULES = {"iso9660": "isofs"}


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
        return not self.missing_commands([PurePosixPath(_LIVE_PROGRAM).name])

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
    file = _MODULE.fullmatch(name)
    return (file[1] if file else name).replace("-", "_")


def read_initrd(sources: Sequence[ByteSource]) -> Initrd:
    """Look through the initrd files that a boot entry names, in order, without holding their contents.

    Raises DataCorrupt where they're cut off or damaged, so that the kernel wouldn't reach what comes after, and
    UnknownCompression for lz4, lzo and what isn't known at all.
    """
    unpacking = _Unpacking()
    for number, source in enumerate(sources, start=1):
        what = "initrd" if len(sources) == 1 else f"initrd {number} of {len(sources)}"
        _SegmentReader(source, what, unpacking).read()
    return _described(unpacking.tree, unpacking.segments)


def _described(tree: InitrdTree, segments: Sequence[str]) -> Initrd:
    root = tree.find("lib/modules")
    children = root.children if root else {}
    versions = tuple(sorted(name for name, node in children.items() if node.is_directory))
    modules: dict[str, frozenset[str]] = {}
    builtin: dict[str, frozenset[str]] = {}
    for version in versions:
        files = [path for path, _ in tree.files_under(f"lib/modules/{version}")]
        modules[version] = frozenset(module_name(path) for path in files if _MODULE.fullmatch(path))
        listed = tree.find(f"lib/modules/{version}/{_BUILTIN_LIST}")
        content = listed.content if listed else None
        builtin[version] = frozenset(module_name(line) for line in (content or b"").decode("utf-8", "replace").split())
    return Initrd(tuple(segments), versions, modules, builtin, tree)


@dataclass(slots=True)
class _Unpacking:
    """What all segments share."""

    tree: InitrdTree = field(default_factory=InitrdTree)
    segments: list[str] = field(default_factory=list)
    budget: CpioBudget = field(default_factory=CpioBudget)
    unpacked: int = 0

    def reader(self, what: str) -> CpioReader:
        return CpioReader(_is_needed, what=what, budget=self.budget)


def _is_needed(entry: CpioEntry) -> bool:
    listed = stat.S_ISREG(entry.mode) and PurePosixPath(entry.name).name == _BUILTIN_LIST
    return listed or stat.S_ISLNK(entry.mode)


class _SegmentReader:
    """One file's segments, one after the other."""

    def __init__(self, source: ByteSource, what: str, unpacking: _Unpacking) -> None:
        self._source, self._what, self._unpacking = source, what, unpacking
        self._at = 0

    def read(self) -> None:
        while self._skip_padding():
            self._unpacking.budget.members -= 1
            if len(self._unpacking.segments) == SEGMENT_LIMIT:
                message = f"{self._what}: has more than {SEGMENT_LIMIT} segments; it's damaged or hostile"
                raise DataCorrupt(message)
            head = self._source.read(self._at, min(_HEAD, self._source.size - self._at))
            if head[:1] == b"0":
                self._read_plain()
            else:
                self._read_compressed(self._codec(head))

    def _skip_padding(self) -> bool:
        """Go to the next byte that isn't zero; False at the end."""
        while piece := self._piece():
            self._at += len(piece)
            if rest := piece.lstrip(b"\0"):
                self._at -= len(rest)
                return True
        return False

    def _piece(self) -> bytes:
        return self._source.read(self._at, min(_PIECE, self._source.size - self._at))

    def _codec(self, head: bytes) -> Codec:
        codec = detect(head)
        if codec is None:
            message = (
                f"{self._what}: at byte {self._at} something begins ({head[:8].hex(' ')}) that is no cpio archive and "
                "compressed in no known way (gzip, xz, lzma, bzip2, zstd). The file is damaged or of another kind"
            )
            raise UnknownCompression(message)
        return codec

    def _read_plain(self) -> None:
        archives = _Archives(self._what, self._unpacking, start=self._at)
        self._unpacking.segments.append("cpio")
        while not archives.ended:
            piece = self._piece()
            if not piece:
                break
            self._at += archives.feed_one(piece)
        archives.finish()

    def _read_compressed(self, codec: Codec) -> None:
        stream = decompressor(codec, what=self._what)
        archives = _Archives(self._what, self._unpacking)
        self._unpacking.segments.append(codec)
        while not stream.finished:
            piece = self._piece() if stream.needs_input else b""
            if stream.needs_input and not piece:
                message = f"{self._what}: its {codec} data ends too early; the file is cut off. Fetch it again"
                raise DataCorrupt(message)
            self._at += len(piece)
            archives.feed(self._counted(stream.feed(piece)))
        archives.finish()
        self._at -= len(stream.unused)

    def _counted(self, output: bytes) -> bytes:
        self._unpacking.unpacked += len(output)
        if self._unpacking.unpacked > UNPACKED_LIMIT:
            message = f"{self._what}: unpacks to more than {UNPACKED_LIMIT >> 20} MiB; it's damaged or hostile"
            raise DataCorrupt(message)
        return output


class _Archives:
    """Archives that follow each other within one stream, with zero padding between them; their members go to the tree."""

    def __init__(self, what: str, unpacking: _Unpacking, *, start: int = 0) -> None:
        self._what, self._unpacking, self._at = what, unpacking, start
        self._reader: CpioReader | None = None

    @property
    def ended(self) -> bool:
        """The last archive is complete, and no further one has begun."""
        return self._reader is not None and self._reader.ended

    def feed(self, data: bytes) -> None:
        view = memoryview(data)
        used = 0
        while used < len(data):
            if self._reader is None or self._reader.ended:
                padding = _PADDING.match(data, used)
"""PLACEHOLDER"""
