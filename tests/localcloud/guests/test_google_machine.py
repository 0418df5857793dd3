"""A Google instance in QEMU's terms, what its metadata server says, and scripted ones over a served Compute."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

import jwt
import pytest

from failback.image.plan import GIB
from failback.model.agent import GOOGLE_ATTRIBUTE, AgentSettings
from localcloud.google.driver import MachineDisk, MachineIdentity, MachineNic, MachineSpec
from localcloud.guests.google_machine import metadata_document, qemu_machine
from localcloud.guests.scripted import GuestPlan, ScriptedDriver
from localcloud.guests.surroundings import STS_ADDRESS, sts_forward
from localcloud.machines.command_line import compose_command
from localcloud.metadata import MetadataService
from localcloud.metadata_google import ISSUER
from localcloud.sparse_files import copy_sparse, create_sparse
from localcloud.sts import RoleTrust, SecurityTokenService
from localcloud.tokens import TokenSigner
from tests.localcloud.google.clients import (
    ACCOUNT,
    UNIQUE_ID,
    ZONE,
    archive,
)
from tests.localcloud.guests.contract import wait_for
from tests.localcloud.guests.google_contract import check_boot

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.guests.client import ClientTask

pytestmark = pytest.mark.embedded
SIGNER = TokenSigner()
ROLE, AUDIENCE = "arn:aws:iam::123456789012:role/failback-client", "drs-failback-client"
LONG_NAME = "a-device-name-of-more-than-thirty-six-letters"


def disk(folder: Path, name: str, index: int, *, image: Path | None = None) -> MachineDisk:
    path = folder / f"{name}.raw"
    if image:
        copy_sparse(image, path, size=10 * GIB)
    else:
        create_sparse(path, 10 * GIB)
    return MachineDisk(f"disks/{name}", path, 10 * GIB, name, index)


def machine(
    boot: MachineDisk,
    *data: MachineDisk,
    firmware: Literal["bios", "uefi"] = "bios",
    secure_boot: bool = False,
    attributes: dict[str, str] | None = None,
) -> MachineSpec:
    return MachineSpec(
        resource_id=f"projects/p/zones/{ZONE}/instances/server",
        vm_id="1234567890123456789",
        name="server",
        location=ZONE,
        project="p",
        machine_type="e2-standard-2",
        cores=2,
        memory_mib=8192,
        firmware=firmware,
        controller="SCSI",
        secure_boot=secure_boot,
        os_disk=boot,
        data_disks=data,
        nics=(MachineNic("nic0", "42:01:0a:1e:00:02", "10.30.0.2"),),
        identity=MachineIdentity(ACCOUNT, UNIQUE_ID),
        attributes=attributes or {},
    )


def test_disks_are_targets_with_google_names(tmp_path: Path) -> None:
    spec = machine(disk(tmp_path, "boot", 0), disk(tmp_path, LONG_NAME, 2))
    command = compose_command(qemu_machine(spec, ()), tmp_path)
    devices = [word for name, word in pairwise(command) if name == "-device" and word.startswith("scsi-hd")]
    place = "scsi-hd,bus=scsi0.0,channel=0,scsi-id={},lun=0,vendor=Google,product=PersistentDisk,device_id={}"
    assert devices == [
        f"{place.format(1, 'boot')},drive=disk0,serial=boot,bootindex=1",
        f"{place.format(3, LONG_NAME)},drive=disk1,serial={LONG_NAME[:36]}",
    ]
    assert "type=1,manufacturer=Google,product=Google Compute Engine" in command
    nvme = compose_command(qemu_machine(replace(spec, controller="NVMe"), ()), tmp_path)
    assert [word for word in nvme if word.startswith("nvme,")][1].endswith(f"serial={LONG_NAME[:20]}")


def ask(spec: MachineSpec, path: str, **query: str) -> tuple[int, str]:
    with MetadataService(metadata_document(spec), signer=SIGNER).serve() as url:
        full = f"{url}/computeMetadata/v1/instance/{path}?{urlencode(query)}"
        try:
            with urllib.request.urlopen(urllib.request.Request(full, headers={"Metadata-Flavor": "Google"})) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


def test_the_metadata_server_gives_attributes_and_tokens_of_the_service_account(tmp_path: Path) -> None:
    spec = machine(disk(tmp_path, "boot", 0), attributes={GOOGLE_ATTRIBUTE: "version=1"})
    assert ask(spec, f"attributes/{GOOGLE_ATTRIBUTE}") == (200, "version=1")
    status, token = ask(spec, "service-accounts/default/identity", audience=AUDIENCE, format="full")
    claims: dict[str, Any] = jwt.decode(token, SIGNER.public_key, ["RS256"], audience=AUDIENCE)
    assert (status, claims["sub"], claims["email"], claims["iss"]) == (200, UNIQUE_ID, ACCOUNT, ISSUER)
    assert claims["google"]["compute_engine"]["instance_name"] == "server"
    status, _ = ask(replace(spec, identity=None), "service-accounts/default/identity", audience=AUDIENCE)
    assert status == 404


@pytest.mark.parametrize("features", [(), ("UEFI_COMPATIBLE",)], ids=["bios", "uefi"])
def test_an_image_of_an_archive_boots_with_its_settings_and_ends(
    tmp_path: Path, client_image: Path, features: tuple[str, ...]
) -> None:
    packed = archive(tmp_path / "raw", (0, client_image.read_bytes()))
    with ScriptedDriver(tmp_path / "machines", plan=GuestPlan(delay=0.05)) as driver:
        check_boot(driver, tmp_path, packed, features=features, seconds=30)
        (guest,) = driver.guests
    assert guest.spec.firmware == ("uefi" if features else "bios")
    assert [each.status for each in guest.requests] == [200]


def test_the_client_gets_keys_by_its_account_and_finds_disks_by_name(tmp_path: Path, client_image: Path) -> None:
    tasks: list[ClientTask] = []

    def client(task: ClientTask) -> bool:
        tasks.append(task)
        return True

    sts = SecurityTokenService(
        roles={ROLE: RoleTrust(issuer=ISSUER, subject=UNIQUE_ID, audience=AUDIENCE)},
        issuers={ISSUER: SIGNER.public_key},
        names=(STS_ADDRESS,),
    )
    values: dict[str, Any] = {
        "run": "run-1", "server": "web-1", "region": "eu-west-1", "recovery_instance": "i-0123456789abcdef0",
        "credentials": "web-identity", "role_arn": ROLE, "audience": AUDIENCE, "role_session": "web-1",
        "sts_endpoint": f"https://{STS_ADDRESS}/", "ca_certificates": sts.ca_certificates,
        "mapping": [
            {"recovery_device": "/dev/xvda", "name": "disk-1", "size": 10 * GIB},
            {"recovery_device": "/dev/xvdb", "name": "disk-2"},
        ],
    }  # fmt: skip
    spec = machine(
        disk(tmp_path, "boot", 0, image=client_image),
        disk(tmp_path, "disk-1", 1),
        disk(tmp_path, "disk-2", 2),
        attributes={GOOGLE_ATTRIBUTE: AgentSettings.parse(values).to_text()},
    )
    with sts.serve() as sts_url:
        driver = ScriptedDriver(
            tmp_path / "machines", plan=GuestPlan(client=client), forwards=(sts_forward(sts_url),), signer=SIGNER
        )
        with driver:
            guest = driver.start(spec)
            wait_for(lambda: not guest.is_running, 20, what=lambda: guest.console().decode())
    (task,) = tasks
    assert dict(task.devices) == {"/dev/xvda": "/dev/sdb", "/dev/xvdb": "/dev/sdc"}
    assert task.credentials.access_key


def test_secure_boot_starts_nothing_that_is_not_signed(tmp_path: Path, client_image: Path) -> None:
    boot = disk(tmp_path, "boot", 0, image=client_image)
    with ScriptedDriver(tmp_path / "machines") as driver:
        guest = driver.start(machine(boot, firmware="uefi", secure_boot=True))
        wait_for(lambda: b"Security Violation" in guest.console(), 10)
        assert guest.is_running
        guest.stop()
        assert guest.requests == ()


def test_metadata_changes_reach_a_running_guest(tmp_path: Path) -> None:
    spec = machine(disk(tmp_path, "boot", 0))
    with ScriptedDriver(tmp_path / "machines", plan=GuestPlan(behaviour="silent")) as driver:
        guest = driver.start(spec)
        guest.refresh(replace(spec, attributes={"a": json.dumps(1)}))
        assert dict(guest._service.document.attributes) == {"a": "1"}
