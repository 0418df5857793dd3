"""A failback in a real machine: the stand-in's client, its network, and the embedded DRS and STS around it."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.model.agent import AgentSettings
from localcloud.client_boot import AUDIENCE, ROLE
from localcloud.guests.qemu_driver import QemuDriver
from localcloud.guests.surroundings import DRS_ENDPOINT, STS_ADDRESS, drs_forward, recovery_forward, sts_forward
from localcloud.metadata_azure import issuer
from localcloud.sts import RoleTrust, SecurityTokenService
from localcloud.sts_sessions import GivenSessions
from tests.localcloud.azure.clients import SIGNER
from tests.localcloud.failback_place import MIB, REGION, open_place
from tests.localcloud.guests.contract import marks, wait_for
from tests.localcloud.guests.machines import IDENTITY, disk, machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.image import BuiltImage, ImageFormat
    from localcloud.azure.driver import MachineDisk
    from localcloud.guests.guest import Guest
    from tests.localcloud.failback_place import FailbackPlace

pytestmark = [pytest.mark.boot, pytest.mark.standin, pytest.mark.timeout(600)]

SIZE, DATA = 512 * MIB, 64 * MIB
# With the one that's copied, as many as DRS takes in jobs at once: one machine's network has all their addresses.
OTHERS = 19


def settings_of(instance: str, sts: SecurityTokenService) -> AgentSettings:
    """What a run tells the machine; its target is the disk at LUN 3."""
    return AgentSettings.parse(
        {"run": "run-1", "server": "web-1", "region": REGION, "recovery_instance": instance}
        | {"credentials": "web-identity", "role_arn": ROLE, "audience": AUDIENCE, "role_session": "web-1"}
        | {"sts_endpoint": f"https://{STS_ADDRESS}/", "ca_certificates": sts.ca_certificates}
        | {"drs_endpoint": DRS_ENDPOINT, "mapping": [{"recovery_device": "/dev/xvda", "lun": 3, "size": SIZE}]}
    )


def used_disk(folder: Path) -> MachineDisk:
    """It has old data where the volume has zeros, so that has to become zeros."""
    target = disk(folder, lun=3, size=SIZE)
    with target.path.open("r+b") as file:
        file.seek(SIZE - 100 * MIB)
        file.write(b"old" * MIB)
    return target


def test_a_real_client_copies_a_volume_and_ends_after_its_launch(
    tmp_path: Path, standin_iso: Path, make_image: Callable[[Path, ImageFormat], BuiltImage]
) -> None:
    volume = tmp_path / "volume.raw"
    with volume.open("wb") as file:
        file.write(random.Random(7).randbytes(DATA))
        file.truncate(SIZE)
    trust = RoleTrust(issuer=issuer(IDENTITY.tenant), audience=AUDIENCE, subject=IDENTITY.principal_id)
    given = GivenSessions()
    sts = SecurityTokenService(
        issuers={trust.issuer: SIGNER.public_key}, roles={ROLE: trust}, given=given, names=(STS_ADDRESS,)
    )
    os_disk, target = disk(tmp_path, image=Path(make_image(standin_iso, "raw").output)), used_disk(tmp_path)
    with (
        sts.serve() as sts_url,
        open_place(tmp_path / "drs", {"/dev/xvda": volume}, given=given, others=OTHERS) as at,
    ):
        there = [recovery_forward(each.private_address, to_port=at.port) for each in (*at.others, at.instance)]
        forwards = (sts_forward(sts_url), drs_forward(at.door), *there)
        with QemuDriver(tmp_path / "machines", surroundings=lambda _spec: forwards, signer=SIGNER) as driver:
            guest = driver.start(machine(os_disk, settings_of(at.instance.id, sts), data=[target]))
            began = seen(at, "FAILBACK_IN_PROGRESS", guest)
            print(
                f"{DATA // MIB} MiB: ready {seen(at, 'FAILBACK_READY_FOR_LAUNCH', guest) - began:.1f} s after the link"
            )
            at.write("/dev/xvda", 200 * MIB, b"written while it was copied")
            at.launch()
            wait_for(lambda: not guest.is_running, 120, lambda: end_of(guest))
        assert marks(guest.console())[-2:] == ["completed", "poweroff"]
        assert at.state() == "FAILBACK_COMPLETED"
        assert target.path.read_bytes() == at.content("/dev/xvda")
        assert not at.drs.replication.refused


def seen(at: FailbackPlace, wanted: str, guest: Guest) -> float:
    """When the failback's state was first seen."""
    wait_for(lambda: at.state() == wanted, 420, lambda: end_of(guest))
    return time.monotonic()


def end_of(guest: Guest) -> str:
    """What its console said last."""
    return guest.console().decode(errors="replace")[-3000:]
