"""Readiness of servers whose machine at home is taken over, and of rehearsals: ways, disks, names, faults."""

from __future__ import annotations

from typing import Any

import pytest

from failback.machine_names import RULES
from failback.model.original import OriginalDisk
from failback.model.recovery import RecoveryInstance, Volume
from failback.model.request import DiskChoice, ServerRequest
from failback.naming import client_machine_name, short_hash
from failback.originals import ORDER_HINT, match_disks
from failback.ways_home import choose_way
from tests.test_readiness import RUN, World

GIB = 1 << 30
BOOT = OriginalDisk(name="web-1-os", id="disk/web-1-os", size_gib=8, caching="ReadWrite")


def data(lun: int, size_gib: int = 100) -> OriginalDisk:
    return OriginalDisk(name=f"web-1-{lun}", id=f"disk/web-1-{lun}", size_gib=size_gib, lun=lun, caching="ReadOnly")


@pytest.fixture
def world() -> World:
    made = World()
    made.takeovers.put("web-1", [BOOT, data(3)])
    return made


def test_the_machine_that_was_failed_over_boots_the_client_from_clones(world: World) -> None:
    server = world.server(way="original")
    world.check()
    plan = world.plan(server)
    assert (plan.way, plan.machine, plan.home_machine, plan.original) == ("original", "web-1", "web-1", "web-1")
    boot, other = plan.disks
    assert boot.boot
    assert (boot.original, boot.home_lun, boot.caching) == ("disk/web-1-os", None, "ReadWrite")
    assert (other.original, other.home_lun, other.caching, other.size_gib) == ("disk/web-1-3", 3, "ReadOnly", 100)
    assert [disk.name for disk in plan.disks] == [f"web-1-{short_hash(RUN)}-data-{lun}" for lun in (0, 1)]
    assert not world.machines.looks, "it's there, and is to be"


def test_its_own_disks_are_written_to_only_if_that_is_asked_for(world: World) -> None:
    server = world.server(way="original", overwrite=True)
    world.check()
    assert [disk.name for disk in world.plan(server).disks] == ["web-1-os", "web-1-3"]


def test_naming_the_original_is_enough(world: World) -> None:
    server = world.server(original="web-1")
    world.check()
    assert world.plan(server).way == "original"


def test_what_cannot_boot_the_client_gets_help_and_its_disks_back(world: World) -> None:
    world.takeovers.obstacles["web-1"] = ("its size takes NVMe disks only",)
    server = world.server(original="web-1")
    world.check()
    plan = world.plan(server)
    assert (plan.way, plan.home_machine, plan.original) == ("helper", "web-1", "web-1")
    assert plan.machine == client_machine_name(RUN, server)
    assert [disk.home_lun for disk in plan.disks] == [None, 3]
    assert "way: helper, since its size takes NVMe disks only" in plan.hints
    assert world.machines.looks == [plan.machine]


def test_linux_whose_machine_boots_by_uefi_gets_help(world: World) -> None:
    world.takeovers.put("web-2", [OriginalDisk(name="web-2-os", id="disk/web-2-os", size_gib=8), data(0)],
                        firmware="uefi")  # fmt: skip
    server = world.server(2, original="web-2")
    world.check()
    assert (world.plan(server).way, world.plan(server).firmware) == ("helper", "uefi")


def test_a_helpers_disks_dont_go_into_a_zone(world: World) -> None:
    """They would be made without one, and Azure takes them into no machine that's in one."""
    found = world.takeovers.find("web-1")
    assert found is not None
    zonal = found.model_copy(update={"zone": "2"})
    request = ServerRequest(recovery_instance="i-00000000000000001", original="web-1")
    instance = RecoveryInstance(id="i-00000000000000001", arn="", source_server="", ec2_state="RUNNING", os="Linux")
    for wish, original in (({"way": "helper"}, zonal), ({}, zonal.model_copy(update={"obstacles": ("it's odd",)}))):
        choice = choose_way(request.model_copy(update=wish), instance, None, original)
        assert choice.way is None
        assert "it's in zone 2" in choice.faults[0]
    assert choose_way(request, instance, None, zonal).way is not None


