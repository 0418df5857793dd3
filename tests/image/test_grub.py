"""GRUB on the disk: the same bytes that GRUB's own installer writes, and a configuration that GRUB's parser takes."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failback.errors import GrubUnavailable
from failback.image.grub import GrubImages, block_list, boot_code, core_image, grub_config, load_grub
from failback.image.layout import CORE_OFFSET, SYSTEM_OFFSET, lay_out
from failback.image.plan import MIB, SECTOR
from failback.image.source import BytesSource
from failback.sinks.output import new_file
from failback.sinks.raw import write_raw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failback.image.layout import Layout

INSTALLER = Path("/usr/lib/grub/i386-pc/grub-bios-setup")


@pytest.fixture
def mounted_grub(tmp_path: Path, real_grub_directory: Path) -> Iterator[tuple[Path, str]]:
    """GRUB's images on a file system of their own, and its device.

    grub-bios-setup opens the device that its images lie on, which a user may not, and which a container may not have.
    """
    if not INSTALLER.exists() or os.geteuid() != 0:
        pytest.skip("grub-bios-setup (grub-pc-bin) opens devices, which takes root")
    image, mount = tmp_path / "images", tmp_path / "mount"
    mount.mkdir()
    with image.open("wb") as out:
        out.truncate(8 * MIB)
    subprocess.run(["mke2fs", "-q", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, mount], check=False, capture_output=True).returncode:
        pytest.skip("no loop device can be mounted here")
    try:
        for each in real_grub_directory.iterdir():
            shutil.copy(each, mount)
        found = subprocess.run(["findmnt", "-no", "SOURCE", mount], check=True, capture_output=True, text=True)
        yield mount, found.stdout.strip()
    finally:
        subprocess.run(["umount", mount], check=True)


def test_boot_code_and_core_are_what_grubs_own_installer_writes(
    tmp_path: Path, real_grub: GrubImages, mounted_grub: tuple[Path, str], iso_bytes: bytes
) -> None:
    layout = lay_out(iso_size=len(iso_bytes), iso_head=iso_bytes[:2048], grub=real_grub, files={"x": b"y"})
    disk = tmp_path / "disk"
    with new_file(disk, inputs=(), needed=0) as out:
        write_raw(layout.plan, BytesSource(iso_bytes), out, progress=lambda _: None)
    with disk.open("r+b") as blanked:
        blanked.write(bytes(440))
        blanked.seek(CORE_OFFSET)
        blanked.write(bytes(SYSTEM_OFFSET - CORE_OFFSET))
    directory, device = mounted_grub
    (tmp_path / "device.map").write_text(f"(hd0) {disk}\n(hd1) {device}\n", encoding="ascii")
    command: list[str | Path] = [INSTALLER, "--no-rs-codes", "-d", directory, "-m", tmp_path / "device.map", disk]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with disk.open("rb") as written:
        theirs = written.read(SYSTEM_OFFSET)
    assert theirs[:440] == layout.boot_code
    assert theirs[CORE_OFFSET:] == layout.core.ljust(SYSTEM_OFFSET - CORE_OFFSET, b"\0")


def test_the_block_list_covers_the_whole_core(grub: GrubImages) -> None:
    core = core_image(grub, core_sector=2048)
    start, count, segment = block_list(core[:SECTOR])
    assert (start, (count + 1) * SECTOR, segment) == (2049, len(core), 0x0820)
    assert len(boot_code(grub, core_sector=2048)) == 440


WORDS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=20)


@given(st.lists(WORDS, max_size=6))
def test_arguments_reach_the_kernel_unchanged(arguments: list[str]) -> None:
    text = grub_config(title="t", kernel="/k", initrds=["/i"], arguments=arguments, iso=3)
    (line,) = [line for line in text.splitlines() if line.startswith("  linux ")]
    # GRUB's single quotes work like the shell's, so the shell's own lexer judges them.
    assert shlex.split(line) == ["linux", "($iso)/k", *arguments]


SCRIPT_CHECK = shutil.which("grub-script-check")


@pytest.mark.skipif(SCRIPT_CHECK is None, reason="grub-script-check (grub-common) isn't installed")
def test_grub_parses_the_configuration(tmp_path: Path) -> None:
    text = grub_config(
        title="It's a client",
        kernel="/isolinux/vm linuz",
        initrds=["/isolinux/initrd.img", "($root)/live/agent.img"],
        arguments=["root=live:CDLABEL=A\\x20B", 'a="b c"', "$x", "{", ";"],
        iso=3,
    )
    (tmp_path / "grub.cfg").write_text(text, encoding="utf-8")
    assert SCRIPT_CHECK is not None
    done = subprocess.run([SCRIPT_CHECK, tmp_path / "grub.cfg"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_missing_images_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(GrubUnavailable, match="make grub"):
        load_grub(tmp_path)


def test_wrong_images_are_refused(tmp_path: Path) -> None:
    for name in ("boot.img", "core.img", "grubx64.efi", "version"):
        (tmp_path / name).write_bytes(b"short")
    with pytest.raises(GrubUnavailable, match="aren't images of GRUB"):
        load_grub(tmp_path)


def test_other_files_give_other_identifiers(grub: GrubImages, iso_bytes: bytes, layout: Layout) -> None:
    other = lay_out(iso_size=len(iso_bytes), iso_head=iso_bytes[:2048], grub=grub, files={"live/agent.img": b"other"})
    assert other.disk_guid != layout.disk_guid
    assert {part.guid for part in other.partitions}.isdisjoint(part.guid for part in layout.partitions)
