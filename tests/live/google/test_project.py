"""What only Google itself can answer: which features a disk gets, how a machine that's off is answered for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.google.disks import begin_blank_disk, begin_client_disk, features_of
from failback.clouds.google.operations import settled
from failback.home_ports import DataDisk, MachineToBuild
from tests.home.test_contract import TAGS, imported
from tests.home.test_contract import (
    test_giving_back_finds_a_runs_things_only_and_removes_them_in_order as machines_come_and_go,
)
from tests.live.variables import wait_until

if TYPE_CHECKING:
    from tests.live.google.conftest import LiveHome

NAME = "drs-failback-live"


def features_at(home: LiveHome, name: str) -> set[str]:
    """What Compute says that a disk has, once it's there."""
    wait_until(lambda: (found := home.place.disk(name)) is not None and found.status == "READY", f"{name} is ready")
    disk = home.place.disk(name)
    assert disk is not None
    found = {each.type_ for each in disk.guest_os_features}
    print(f"{name} has {sorted(found)}")
    return found


@pytest.mark.parametrize(
    ("os", "firmware"), [("linux", "bios"), ("linux", "uefi"), ("windows", "uefi")], ids=["bios", "uefi", "windows"]
)
def test_a_copy_has_its_own_features_beside_its_images(home: LiveHome, os: Any, firmware: Any) -> None:  # noqa: ANN401
    image, _ = imported(home, home.small_image())
    settled(home.place, begin_client_disk(home.place, image, name=NAME, os=os, firmware=firmware, tags=TAGS))
    assert features_at(home, NAME) == set(features_of(os, firmware))


def test_a_blank_disk_takes_features(home: LiveHome) -> None:
    image, _ = imported(home, home.small_image())
    disk = DataDisk(NAME, 10, 0, firmware="uefi", os="windows")
    machine = MachineToBuild("none", image, "bios", "", TAGS, (disk,))
    settled(home.place, begin_blank_disk(home.place, machine, disk))
    assert features_at(home, NAME) == set(features_of("windows", "uefi"))


def test_a_machine_that_is_off_has_said_nothing_or_what_it_said(with_machines: LiveHome) -> None:
    home = with_machines
    image, _ = imported(home, home.small_image())
    machine = MachineToBuild(NAME, image, "bios", "version=1\n", TAGS)
    wait_until(lambda: home.machines.build(machine) == "running", "the machine is on")
    stop = home.place.clients.instances.stop_unary
    settled(home.place, stop(project=home.place.project, zone=home.place.zone, instance=NAME))
    wait_until(lambda: home.machines.state(NAME) == "stopped", "the machine is off")
    print(f"Off, its console is {home.machines.console(NAME)!r}")


def test_machines_come_and_go(with_machines: LiveHome) -> None:
    machines_come_and_go(with_machines)