@pytest.mark.parametrize(
    ("request_", "change", "told"),
    [
        ({"way": "original", "original": "gone"}, {}, "there's no machine gone at home"),
        (
            {"way": "original"},
            {"obstacles": ("its OS disk is ephemeral",)},
            "way: its OS disk is ephemeral; say helper",
        ),
        ({"original": "web-1"}, {"barriers": ("it's a Trusted Launch machine",)}, "original: it's a Trusted Launch"),
        ({"original": "web-1", "firmware": "uefi"}, {}, "firmware: uefi is asked for, and web-1 boots by bios"),
        ({"original": "web-1", "way": "new"}, {}, "way: with the way new a new machine is made"),
        ({"way": "original", "disks": [DiskChoice(device="/dev/sdb", lun=9)]}, {}, "web-1 has no disk at unit 9"),
    ],
)
def test_what_cannot_be_is_told(world: World, request_: dict[str, Any], change: dict[str, Any], told: str) -> None:
    for name, sentences in change.items():
        getattr(world.takeovers, name)["web-1"] = sentences
    world.server(**request_)
    assert told in world.refusal()


def test_another_system_is_another_machine(world: World) -> None:
    server = world.server(original="web-1")
    world.recovery.change(server, os="Windows Server 2022")
    assert "original: web-1 is a linux machine" in world.refusal()


def test_a_rehearsal_takes_drills_into_machines_of_another_name(world: World) -> None:
    server = world.server()
    world.state = world.state.model_copy(update={"goal": "rehearse"})
    assert "a rehearsal takes none home" in world.refusal()
    world.recovery.change(server, is_drill=True)
    world.check()
    assert world.plan(server).machine == "web-1-rehearsal"
    world.recovery.change(server, hostname="x" * 80)
    world.check()
    assert len(world.plan(server).machine) == RULES["azure"].longest


def test_both_machines_of_a_helper_have_to_be_new(world: World) -> None:
    server = world.server(2, way="helper")
    world.check()
    assert sorted(world.machines.looks) == sorted([client_machine_name(RUN, server), "web-2"])
    assert world.plan(server).home_size == "small"


# Which disk takes which volume.


def volumes(*sizes: int) -> list[Volume]:
    return [Volume(device=f"/dev/sd{'abcdef'[number]}", bytes=size * GIB) for number, size in enumerate(sizes)]


def matched(world: World, disks: list[OriginalDisk], *sizes: int, **choices: int) -> dict[str, int | None]:
    original = world.takeovers.put("db", [OriginalDisk(name="db-os", id="disk/db-os", size_gib=8), *disks])
    chosen = [DiskChoice(device=f"/dev/{name}", lun=lun) for name, lun in choices.items()]
    found = match_disks(volumes(*sizes), original, chosen)
    assert not found.faults, found
    return {device: disk.lun for device, disk in found.disks.items()}


def test_a_size_that_is_there_once_tells(world: World) -> None:
    assert matched(world, [data(0, 64), data(1, 32)], 8, 32, 64) == {"/dev/sda": None, "/dev/sdb": 1, "/dev/sdc": 0}


def test_disks_alike_are_taken_in_order(world: World) -> None:
    assert matched(world, [data(4), data(7)], 8, 100, 100) == {"/dev/sda": None, "/dev/sdb": 4, "/dev/sdc": 7}
    original = world.takeovers.put("two", [BOOT, data(4), data(7)])
    assert match_disks(volumes(8, 100, 100), original, []).hints == (ORDER_HINT,)


def test_what_a_person_says_counts_first(world: World) -> None:
    assert matched(world, [data(4), data(7)], 8, 100, 100, sdb=7) == {"/dev/sda": None, "/dev/sdb": 7, "/dev/sdc": 4}


@pytest.mark.parametrize(
    ("disks", "sizes", "told"),
    [
        ([data(0)], (8, 100, 100), "disks: none of db's disks is to be told as that of /dev/sdb"),
        ([data(0, 50)], (8, 100), "web-1-0 has 50 GiB, and /dev/sdb needs 100"),
        ([], (16,), "db-os has 8 GiB, and /dev/sda needs 16"),
    ],
)
def test_what_does_not_fit_is_told(world: World, disks: list[OriginalDisk], sizes: tuple[int, ...], told: str) -> None:
    original = world.takeovers.put("db", [OriginalDisk(name="db-os", id="disk/db-os", size_gib=8), *disks])
    assert told in "\n".join(match_disks(volumes(*sizes), original, []).faults)
