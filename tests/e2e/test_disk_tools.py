"""What others say of a disk made from the stand-in client ISO with real GRUB: partitions, file system, VHD, the ISO."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.image.layout import ISO_OFFSET, SYSTEM_OFFSET, SYSTEM_SIZE
from failback.image.source import FileSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.image import BuiltImage, ImageFormat

TOOLS = ("sgdisk", "fsck.vfat", "qemu-img", "mtype")
pytestmark = [pytest.mark.standin, pytest.mark.timeout(600)]


def said(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_independent_tools_accept_the_disk(
    tmp_path: Path, standin_iso: Path, make_image: Callable[[Path, ImageFormat], BuiltImage]
) -> None:
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    raw, vhd = make_image(standin_iso, "raw"), make_image(standin_iso, "vhd")
    verdict = said("sgdisk", "-v", raw.output)
    assert "No problems found" in verdict
    assert "Caution" not in verdict
    info = json.loads(said("qemu-img", "info", "-f", "vpc", "--output=json", vhd.output))
    assert info["virtual-size"] == raw.disk_size
    assert "identical" in said("qemu-img", "compare", "-f", "raw", "-F", "vpc", raw.output, vhd.output)
    system = tmp_path / "system"
    with FileSource(Path(raw.output)) as disk:
        system.write_bytes(disk.read(SYSTEM_OFFSET, SYSTEM_SIZE))
        copy = hashlib.sha512(disk.read(ISO_OFFSET, standin_iso.stat().st_size)).hexdigest()
    said("fsck.vfat", "-n", system)
    assert "menuentry 'AWS DRS Failback Client'" in said("mtype", "-i", system, "::grub/grub.cfg")
    assert copy == hashlib.sha512(standin_iso.read_bytes()).hexdigest()
