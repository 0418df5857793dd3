"""Servers at home on Google that were failed over: made as a person's, with what their volumes held at the failover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localcloud.drs.records import NewInstance
from localcloud.google.originals import Wishes, add_original
from localcloud.sparse_files import create_sparse
from localcloud.workload.layout import DISK_SIZE
from localcloud.workload.marker import put_system, read_record
from tests.localcloud.drs.place import noisy, running
from tests.localcloud.google.clients import ACCOUNT, same_content

if TYPE_CHECKING:
    from pathlib import Path

    from tests.localcloud.google.clients import TestedGoogle

pytestmark = pytest.mark.embedded
MIB = 1 << 20
BOOT, DATA = "/dev/xvda", "/dev/xvdb"


def test_it_is_an_instance_with_a_history(google: TestedGoogle, tmp_path: Path) -> None:
    boot = tmp_path / "boot.raw"
    create_sparse(boot, DISK_SIZE + MIB)
    put_system(boot, real=False)
    volumes = {BOOT: boot, DATA: noisy(tmp_path / "data.raw", 4 * MIB)}
    folder = tmp_path / "aws"
    folder.mkdir()
    with running(folder) as place:
        world = place.clouds.drs.world
        server = world.add_recovery_instance(NewInstance(volumes, name="web-1", boot_mode="uefi"))
        made = add_original(google.cloud, server, wishes=Wishes(account=ACCOUNT))
        other = add_original(google.cloud, server, name="web-2", wishes=Wishes(running=False))
    listing = google.cloud.listing()
    machine = listing[made.path]
    assert (made.name, machine["status"], machine["tags"]["items"]) == ("web-1", "RUNNING", ["web"])
    assert machine["serviceAccounts"][0]["email"] == ACCOUNT
    assert [each["deviceName"] for each in machine["disks"]] == ["boot", "data-1"]
    assert listing[other.path]["status"] == "TERMINATED"
    assert {"type": "UEFI_COMPATIBLE"} in listing[made.disks[BOOT]]["guestOsFeatures"]
    (spec, _) = (each.spec for each in google.driver.machines)
    assert (spec.firmware, spec.nics[0].private_address) == ("uefi", made.address)
    assert read_record(spec.os_disk.path) == read_record(boot)
    assert same_content(volumes[DATA], spec.data_disks[0].path)
