"""The finished stand-in ISO, looked into with independent tools, and its variants."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.errors import StandinError
from localcloud.packages import missing
from localcloud.standin.build import build_standin
from localcloud.standin.initrd import decompress_initrd, module_name, read_cpio
from localcloud.standin.tools import read_tools
from localcloud.standin.variant import variant_iso

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.standin, pytest.mark.timeout(600)]
OUT = Path(__file__).resolve().parents[2] / "build" / "standin"


@pytest.fixture(scope="module")
def iso() -> Path:
    if missing("standin"):
        pytest.skip("the packages that build a stand-in ISO aren't installed")
    return build_standin(OUT)


def run(*words: str | Path) -> str:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True).stdout


def extract(iso: Path, path: str, target: Path) -> Path:
    run("xorriso", "-osirrox", "on", "-indev", iso, "-extract", path, target)
    target.chmod(0o644)
    return target


@pytest.fixture(scope="module")
def debugfs(iso: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Asks debugfs about the live root file system."""
    if shutil.which("unsquashfs") is None or shutil.which("debugfs", path="/usr/sbin:/sbin") is None:
        pytest.skip("unsquashfs or debugfs isn't installed")
    folder = tmp_path_factory.mktemp("live")
    squashfs = extract(iso, "/LiveOS/squashfs.img", folder / "squashfs.img")
    run("unsquashfs", "-quiet", "-no-progress", "-d", folder / "live", squashfs)
    image = folder / "live" / "LiveOS" / "rootfs.img"
    command = shutil.which("debugfs", path="/usr/sbin:/sbin")
    assert command is not None
    run(Path(command).with_name("e2fsck"), "-fn", image)
    return lambda request: run(command, "-R", request, image)


def test_a_second_call_takes_no_time(iso: Path) -> None:
    began = time.monotonic()
    assert build_standin(OUT) == iso
    assert time.monotonic() - began < 0.5


def test_the_disc_is_laid_out_like_the_real_one(iso: Path) -> None:
    described = run("xorriso", "-indev", iso, "-pvd_info", "-find", "/", "-type", "f")
    assert re.search(r"^Volume Id *: DRSFAILBACK$", described, re.MULTILINE)
    for path in ("isolinux/isolinux.bin", "isolinux/isolinux.cfg", "isolinux/vmlinuz", "isolinux/initrd.img"):
        assert f"'/{path}'" in described
    assert "'/LiveOS/squashfs.img'" in described
    torito = run("xorriso", "-indev", iso, "-report_el_torito", "plain")
    assert "BIOS" in torito
    assert "/isolinux/isolinux.bin" in torito


def test_the_live_root_offers_the_listed_commands_and_no_others(debugfs: Callable[[str], str]) -> None:
    found = set()
    for folder in ("/usr/bin", "/usr/sbin"):
        found |= {line.split("/")[5] for line in debugfs(f"ls -p {folder}").splitlines() if line.startswith("/")}
    tools = read_tools()
    assert found - {".", ".."} == {*(name for name, use in tools.items() if use != "private"), "start.sh"}
    assert "blkid" in debugfs("ls -p /usr/lib/standin/bin")


def test_the_live_root_starts_the_client_on_its_first_console(debugfs: Callable[[str], str]) -> None:
    assert "autologin ec2-user" in debugfs("cat /etc/systemd/system/getty@tty1.service.d/autologin.conf")
    assert "/usr/bin/start.sh" in debugfs("cat /home/ec2-user/.bash_profile")
    assert re.search(r"User: +1000 ", debugfs("stat /home/ec2-user/.bash_profile"))
    assert "UTC" in debugfs("cat /etc/adjtime")
    assert "serial-getty@.service" in debugfs("stat /etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service")


def test_no_file_carries_the_time_of_the_build(debugfs: Callable[[str], str]) -> None:
    for path in ("/", "/usr/bin/curl", "/usr/bin/start.sh", "/lost+found"):
        times = dict(re.findall(r"([acm]time): 0x([0-9a-f]+)", debugfs(f"stat {path}")))
        assert set(times) == {"atime", "ctime", "mtime"}
        assert max(int(stamp, 16) for stamp in times.values()) <= 1_700_000_000


def test_a_variant_lacks_the_dropped_modules_and_is_the_same_each_time(iso: Path, tmp_path: Path) -> None:
    one = variant_iso(iso, tmp_path / "one.iso", drop_modules=("squashfs", "hv-storvsc"), kernel_arguments="x=y")
    two = variant_iso(iso, tmp_path / "two.iso", drop_modules=("squashfs", "hv-storvsc"), kernel_arguments="x=y")
    assert one.read_bytes() == two.read_bytes()
    initrd = extract(one, "/isolinux/initrd.img", tmp_path / "initrd.img").read_bytes()
    modules = {module_name(member.name) for member in read_cpio(decompress_initrd(initrd))}
    assert {"virtio_scsi", "isofs", "sd_mod"} <= modules
    assert not {"squashfs", "hv_storvsc"} & modules
    assert " x=y " in extract(one, "/isolinux/isolinux.cfg", tmp_path / "isolinux.cfg").read_text()
    live = [
        extract(each, "/LiveOS/squashfs.img", tmp_path / name).read_bytes() for each, name in ((iso, "a"), (one, "b"))
    ]
    assert live[0] == live[1]


def test_no_variant_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(StandinError, match="no ISO"):
        variant_iso(tmp_path / "absent.iso", tmp_path / "out.iso")
