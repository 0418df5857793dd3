"""Finds the live root file system on a client ISO: an ext image within a squashfs, or either of them alone.

Layouts as dracut's dmsquash-live takes them (dracut.cmdline(7), rd.live.dir); names are matched by the volume, which
ignores case where it has to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from failback.errors import DataCorrupt, NoLiveImage, UnknownCompression
from failback.image.ext4 import Ext4
from failback.image.squashfs import Squashfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from failback.image.source import ByteSource
    from failback.image.tree import FileTree

Layout = Literal["squashfs+ext4", "squashfs", "ext4"]

_SQUASHFS = "squashfs.img"
_ROOT_IMAGES = ("rootfs.img", "ext3fs.img")
_ROOT_MARKS = ("/proc", "/usr", "/etc")
"""One of these directories makes a squashfs a root file system by itself (dracut looks for /proc)."""
_DIRECTORIES_TRIED = 64  # an ISO has a dozen
_NAMES_SHOWN = 12


class VolumeFile(Protocol):
    """A file or directory of the ISO."""

    @property
    def path(self) -> str:
        """Absolute within the ISO, as it's spelt there."""
        ...

    @property
    def is_directory(self) -> bool:
        """Whether it holds files instead of bytes."""
        ...


File = TypeVar("File", bound=VolumeFile)
Tree = TypeVar("Tree", bound="FileTree")


class Volume(Protocol[File]):
    """What is needed of the ISO: failback.image.iso.IsoVolume."""

    def find(self, path: str) -> File | None:
        """The file or directory that `path` leads to."""
        ...

    def list(self, path: str) -> Sequence[File]:
        """The files and directories in a directory."""
        ...

    def open_file(self, file: File) -> ByteSource:
        """A file's content with random access."""
        ...


@dataclass(frozen=True, slots=True)
class LiveRoot:
    """The root file system that the ISO boots into.

    `path` is the image on the ISO, `inner` the ext image within that (empty where there's none), `size` the root file
    system's length in bytes, holes included.
    """

    path: str
    layout: Layout
    tree: FileTree
    size: int
    inner: str = ""


def open_live(volume: Volume[File], *, live_dir: str = "LiveOS") -> LiveRoot:
    """Open the live root; `live_dir` is what rd.live.dir names. Raises NoLiveImage where there's none.

    An image that's there but can't be read raises DataCorrupt or UnknownCompression, with its path.
    """
    for directory in _directories(volume, live_dir):
        if file := _find_file(volume, f"{directory}/{_SQUASHFS}"):
            return _open_squashfs(file.path, volume.open_file(file))
        for name in _ROOT_IMAGES:
            if file := _find_file(volume, f"{directory}/{name}"):
                source = volume.open_file(file)
                return LiveRoot(file.path, "ext4", _opened(Ext4, source, file.path), source.size)
    raise _no_image(volume, live_dir)


def _directories(volume: Volume[File], live_dir: str) -> Iterator[str]:
    yield "/" + live_dir.strip("/")
    for file in volume.list("/")[:_DIRECTORIES_TRIED]:
        if file.is_directory:
            yield file.path


def _find_file(volume: Volume[File], path: str) -> File | None:
    file = volume.find(path)
    return None if file is None or file.is_directory else file


def _open_squashfs(path: str, source: ByteSource) -> LiveRoot:
    outer = _opened(Squashfs, source, path)
    for inner in (f"/LiveOS/{name}" for name in _ROOT_IMAGES):
        entry = outer.find(inner)
        if entry is not None and entry.kind == "file":
            tree = _opened(Ext4, outer.open(inner), f"{path}:{inner}")
            return LiveRoot(path, "squashfs+ext4", tree, entry.size, inner)
    if any((entry := outer.find(mark)) and entry.kind == "directory" for mark in _ROOT_MARKS):
        return LiveRoot(path, "squashfs", outer, source.size)
    message = (
        f"{path}: holds neither LiveOS/rootfs.img nor LiveOS/ext3fs.img, nor is it a root file system itself; "
        f"its root holds {_names(entry.path for entry in outer.list('/'))}. This isn't a live image that is known"
    )
    raise NoLiveImage(message)


def _opened(kind: Callable[[ByteSource], Tree], source: ByteSource, path: str) -> Tree:
    try:
        return kind(source)
    except (DataCorrupt, UnknownCompression) as error:
        message = f"{path}: {error}"
        raise type(error)(message) from error


def _no_image(volume: Volume[File], live_dir: str) -> NoLiveImage:
    directory = volume.find("/" + live_dir.strip("/"))
    shown = directory.path if directory is not None and directory.is_directory else "/"
    held = _names(file.path for file in volume.list(shown))
    return NoLiveImage(
        f"the ISO has no live file system: {live_dir} and the other directories were searched for "
        f"{_SQUASHFS}, {' and '.join(_ROOT_IMAGES)}; {shown} holds {held}. "
        "It's probably not the failback client's ISO, or one laid out in a new way"
    )


def _names(paths: Iterator[str]) -> str:
    names = [path.rsplit("/", 1)[-1] for path in paths]
    shown = ", ".join(names[:_NAMES_SHOWN])
    return (shown + (", ..." if len(names) > _NAMES_SHOWN else "")) or "nothing"
