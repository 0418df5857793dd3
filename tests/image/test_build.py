"""From an ISO to a checked disk, and every way in which an ISO is refused: one error, no file left behind."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
from typing import TYPE_CHECKING

import pytest

from failback.errors import (
    AgentToolsMissing,
    BootFileMissing,
    ClientStartUnknown,
    ClientUnsuitable,
    DataCorrupt,
    DriverMissing,
    HashMismatch,
    ImageError,
    InitrdUnsuitable,
    IsoTruncated,
    NoLiveImage,
    NotAnIso,
    OutputRefused,
    UnknownCompression,
)
from failback.image.build import build_image
from failback.image.compose import BuildOptions
from failback.image.fat_read import read_fat
from failback.image.gpt import read_partitions
from failback.image.layout import ISO_OFFSET
from failback.image.plan import MIB
from failback.image.source import FileSource, SourceSlice
from tests.client_iso import DEPENDENCIES, DRIVERS, ISOLINUX, KERNEL, NETWORK, ClientIso, bzimage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from failback.image.grub import GrubImages
    from failback.model.image import BuiltImage, ImageFormat


def quiet(_work: str, _total: int) -> Callable[[int], None]:
    return lambda _count: None


@pytest.fixture
def build(tmp_path: Path, grub: GrubImages) -> Callable[..., BuiltImage]:
    """Build an ISO to `tmp_path`/out, with options by name."""

    def run(iso: Path, image_format: ImageFormat = "raw", sha512: str = "", **options: object) -> BuiltImage:
        return build_image(
            iso,
            tmp_path / "out",
            image_format=image_format,
            grub=grub,
            options=BuildOptions(**options),  # type: ignore[arg-type]
            sha512=sha512,
            progress=quiet,
        )

    return run


def written(path: Path) -> dict[int, bytes]:
    """The parts of a sparse file that aren't holes, by their offsets; a file's last sector stands for itself."""
    parts: dict[int, bytes] = {}
    with path.open("rb") as disk:
        size = disk.seek(0, os.SEEK_END)
        tail = size - size % MIB
        position = 0
        while position < tail:
            try:
                start = os.lseek(disk.fileno(), position, os.SEEK_DATA)
            except OSError:
                break
            position = min(os.lseek(disk.fileno(), start, os.SEEK_HOLE), tail)
            parts[start] = os.pread(disk.fileno(), position - start, start)
        if size > tail:
            parts[tail] = os.pread(disk.fileno(), size - tail, tail)
    return parts


def system_files(disk: Path) -> dict[str, bytes]:
    with FileSource(disk) as source:
        partition = read_partitions(source)[1]
        return read_fat(SourceSlice(source, partition.offset, partition.size)).files()


def test_raw_and_vhd_hold_the_same_disk(tmp_path: Path, whole_iso: Path, build: Callable[..., BuiltImage]) -> None:
    raw = build(whole_iso)
    (tmp_path / "out").rename(tmp_path / "raw")
    vhd = build(whole_iso, "vhd")
    one, other = written(tmp_path / "raw"), written(tmp_path / "out")
    footer = other.pop(vhd.disk_size)
    assert other == one
    assert len(footer) == 512
    assert (tmp_path / "raw").stat().st_size == raw.disk_size == vhd.disk_size
    with FileSource(tmp_path / "raw") as disk:
        assert disk.read(ISO_OFFSET, whole_iso.stat().st_size) == whole_iso.read_bytes()
    assert all("choose machines that do without" in warning for warning in raw.warnings)
    assert raw.kernel_version == KERNEL


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, whole_iso: Path, build: Callable[..., BuiltImage]) -> None:
    build(whole_iso)
    first = written(tmp_path / "out")
    copy = tmp_path / "a copy.iso"
    copy.write_bytes(whole_iso.read_bytes())
    build(copy)
    assert written(tmp_path / "out") == first


def test_what_grub_is_told(tmp_path: Path, whole_iso: Path, build: Callable[..., BuiltImage]) -> None:
    build(whole_iso, to_ram=True)
    files = system_files(tmp_path / "out")
    config = files["grub/grub.cfg"].decode()
    assert (
        "linux ($iso)'/isolinux/vmlinuz' 'root=live:CDLABEL=DRSFAILBACK' 'rootfstype=auto' 'ro' 'rd.live.image'"
        in config
    )
    assert "'rd.live.overlay.size=2048' 'rd.live.ram=1' 'console=tty0' 'console=ttyS0,115200n8'\n" in config
    assert "initrd ($iso)'/isolinux/initrd.img' ($root)/live/agent.img\n" in config
    assert "quiet" not in config
    assert "rhgb" not in config
    manifest = json.loads(files["drs-failback.json"])
    assert manifest["iso"]["label"] == "DRSFAILBACK"
    assert manifest["kernel"] == KERNEL


def test_selinux_is_made_permissive(tmp_path: Path, build: Callable[..., BuiltImage]) -> None:
    build(ClientIso(selinux="enforcing").write(tmp_path / "iso"))
    assert b"'enforcing=0'" in system_files(tmp_path / "out")["grub/grub.cfg"]


def test_a_driver_that_only_the_root_has_is_taken_along(tmp_path: Path, build: Callable[..., BuiltImage]) -> None:
    lacking = {"squashfs", "hv_storvsc", "hv_vmbus", "dm-snapshot"}
    iso = ClientIso(drivers=tuple(name for name in DRIVERS if name not in lacking)).write(tmp_path / "iso")
    built = build(iso)
    names = [path.rpartition("/")[2].removesuffix(".ko") for path in built.injected]
    assert lacking <= set(names)
    for name, needed in DEPENDENCIES.items():
        if name in names:
            assert all(names.index(each) < names.index(name) for each in needed)
    agent = system_files(tmp_path / "out")["live/agent.img"]
    assert b"\x7fELFsquashfs" in agent
    assert b"pre-udev/10-drs-failback.sh" in agent


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "early cpio, then gzip": lambda data: data.ljust(-(-len(data) // 512) * 512, b"\0") + gzip.compress(data),
}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED.keys())
def test_initrds_however_packed(
    tmp_path: Path, build: Callable[..., BuiltImage], pack: Callable[[bytes], bytes]
) -> None:
    assert build(ClientIso(pack=pack).write(tmp_path / "iso")).injected == ()


def without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in (*DRIVERS, *NETWORK) if name not in names)


REFUSED: dict[str, tuple[ClientIso, type[ImageError], str]] = {
    "no kernel": (ClientIso(without=("isolinux/vmlinuz",)), BootFileMissing, "vmlinuz"),
    "no initrd": (ClientIso(without=("isolinux/initrd.img",)), BootFileMissing, r"initrd\.img"),
    "no live image": (ClientIso(without=("LiveOS/squashfs.img",)), NoLiveImage, "squashfs"),
    "another live image": (ClientIso(files={"LiveOS/squashfs.img": b"nothing" * 999}), DataCorrupt, "LiveOS/squashfs"),
    "unknown compression": (ClientIso(pack=lambda data: b"\x89LZO" + data), UnknownCompression, "(?i)lzo"),
    "cut compression": (ClientIso(pack=lambda data: gzip.compress(data)[:-600]), ImageError, "cut"),
    "no driver anywhere": (
        ClientIso(drivers=without("hv_storvsc"), root_drivers=without("hv_storvsc")),
        DriverMissing,
        "azure: .*hv_storvsc",
    ),
    "no network driver": (ClientIso(root_drivers=without("virtio_net")), DriverMissing, "google: .*virtio_net"),
    "no start script": (ClientIso(start_script=""), ClientStartUnknown, "--client-start"),
    "no live module": (ClientIso(live_module=False), InitrdUnsuitable, "dmsquash-live"),
    "no mount in the initrd": (ClientIso(commands=("sh", "cp", "mkdir", "ln", "insmod")), InitrdUnsuitable, "mount"),
    "no curl in the root": (ClientIso(tools=("sh", "sed", "awk", "cat")), AgentToolsMissing, "curl"),
}


@pytest.mark.parametrize(("parts", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_an_iso_is_refused_by_name_and_nothing_is_left(
    tmp_path: Path, build: Callable[..., BuiltImage], parts: ClientIso, error: type[ImageError], message: str
) -> None:
    iso = parts.write(tmp_path / "iso")
    with pytest.raises(error, match=message):
        build(iso)
    assert [path.name for path in tmp_path.iterdir()] == ["iso"]


def test_a_fault_of_another_cloud_does_not_matter(tmp_path: Path, build: Callable[..., BuiltImage]) -> None:
    iso = ClientIso(drivers=without("hv_storvsc"), root_drivers=without("hv_storvsc")).write(tmp_path / "iso")
    assert build(iso, clouds=("google",)).clouds == ("google",)


def test_several_faults_come_as_one_list(tmp_path: Path, build: Callable[..., BuiltImage]) -> None:
    iso = ClientIso(start_script="", root_drivers=without("ena", "virtio_net")).write(tmp_path / "iso")
    with pytest.raises(ClientUnsuitable) as caught:
        build(iso)
    text = str(caught.value)
    assert text.startswith("3 faults")
    assert all(word in text for word in ("google", "aws", "--client-start"))


def test_another_kernel_of_the_iso_is_taken_where_the_first_lacks_a_driver(
    tmp_path: Path, build: Callable[..., BuiltImage]
) -> None:
    poor = ClientIso(drivers=("squashfs",), root_drivers=NETWORK)
    second = "label second\n  kernel other\n  append initrd=initrd2.img root=live:CDLABEL=DRSFAILBACK rd.live.image\n"
    files = {"isolinux/other": bzimage(), "isolinux/initrd2.img": ClientIso()._initrd()}
    iso = ClientIso(
        drivers=poor.drivers, root_drivers=poor.root_drivers, isolinux=ISOLINUX + second, files=files
    ).write(tmp_path / "iso")
    build(iso)
    assert b"'/isolinux/other'" in system_files(tmp_path / "out")["grub/grub.cfg"]


def test_a_kernel_without_an_efi_stub_is_warned_of(tmp_path: Path, build: Callable[..., BuiltImage]) -> None:
    built = build(ClientIso(kernel=bzimage(efi_stub=False)).write(tmp_path / "iso"))
    assert any("EFI stub" in warning for warning in built.warnings)


def test_the_hash_is_checked_first(tmp_path: Path, whole_iso: Path, build: Callable[..., BuiltImage]) -> None:
    digest = hashlib.sha512(whole_iso.read_bytes()).hexdigest()
    build(whole_iso, sha512=f" {digest.upper()}\n")
    (tmp_path / "out").unlink()
    with pytest.raises(HashMismatch, match="SHA-512 is"):
        build(whole_iso, sha512="0" * 128)
    with pytest.raises(HashMismatch, match="128 hexadecimal digits"):
        build(whole_iso, sha512="abc")
    assert not list(tmp_path.iterdir())


def test_what_is_no_iso(tmp_path: Path, build: Callable[..., BuiltImage]) -> None:
    for content in (b"", b"no ISO" * 20_000, bytes(100_000)):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(NotAnIso):
            build(tmp_path / "file")
    with pytest.raises(ImageError, match="can't be opened"):
        build(tmp_path / "absent")
    with pytest.raises(ImageError, match="no regular file"):
        build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_a_cut_iso_is_refused(tmp_path: Path, whole_iso: Path, build: Callable[..., BuiltImage], kept: float) -> None:
    content = whole_iso.read_bytes()
    (tmp_path / "cut").write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(IsoTruncated):
        build(tmp_path / "cut")
    assert [path.name for path in tmp_path.iterdir()] == ["cut"]


def test_the_iso_itself_is_never_written_to(tmp_path: Path, whole_iso: Path, build: Callable[..., BuiltImage]) -> None:
    (tmp_path / "out").symlink_to(whole_iso)
    before = whole_iso.read_bytes()
    with pytest.raises(OutputRefused, match="the input itself"):
        build(whole_iso)
    assert whole_iso.read_bytes() == before


def test_progress_adds_up(tmp_path: Path, whole_iso: Path, grub: GrubImages) -> None:
    totals: dict[str, int] = {}
    told: dict[str, int] = {}

    def progress(work: str, total: int) -> Callable[[int], None]:
        totals[work], told[work] = total, 0

        def advance(count: int) -> None:
            told[work] += count

        return advance

    digest = hashlib.sha512(whole_iso.read_bytes()).hexdigest()
    build_image(
        whole_iso,
        tmp_path / "out",
        image_format="vhd",
        grub=grub,
        options=BuildOptions(),
        sha512=digest,
        progress=progress,
    )
    assert told == totals
    assert set(totals) == {"hashing", "writing", "checking"}
