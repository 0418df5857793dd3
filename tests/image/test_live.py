"""Where on an ISO the live root file system lies: every known layout, and what's said when there's none."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from failback.errors import DataCorrupt, NoLiveImage, UnknownCompression
from failback.image.iso import IsoVolume
from failback.image.live import open_live
from failback.image.source import ByteSource, BytesSource, FileSource

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Spelt:
    path: str
    is_directory: bool


class FolderVolume:
    """A folder as an ISO that ignores case, as one without Rock Ridge does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, path: str) -> Spelt | None:
        found = [each for each in [self._folder, *self._folder.rglob("*")] if self._path(each).lower() == path.lower()]
        return Spelt(self._path(found[0]), found[0].is_dir()) if found else None

    def list(self, path: str) -> list[Spelt]:
        children = sorted((self._folder / path.strip("/")).iterdir())
        return [Spelt(self._path(each), each.is_dir()) for each in children]

    def open_file(self, file: Spelt) -> ByteSource:
        return BytesSource((self._folder / file.path.strip("/")).read_bytes())

    def _path(self, path: Path) -> str:
        return "/" if path == self._folder else f"/{path.relative_to(self._folder)}"


def run(*command: str | Path) -> None:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} isn't installed")
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def squash(content: Path, image: Path, codec: str = "gzip") -> None:
    image.parent.mkdir(parents=True, exist_ok=True)
    run("mksquashfs", content, image, "-noappend", "-comp", codec)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    (folder / "etc").mkdir()
    (folder / "etc" / "os-release").write_text("ID=amzn\n")
    return folder


@pytest.fixture(scope="module")
def ext_image(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("ext") / "rootfs.img"
    run("mke2fs", "-q", "-t", "ext4", "-d", root, image, "2M")
    return image


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    (tmp_path / "disc" / "isolinux").mkdir(parents=True)
    return tmp_path / "disc"


def wrap(ext_image: Path, folder: Path, name: str) -> Path:
    inner = folder / "inner"
    (inner / "LiveOS").mkdir(parents=True)
    shutil.copy(ext_image, inner / "LiveOS" / name)
    return inner


@pytest.mark.parametrize("name", ["rootfs.img", "ext3fs.img"])
@pytest.mark.parametrize("place", ["LiveOS/squashfs.img", "LIVEOS/SQUASHFS.IMG", "other/squashfs.img"])
def test_an_ext_image_within_a_squashfs(disc: Path, tmp_path: Path, ext_image: Path, name: str, place: str) -> None:
    squash(wrap(ext_image, tmp_path, name), disc / place)
    live = open_live(FolderVolume(disc))
    assert (live.path, live.layout, live.inner) == (f"/{place}", "squashfs+ext4", f"/LiveOS/{name}")
    assert live.size == ext_image.stat().st_size
    assert live.tree.open("/etc/os-release").read(0, 8) == b"ID=amzn\n"


def test_a_squashfs_that_is_the_root(disc: Path, root: Path) -> None:
    squash(root, disc / "LiveOS" / "squashfs.img")
    live = open_live(FolderVolume(disc))
    assert (live.path, live.layout, live.inner) == ("/LiveOS/squashfs.img", "squashfs", "")
    assert live.size == (disc / "LiveOS" / "squashfs.img").stat().st_size
    assert live.tree.open("/etc/os-release").read(0, 8) == b"ID=amzn\n"


@pytest.mark.parametrize("name", ["rootfs.img", "ext3fs.img", "RootFS.img"])
def test_a_bare_ext_image(disc: Path, ext_image: Path, name: str) -> None:
    (disc / "LiveOS").mkdir()
    shutil.copy(ext_image, disc / "LiveOS" / name)
    live = open_live(FolderVolume(disc))
    assert (live.path, live.layout, live.size) == (f"/LiveOS/{name}", "ext4", ext_image.stat().st_size)
    assert live.tree.find("/etc/os-release") is not None


def test_the_directory_that_the_boot_arguments_name_comes_first(disc: Path, root: Path) -> None:
    squash(root, disc / "LiveOS" / "squashfs.img")
    squash(root, disc / "images" / "live" / "squashfs.img")
    assert open_live(FolderVolume(disc), live_dir="/images/live/").path == "/images/live/squashfs.img"


def test_on_a_real_iso(disc: Path, tmp_path: Path, ext_image: Path) -> None:
    squash(wrap(ext_image, tmp_path, "rootfs.img"), disc / "LiveOS" / "squashfs.img")
    iso = tmp_path / "client.iso"
    run("xorriso", "-as", "mkisofs", "-quiet", "-V", "DRSFAILBACK", "-o", iso, disc)
    with FileSource(iso) as source:
        live = open_live(IsoVolume.open(source))
        assert live.path.lower() == "/liveos/squashfs.img"
        assert live.tree.open("/etc/os-release").read(0, 8) == b"ID=amzn\n"


def test_no_image_says_what_was_looked_for_and_what_is_there(disc: Path) -> None:
    (disc / "LiveOS").mkdir()
    (disc / "LiveOS" / "livecd-iso-to-disk").touch()
    with pytest.raises(
        NoLiveImage, match=r"squashfs\.img, rootfs\.img and ext3fs\.img.*LiveOS holds livecd-iso-to-disk"
    ):
        open_live(FolderVolume(disc))


def test_no_directory_says_what_the_iso_holds(disc: Path) -> None:
    with pytest.raises(NoLiveImage, match="/ holds isolinux"):
        open_live(FolderVolume(disc))


def test_a_squashfs_with_something_else(disc: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "readme").touch()
    squash(tmp_path / "else", disc / "LiveOS" / "squashfs.img")
    with pytest.raises(NoLiveImage, match=r"/LiveOS/squashfs\.img: holds neither .* its root holds readme"):
        open_live(FolderVolume(disc))


def test_unreadable_images_are_named(disc: Path, tmp_path: Path, root: Path) -> None:
    squash(root, disc / "LiveOS" / "squashfs.img", "lz4")
    with pytest.raises(UnknownCompression, match=r"/LiveOS/squashfs\.img: .*lz4"):
        open_live(FolderVolume(disc))
    (disc / "LiveOS" / "squashfs.img").write_bytes(bytes(5000))
    with pytest.raises(DataCorrupt, match=r"/LiveOS/squashfs\.img: there's no squashfs"):
        open_live(FolderVolume(disc))
    (tmp_path / "not-ext").write_bytes(b"XFSB" + bytes(100_000))
    squash(wrap(tmp_path / "not-ext", tmp_path, "rootfs.img"), disc / "LiveOS" / "squashfs.img")
    with pytest.raises(DataCorrupt, match=r"squashfs\.img:/LiveOS/rootfs\.img: there's no ext2, ext3 or ext4"):
        open_live(FolderVolume(disc))
