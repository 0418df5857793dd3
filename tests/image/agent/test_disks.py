"""From mappings to local disks, on trees of files that look like sysfs."""

from __future__ import annotations

import subprocess
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from failback.image.agent.package import tool_names
from tests.image.agent.conftest import FakeSystem, Machine

if TYPE_CHECKING:
    from pathlib import Path


GIB = 1 << 30
PROGRAM = """
set -u
SYSROOT=$1 SETTINGS=$2 PRIVATE=$3 STATE_PARTITION=DRS-FAILBACK-STATE STATE_DEVICE=
. "$4/disks.sh"; . "$4/mapping.sh"
find_own_disk
find_state_device
echo "own=$OWN_DISK state=${STATE_DEVICE#"$SYSROOT"}"
resolve_mappings
"""


class Resolver:
    """A system and the answer that the agent's functions give for mappings on it."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine, self.system, self.folder = machine, FakeSystem(folder / "root"), folder

    def resolve(self, *mappings: str) -> tuple[int, str, str]:
        """The exit status, the line on the own disk, and DEVICE_MAPPING or the faults."""
        settings = self.folder / "settings"
        settings.write_text("".join(f"mapping={mapping}\n" for mapping in mappings))
        private = self.folder / "private"
        private.mkdir(exist_ok=True)
        words = [self.system.root, settings, private, self.machine.work]
        done = subprocess.run(
            [*self.machine.shell, "-c", PROGRAM, "test", *map(str, words)],
            env={"PATH": str(self.machine.tools), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        own, _, answer = done.stdout.partition("\n")
        return done.returncode, own, answer.strip()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The agent's functions as its hook puts them, and its tools; each test has a system of its own."""
    machine = Machine(tmp_path_factory.mktemp("installed"), "bash", "#!/bin/sh\n")
    machine.run_hook()
    return machine


@pytest.fixture
def resolver(installed: Machine, tmp_path: Path) -> Resolver:
    return Resolver(installed, tmp_path)


@pytest.fixture
def azure(resolver: Resolver) -> FakeSystem:
    """Gen1: OS disk and temp disk on IDE hosts, both with LUN 0, data disks on a host of their own."""
    system = resolver.system
    system.add_client_disk(system.add_scsi("sda", "0:0:0:0", GIB))
    system.add_partition(system.add_scsi("sdb", "1:0:1:0", 16 * GIB), 1)
    system.add_scsi("sdc", "5:0:0:0", 30 * GIB)
    system.add_scsi("sdd", "5:0:0:1", 64 * GIB)
    return system


@pytest.mark.usefixtures("azure")
def test_unit_number_and_size_tell_a_data_disk_from_the_temp_disk(resolver: Resolver) -> None:
    status, own, mapping = resolver.resolve(f"/dev/xvda lun=0 size={30 * GIB}", f"/dev/nvme1n1 lun=1 size={64 * GIB}")
    assert (status, own) == (0, "own=sda state=/dev/sda4")
    assert mapping == "/dev/xvda=/dev/sdc,/dev/nvme1n1=/dev/sdd"


@pytest.mark.usefixtures("azure")
def test_unit_number_alone_is_refused_where_the_temp_disk_has_it_too(resolver: Resolver) -> None:
    status, _, faults = resolver.resolve("/dev/xvda lun=0", "/dev/xvdb lun=1")
    assert status == 1
    assert "/dev/xvda lun=0: /dev/sdb /dev/sdc all fit" in faults
    assert "sda(own,lun=0" in faults
    assert "xvdb" not in faults


@pytest.mark.usefixtures("azure")
def test_own_disk_is_never_offered(resolver: Resolver) -> None:
    status, _, faults = resolver.resolve(f"/dev/xvda size={GIB}")
    assert status == 1
    assert "no disk fits" in faults


@pytest.mark.usefixtures("azure")
def test_excluded_volume_needs_no_disk(resolver: Resolver) -> None:
    assert resolver.resolve("/dev/xvda lun=1", "/dev/xvdb exclude")[2] == "/dev/xvda=/dev/sdd,/dev/xvdb=EXCLUDE"


