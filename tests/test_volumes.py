"""Volumes and the disks that take them: nothing lost, nothing twice, nothing too small, and every fault at once."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.model.agent import DiskMapping
from failback.model.recovery import Volume
from failback.model.request import LARGEST_DISK_GIB, MOST_DISKS, DiskChoice
from failback.model.target import HomeName
from failback.volumes import DISK_SIZES, GIB, LAST_LUN, boot_volume, choice_faults, plan_disks, whole_gib

SYSTEM = Volume(device="/dev/sda1", bytes=8 * GIB)
DATA = Volume(device="/dev/sdb", bytes=20 * GIB + 1)
LOGS = Volume(device="/dev/sdc", bytes=GIB)
THREE = (SYSTEM, DATA, LOGS)


def faults(*choices: DiskChoice, volumes: tuple[Volume, ...] = THREE, home: HomeName = "azure") -> str:
    return "\n".join(plan_disks(volumes, choices, machine="web", home=home).faults)


def test_every_volume_takes_a_disk_in_order() -> None:
    plan = plan_disks(THREE, (), machine="web", home="azure")
    assert not plan.faults
    assert [(disk.device, disk.lun, disk.size_gib, disk.name, disk.boot) for disk in plan.disks] == [
        ("/dev/sda1", 0, 8, "web-data-0", True),
        ("/dev/sdb", 1, 21, "web-data-1", False),
        ("/dev/sdc", 2, 1, "web-data-2", False),
    ]


def test_a_part_of_a_gib_is_a_whole_one() -> None:
    assert [whole_gib(size) for size in (1, GIB, GIB + 512, 9 * GIB + 3 * GIB // 4)] == [1, 1, 2, 10]


def test_a_home_has_its_smallest_disk() -> None:
    choice = DiskChoice(device="/dev/sdc", size_gib=2)
    plan = plan_disks(THREE, [choice], machine="web", home="google")
    assert [disk.size_gib for disk in plan.disks] == [10, 21, 10]


def test_units_asked_for_are_kept_free() -> None:
    choices = (DiskChoice(device="/dev/sdc", lun=0), DiskChoice(device="/dev/sdb", lun=7, sku="Premium_LRS"))
    plan = plan_disks(THREE, choices, machine="web", home="azure")
    assert not plan.faults
    assert [(disk.device, disk.lun, disk.sku) for disk in plan.disks] == [
        ("/dev/sda1", 1, ""),
        ("/dev/sdb", 7, "Premium_LRS"),
        ("/dev/sdc", 0, ""),
    ]


def test_what_is_left_out_takes_no_disk() -> None:
    plan = plan_disks(THREE, [DiskChoice(device="/dev/sdb", exclude=True)], machine="web", home="azure")
    assert not plan.faults
    assert plan.excluded == ("/dev/sdb",)
    assert [disk.device for disk in plan.disks] == ["/dev/sda1", "/dev/sdc"]


@pytest.mark.parametrize(
    ("names", "boot"),
    [
        (("/dev/sdf", "/dev/xvda"), "/dev/xvda"),
        (("/dev/nvme1n1", "/dev/nvme0n1"), "/dev/nvme0n1"),
        (("/dev/sdb", "/dev/sda1"), "/dev/sda1"),
        (("d:0", "C:0"), "C:0"),
        (("/dev/vda", "/dev/vdb"), "/dev/vda"),
        (("/dev/sdaa", "/dev/xvdab"), "/dev/sdaa"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_boot_volume_is_known_by_its_name_or_stands_first(names: tuple[str, ...], boot: str) -> None:
    found = boot_volume([Volume(device=name, bytes=GIB) for name in names])
    assert found is not None
    assert found.device == boot


def test_nothing_boots_from_no_volume() -> None:
    assert boot_volume(()) is None
    assert "DRS knows none of it" in faults(volumes=())


def test_every_fault_is_told_at_once() -> None:
    text = faults(
        DiskChoice(device="/dev/sda1", exclude=True),
        DiskChoice(device="/dev/sdb", size_gib=20, lun=3),
        DiskChoice(device="/dev/sdc", lun=3),
        DiskChoice(device="/dev/sdx"),
    )
    for part in (
        "disks.0.exclude: /dev/sda1 is what the server boots from",
        "disks.1.size_gib: 20 is too small for /dev/sdb; say 21 or more",
        "disks.1.lun: 3 is asked for 2 times",
        "disks.2.lun: 3 is asked for 2 times",
        "disks.3.device: the recovery instance has no /dev/sdx; its volumes are /dev/sda1, /dev/sdb, /dev/sdc",
    ):
        assert part in text


def test_choices_that_contradict_themselves_are_faults_whatever_the_volumes() -> None:
    twice = DiskChoice(device="/dev/sdb", size_gib=30)
    text = "\n".join(choice_faults([twice, twice, DiskChoice(device="/dev/sdc", exclude=True, lun=1)]))
    assert "disks.0.device: /dev/sdb stands there 2 times" in text
    assert "disks.2.exclude: what's left out takes no lun" in text


def test_volumes_that_no_client_can_take_are_faults() -> None:
    twins = (SYSTEM, SYSTEM.model_copy(update={"bytes": GIB}))
    assert "lists /dev/sda1 2 times" in faults(volumes=twins)
    assert "no size of /dev/sdb" in faults(volumes=(SYSTEM, Volume(device="/dev/sdb", bytes=0)))
    assert "'/dev/my disk'" in faults(volumes=(SYSTEM, Volume(device="/dev/my disk", bytes=GIB)))


@pytest.mark.parametrize(("home", "largest"), [("azure", 32767), ("google", 65536)])
def test_a_home_has_its_largest_disk(home: HomeName, largest: int) -> None:
    assert not faults(volumes=(Volume(device="/dev/sda", bytes=largest * GIB),), home=home)
    too_large = (Volume(device="/dev/sda", bytes=largest * GIB + 1),)
    assert f"no disk is larger than {largest} at home" in faults(volumes=too_large, home=home)
    wished = DiskChoice(device="/dev/sda", size_gib=LARGEST_DISK_GIB)
    text = faults(wished, volumes=(Volume(device="/dev/sda", bytes=GIB),), home=home)
    assert ("no disk is larger" in text) == (largest < LARGEST_DISK_GIB)


def test_a_request_may_ask_for_the_largest_disk_of_any_home() -> None:
    assert max(sizes.largest for sizes in DISK_SIZES.values()) == LARGEST_DISK_GIB
    assert set(DISK_SIZES) == set(get_args(HomeName))


def test_more_disks_than_drs_replicates_are_a_fault() -> None:
    volumes = tuple(Volume(device=f"/dev/d{number}", bytes=GIB) for number in range(MOST_DISKS + 1))
    assert "there are 61, and DRS replicates 60" in faults(volumes=volumes)
    assert not faults(DiskChoice(device="/dev/d9", exclude=True), volumes=volumes)


def test_units_end_at_the_last() -> None:
    volumes = tuple(Volume(device=f"/dev/d{number}", bytes=GIB) for number in range(10))
    gone = [DiskChoice(device=f"/dev/x{unit}", lun=unit) for unit in range(60)]
    assert f"units go up to {LAST_LUN}" in faults(*gone, volumes=volumes)


names = st.integers(0, 80).map(lambda number: f"/dev/d{number}")
disks_there = st.lists(
    st.builds(Volume, device=names, bytes=st.integers(1, 3000 * GIB)),
    min_size=1,
    max_size=MOST_DISKS,
    unique_by=lambda each: each.device,
)
choices_made = st.lists(
    st.builds(
        DiskChoice,
        device=names,
        exclude=st.booleans(),
        size_gib=st.none() | st.integers(1, 4000),
        lun=st.none() | st.integers(0, 63),
    ),
    max_size=8,
)


@settings(max_examples=50, deadline=None)
@given(volumes=disks_there, choices=choices_made, home=st.sampled_from(get_args(HomeName)))
def test_a_plan_without_fault_takes_every_volume_once(
    volumes: list[Volume], choices: list[DiskChoice], home: HomeName
) -> None:
    plan = plan_disks(volumes, choices, machine="web", home=home)
    assert sorted([*(disk.device for disk in plan.disks), *plan.excluded]) == sorted(each.device for each in volumes)
    if plan.faults:
        return
    sizes = {volume.device: volume.bytes for volume in volumes}
    assert all(disk.size_gib * GIB >= sizes[disk.device] for disk in plan.disks)
    assert all(disk.size_gib >= DISK_SIZES[home].smallest for disk in plan.disks)
    assert len({disk.lun for disk in plan.disks}) == len({disk.name for disk in plan.disks}) == len(plan.disks)
    assert all(0 <= disk.lun <= LAST_LUN for disk in plan.disks)
    assert sum(disk.boot for disk in plan.disks) == 1
    for disk in plan.disks:
        DiskMapping(recovery_device=disk.device, lun=disk.lun, size=disk.size_gib * GIB)


@given(volumes=disks_there)
def test_without_choices_there_is_never_a_fault(volumes: list[Volume]) -> None:
    plan = plan_disks(volumes, (), machine="web", home="azure")
    assert not plan.faults
    assert [disk.lun for disk in plan.disks] == list(range(len(volumes)))
