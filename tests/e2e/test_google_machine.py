"""The stand-in's image as a disk of the embedded Compute Engine, booted by QEMU by both firmwares: a boot test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from localcloud.guests.qemu_driver import QemuDriver
from tests.localcloud.guests.google_contract import check_boot

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.image import BuiltImage, ImageFormat

pytestmark = [pytest.mark.boot, pytest.mark.standin, pytest.mark.timeout(600)]


# In every run of the tests a BIOS boots such a disk (test_google_runs), and UEFI an image at Google (test_boot).
@pytest.mark.matrix
@pytest.mark.parametrize("features", [(), ("UEFI_COMPATIBLE",)], ids=["bios", "uefi"])
def test_a_real_machine_boots_an_archives_image_and_ends(
    tmp_path: Path,
    standin_iso: Path,
    make_image: Callable[[Path, ImageFormat], BuiltImage],
    features: tuple[str, ...],
) -> None:
    archive = Path(make_image(standin_iso, "gce").output).read_bytes()
    with QemuDriver(tmp_path / "machines") as driver:
        output = check_boot(driver, tmp_path, archive, features=features, seconds=420)
        (guest,) = driver.guests
    assert "AWS DRS Failback Client" in output
    assert ("efi: EFI v" in output) == bool(features)
    assert any("failback-settings" in request.target for request in guest.requests)