def test_two_volumes_never_get_the_same_disk(resolver: Resolver, azure: FakeSystem) -> None:
    status, _, faults = resolver.resolve("/dev/xvda lun=1", f"/dev/xvdb size={64 * GIB}")
    assert status == 1
    assert "/dev/sdd is taken by /dev/xvda" in faults
    azure.add_scsi("sde", "5:0:0:2", 64 * GIB)
    status, _, faults = resolver.resolve("/dev/xvda lun=1", f"/dev/xvdb size={64 * GIB}")
    assert status == 1
    assert "/dev/sdd /dev/sde all fit" in faults


def test_equal_sizes_and_any_order_are_told_apart_by_name(resolver: Resolver) -> None:
    system = resolver.system
    system.add_scsi("sda", "0:0:3:0", 30 * GIB, links=("scsi-0Google_PersistentDisk_data-2", "google-data-2"))
    system.add_client_disk(system.add_scsi("sdb", "0:0:1:0", 10 * GIB, links=("google-client",)))
    system.add_scsi("sdc", "0:0:2:0", 30 * GIB, links=("scsi-0Google_PersistentDisk_my-data-2",))
    system.add_scsi("sdd", "0:0:4:0", 30 * GIB, links=("scsi-0Google_PersistentDisk_root", "google-root-part1"))
    status, own, mapping = resolver.resolve("/dev/xvda name=root", "/dev/xvdb name=data-2", "/dev/xvdc name=my-data-2")
    assert (status, own) == (0, "own=sdb state=/dev/sdb4")
    assert mapping == "/dev/xvda=/dev/sdd,/dev/xvdb=/dev/sda,/dev/xvdc=/dev/sdc"
    assert resolver.resolve("/dev/xvda name=client")[0] == 1
    assert resolver.resolve("/dev/xvda name=2")[0] == 1


ROLES = {"own": "0:0:0:0", "temp": "1:0:0:1", "first": "5:0:0:2", "second": "5:0:0:3"}
"""Disks of one and the same size, by what they are, with the addresses that a Hyper-V machine gives them."""


@pytest.mark.parametrize("order", list(permutations(ROLES)), ids="-".join)
def test_in_whatever_order_equal_disks_appear_the_own_one_is_never_named(
    resolver: Resolver, order: tuple[str, ...]
) -> None:
    named = {role: f"sd{letter}" for letter, role in zip("abcd", order, strict=True)}
    paths = {role: resolver.system.add_scsi(named[role], ROLES[role], GIB) for role in order}
    resolver.system.add_client_disk(paths["own"])
    resolver.system.add_partition(paths["temp"], 1)
    status, own, mapping = resolver.resolve(f"/dev/xvda lun=2 size={GIB}", f"/dev/xvdb lun=3 size={GIB}")
    assert (status, own) == (0, f"own={named['own']} state=/dev/{named['own']}4")
    assert mapping == f"/dev/xvda=/dev/{named['first']},/dev/xvdb=/dev/{named['second']}"
    status, _, faults = resolver.resolve(f"/dev/xvda lun=0 size={GIB}", f"/dev/xvdb size={GIB}")
    assert status == 1
    assert f"/dev/xvda lun=0 size={GIB}: no disk fits" in faults
    assert f"/dev/{named['own']}" not in faults


@pytest.mark.parametrize("order", list(permutations(("own", "local", "data"))), ids="-".join)
def test_in_whatever_order_nvme_disks_appear_the_own_one_is_never_named(
    resolver: Resolver, order: tuple[str, ...]
) -> None:
    named = {role: f"nvme{number}n1" for number, role in enumerate(order)}
    paths = {role: resolver.system.add_nvme(named[role], GIB, serial=f"serial-{role}") for role in order}
    resolver.system.add_client_disk(paths["own"])
    status, own, mapping = resolver.resolve(f"/dev/xvda name=serial-data size={GIB}")
    assert (status, own) == (0, f"own={named['own']} state=/dev/{named['own']}p4")
    assert mapping == f"/dev/xvda=/dev/{named['data']}"
    assert resolver.resolve(f"/dev/xvda name=serial-own size={GIB}")[0] == 1
    assert f"/dev/{named['own']} " not in resolver.resolve(f"/dev/xvda size={GIB}")[2]


