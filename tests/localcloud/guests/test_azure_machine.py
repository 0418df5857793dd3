"""An Azure machine in QEMU's terms, and what its metadata service says of it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jwt
import pytest

from failback.errors import MachineError
from localcloud.azure.driver import MachineIdentity
from localcloud.guests.azure_machine import disk_serial, metadata_document, qemu_machine
from localcloud.guests.qemu_driver import QemuDriver
from localcloud.guests.surroundings import METADATA_ADDRESS, metadata_forward
from localcloud.machines.command_line import compose_command
from localcloud.metadata import MetadataService
from tests.localcloud.azure.clients import SIGNER
from tests.localcloud.guests.machines import disk, machine

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.azure.driver import MachineSpec

pytestmark = pytest.mark.embedded
ASSIGNED = tuple(MachineIdentity(f"principal-{each}", f"client-{each}", "tenant", f"/ids/{each}") for each in "ab")
OWN = MachineIdentity("own", "own", "tenant")


def words(command: list[str], option: str) -> list[str]:
    return [word for name, word in pairwise(command) if name == option]


def test_disks_lie_where_azure_puts_them(tmp_path: Path) -> None:
    os_disk, data = disk(tmp_path), disk(tmp_path, lun=3)
    spec = qemu_machine(machine(os_disk, data=[data]), (metadata_forward("http://127.0.0.1:8000"),))
    command = compose_command(spec, tmp_path)
    drives = words(command, "-drive")
    assert [drive.rpartition("file=")[2] for drive in drives] == [str(each.path) for each in (os_disk, data)]
    assert not [drive for drive in drives if "snapshot" in drive]
    devices = words(command, "-device")
    place = "scsi-hd,bus=scsi{}.0,channel=0,scsi-id=0,lun={},vendor=Msft,product=Virtual Disk"
    assert [each for each in devices if each.startswith("scsi-hd")] == [
        f"{place.format(0, 0)},drive=disk0,serial={disk_serial(os_disk)},bootindex=1",
        f"{place.format(1, 3)},drive=disk1,serial={disk_serial(data)}",
    ]
    assert "virtio-net-pci,netdev=net,romfile=,mac=00:0d:3a:01:02:03" in devices
    assert words(command, "-smbios") == ["type=1,manufacturer=Microsoft Corporation,product=Virtual Machine"]
    assert words(command, "-uuid") == ["31111111-0000-4000-8000-000000000001"]
    assert (words(command, "-m"), words(command, "-smp")) == (["4096"], ["1"])
    (network,) = words(command, "-netdev")
    assert "restrict=on" in network
    assert f"guestfwd=tcp:{METADATA_ADDRESS}:80-cmd:" in network


def test_another_controller_has_other_serials_and_no_luns(tmp_path: Path) -> None:
    spec = qemu_machine(machine(disk(tmp_path), data=[disk(tmp_path, lun=1)], controller="NVMe"), ())
    devices = [each for each in words(compose_command(spec, tmp_path), "-device") if each.startswith("nvme")]
    assert len(devices) == 2


def ask(spec: MachineSpec, path: str, **query: str) -> tuple[int, Any]:
    with MetadataService(metadata_document(spec), signer=SIGNER).serve() as url:
        request = urllib.request.Request(f"{url}{path}?{urlencode(query)}", headers={"Metadata": "true"})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@pytest.mark.parametrize(
    ("identities", "query", "found"),
    [
        ((OWN, *ASSIGNED), {}, "own"),
        ((OWN, *ASSIGNED), {"client_id": "client-b"}, "principal-b"),
        (ASSIGNED[:1], {}, "principal-a"),
        (ASSIGNED, {}, "Multiple user assigned identities"),
        (ASSIGNED, {"msi_res_id": "/ids/a"}, "principal-a"),
        (ASSIGNED, {"object_id": "principal-b"}, "principal-b"),
        (ASSIGNED, {"object_id": "principal-b", "client_id": "client-a"}, "Identity not found"),
        ((), {}, "Identity not found"),
    ],
    ids=["own", "by client", "only one", "several", "by resource", "by object", "of two", "none"],
)
def test_whose_token_a_machine_gets(
    tmp_path: Path, identities: tuple[MachineIdentity, ...], query: dict[str, str], found: str
) -> None:
    spec = machine(disk(tmp_path), identities=identities)
    wanted = {"api-version": "2018-02-01", "resource": "api://drs-failback"}
    status, body = ask(spec, "/metadata/identity/oauth2/token", **wanted, **query)
    if status == 200:
        claims = jwt.decode(body["access_token"], SIGNER.public_key, ["RS256"], audience="api://drs-failback")
        assert (claims["sub"], claims["tid"]) == (found, "tenant")
    else:
        assert (status, found in body["error_description"]) == (400, True)


def test_tags_are_told_in_both_forms(tmp_path: Path) -> None:
    status, body = ask(machine(disk(tmp_path)), "/metadata/instance", **{"api-version": "2021-02-01"})
    assert (status, body["compute"]["tags"]) == (200, "drs-failback:run:run-1")
    assert body["compute"]["tagsList"] == [{"name": "drs-failback:run", "value": "run-1"}]


def test_a_machine_that_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    gone = disk(tmp_path)
    gone.path.unlink()
    same = [disk(tmp_path, lun=1), disk(tmp_path, lun=1)]
    with QemuDriver(tmp_path / "machines") as driver:
        with pytest.raises(MachineError, match="isn't there"):
            driver.start(machine(gone))
        with pytest.raises(MachineError, match="share a LUN"):
            driver.start(machine(disk(tmp_path), data=same))
        with pytest.raises(MachineError, match="address"):
            QemuDriver(
                tmp_path / "others", forwards=(replace(metadata_forward("http://127.0.0.1:1"), address="10.0.0.1"),)
            ).start(machine(disk(tmp_path)))
    assert driver.guests == ()
