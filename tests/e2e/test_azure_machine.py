"""The stand-in's image as a managed disk of the embedded Azure, booted by QEMU: a boot test, and a whole failback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.model.agent import AgentSettings
from localcloud.client_boot import AUDIENCE, RECOVERY_INSTANCE, ROLE
from localcloud.guests.qemu_driver import QemuDriver
from localcloud.guests.surroundings import STS_ADDRESS, sts_forward
from localcloud.metadata_azure import issuer
from localcloud.sts import RoleTrust, SecurityTokenService
from tests.localcloud.azure.clients import SIGNER
from tests.localcloud.guests.contract import azure_of, check_boot_test, marks, wait_for
from tests.localcloud.guests.machines import IDENTITY, TARGET_SIZE, disk, machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.image import BuiltImage, ImageFormat

pytestmark = [pytest.mark.boot, pytest.mark.standin, pytest.mark.timeout(600)]


# test_prepare boots a V1 disk in every run of the tests.
@pytest.mark.matrix
@pytest.mark.parametrize("generation", ["V1", "V2"])
def test_a_real_machine_boots_a_managed_disk_and_ends(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    standin_iso: Path,
    make_image: Callable[[Path, ImageFormat], BuiltImage],
    generation: str,
) -> None:
    image = Path(make_image(standin_iso, "raw").output)
    with (
        QemuDriver(tmp_path / "machines", signer=SIGNER) as driver,
        azure_of(driver, tmp_path / "azure", monkeypatch) as azure,
    ):
        text = check_boot_test(azure, image, generation=generation, seconds=420)
        (guest,) = driver.guests
    assert b"AWS DRS Failback Client" in text
    assert any("userData" in request.target for request in guest.requests)


def test_a_real_client_finds_its_target_by_lun_while_another_machine_waits(
    tmp_path: Path, standin_iso: Path, make_image: Callable[[Path, ImageFormat], BuiltImage]
) -> None:
    """The target is one of two disks of the same size: only the LUN tells them apart, or the agent refuses both."""
    trust = RoleTrust(issuer=issuer(IDENTITY.tenant), audience=AUDIENCE, subject=IDENTITY.principal_id)
    sts = SecurityTokenService(issuers={trust.issuer: SIGNER.public_key}, roles={ROLE: trust}, names=(STS_ADDRESS,))
    settings = AgentSettings.parse(
        {"run": "run-1", "server": "web-1", "region": "eu-west-1", "recovery_instance": RECOVERY_INSTANCE}
        | {"credentials": "web-identity", "role_arn": ROLE, "audience": AUDIENCE, "role_session": "web-1"}
        | {"sts_endpoint": f"https://{STS_ADDRESS}/", "ca_certificates": sts.ca_certificates}
        | {"mapping": [{"recovery_device": "/dev/nvme0n1", "lun": 5, "size": TARGET_SIZE}]}
    )
    os_disk = disk(tmp_path, image=Path(make_image(standin_iso, "raw").output))
    data = [disk(tmp_path, lun=lun) for lun in (2, 5)]
    with (
        sts.serve() as url,
        QemuDriver(tmp_path / "machines", forwards=(sts_forward(url),), most=1, signer=SIGNER) as driver,
    ):
        first = driver.start(machine(os_disk, settings, data=data))
        wait_for(first.console_file.exists, 10)
        second = driver.start(machine(disk(tmp_path)))
        wait_for(lambda: "client-running" in marks(first.console()), 420, lambda: first.console().decode()[-3000:])
        assert b"this one waits" in second.console()
        assert second.is_running
        assert not second.console_file.exists()
        first.stop()
        wait_for(second.console_file.exists, 10)
    assert (first.is_running, second.is_running) == (False, False)
    text = first.console().decode(errors="replace")
    (mapping,) = [line for line in text.splitlines() if "FAILBACK-AGENT mapping" in line]
    # Which name the kernel gives to which disk is a matter of the moment.
    assert mapping.strip().endswith(("/dev/nvme0n1=/dev/sdb", "/dev/nvme0n1=/dev/sdc"))
    assert len(sts.sessions) == 1