def test_nvme_disks_by_serial_and_size(resolver: Resolver) -> None:
    system = resolver.system
    system.add_client_disk(system.add_nvme("nvme0n1", GIB, serial="boot"))
    system.add_nvme("nvme1n1", 30 * GIB, serial="vol-1")
    system.add_nvme("nvme2n1", 30 * GIB, serial="vol-2")
    status, own, mapping = resolver.resolve("/dev/xvda name=vol-2", "/dev/xvdb name=vol-1")
    assert (status, own) == (0, "own=nvme0n1 state=/dev/nvme0n1p4")
    assert mapping == "/dev/xvda=/dev/nvme2n1,/dev/xvdb=/dev/nvme1n1"
    assert resolver.resolve("/dev/xvda lun=0")[0] == 1


def test_what_is_no_free_disk_is_no_candidate(resolver: Resolver) -> None:
    system = resolver.system
    system.add_client_disk(system.add_scsi("sda", "0:0:0:0", GIB))
    for name in ("loop0", "ram0", "zram0", "dm-0", "sr0", "fd0", "md0", "nbd0"):
        system.add_plain(name, 8 * GIB)
    (system.add_scsi("sdb", "0:0:0:1", 8 * GIB) / "ro").write_text("1\n")
    system.mount(f"/dev/{system.add_partition(system.add_scsi('sdc', '0:0:0:2', 8 * GIB), 1)}", "/mnt")
    mapped = system.add_plain("dm-1", 4 * GIB)
    lower = system.add_partition(system.add_scsi("sdd", "0:0:0:3", 8 * GIB), 2)
    (mapped / "slaves").mkdir()
    (mapped / "slaves" / lower).symlink_to("..")
    system.mount("/dev/dm-1", "/data")
    status, _, faults = resolver.resolve(f"/dev/xvda size={8 * GIB}")
    assert status == 1
    assert "no disk fits" in faults
    for disk in ("sdb(read-only", "sdc(mounted", "sdd(mounted"):
        assert disk in faults
    assert "loop0" not in faults
    system.add_plain("vda", 8 * GIB)
    assert resolver.resolve(f"/dev/xvda size={8 * GIB}")[2] == "/dev/xvda=/dev/vda"


def test_live_from_memory_finds_its_disk_by_the_state_partition(resolver: Resolver) -> None:
    system = resolver.system
    system.add_partition(system.add_nvme("nvme0n1", GIB), 4, "DRS-FAILBACK-STATE")
    system.mount("tmpfs", "/run/initramfs/live")
    assert resolver.resolve("/dev/xvda exclude")[1] == "own=nvme0n1 state=/dev/nvme0n1p4"
    system.add_partition(system.add_nvme("nvme1n1", GIB), 4, "DRS-FAILBACK-STATE")
    assert resolver.resolve("/dev/xvda exclude")[1] == "own= state="


def test_live_mount_by_label_decides_between_two_client_disks(resolver: Resolver) -> None:
    system = resolver.system
    system.add_client_disk(system.add_scsi("sda", "0:0:0:0", GIB))
    other = system.add_scsi("sdb", "0:0:0:1", GIB)
    system.add_partition(other, 3, "DRS-FAILBACK-ISO")
    system.add_partition(other, 4, "DRS-FAILBACK-STATE")
    by_label = system.root / "dev/disk/by-label"
    by_label.mkdir()
    (by_label / "DRSFAILBACK").symlink_to("../../sdb3")
    system.mounts = ["/dev/disk/by-label/DRSFAILBACK /run/initramfs/live iso9660 ro 0 0"]
    system.write_mounts()
    assert resolver.resolve("/dev/xvda exclude")[1] == "own=sdb state=/dev/sdb4"


def test_windows_names_go_by_the_list_form(resolver: Resolver, azure: FakeSystem) -> None:
    """A colon also separates in the plain form (domain 1.5), so such a name can only be said as JSON."""
    assert azure.root.exists()
    mapping = resolver.resolve("c:0 lun=1", "c:1 exclude")[2]
    assert mapping == (
        '[{"recoveryInstanceDeviceName":"c:0","failbackClientDeviceName":"/dev/sdd"},'
        '{"recoveryInstanceDeviceName":"c:1","failbackClientDeviceName":"EXCLUDE"}]'
    )


def test_the_listed_tools_are_the_only_ones() -> None:
    assert {"sh", "curl", "sed", "awk", "mount", "systemctl"} <= set(tool_names())
    assert not {"grep", "find", "python3", "jq", "flock", "lsblk", "blkid"} & set(tool_names())
