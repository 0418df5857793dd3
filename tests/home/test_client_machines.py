"""What every home keeps to with client machines: their disks, addresses, settings and sizes, and whose they are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import CloudRefused, NotGivenBack
from failback.home_ports import DataDisk, MachineNeeds
from failback.home_ports import MachineToBuild as Machine
from failback.naming import SERVER_TAG, run_tags
from tests.home.test_contract import KEY, built, imported

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.recovery import Firmware
    from failback.model.server import GuestOs
    from tests.home.conftest import HomeInTest, Kind, SeenInside

NAME = "drs-failback-client-1"
SERVER = "i-0123456789abcdef0"
OF_SERVER = run_tags("run-1", datetime(2026, 1, 2, tzinfo=UTC), server=SERVER)
LONG = 300_000
"""More than any home takes as settings."""


@pytest.fixture
def machine(home: SeenInside) -> Machine:
    """A client machine with two disks, as the run's server is to have it."""
    image, _ = imported(home, home.small_image())
    disks = (
        DataDisk("web-boot", 18, 0, os="linux", firmware="uefi"),
        DataDisk("web-data", 13, 5, sku=home.sku),
    )
    return Machine(NAME, image, "bios", "version=1\n", OF_SERVER, disks=disks)


def places(home: SeenInside, *disks: DataDisk) -> dict[int | str, int]:
    """What a guest finds of disks: their GiB."""
    return {home.place(each): each.size_gib for each in disks}


def given_back(home: HomeInTest, run: str, *, server: str = "") -> list[tuple[str, str]]:
    """Remove what the run made, and say in which order it was listed first."""
    made = home.belongings.made_by(run, server=server)
    listed = [(each.kind, each.name) for each in made]
    for _ in range(10):
        if all([home.belongings.remove(each) for each in made]):
            return listed
        made = home.belongings.made_by(run, server=server)
    raise AssertionError(made)


def refusal(home: SeenInside, call: Callable[[], object]) -> str:
    """What the call is refused with, for good."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the home's own error, which is translated
        call()
    error = home.our_error(caught.value)
    assert type(error) is CloudRefused, error
    return str(error)


@pytest.mark.parametrize("os", ["linux", "windows"])
def test_a_client_machine_has_its_disks_its_identity_and_its_settings(
    home: SeenInside, machine: Machine, os: GuestOs
) -> None:
    assert built(home, replace(machine, os=os, identity=home.identity, size=""))[-1] == "running"
    assert home.disks(NAME) == places(home, *machine.disks)
    assert home.identities(NAME) == [home.identity]
    assert home.settings(NAME) == "version=1\n"
    assert home.machines.build(machine) == "running"


def test_an_address_is_there_before_the_machine_and_stays(home: SeenInside, machine: Machine) -> None:
    addresses = [home.machines.address(NAME, tags=OF_SERVER) for _ in range(3)]
    assert addresses[-1] == addresses[-2] != ""
    assert home.machines.state(NAME) == "building"
    other = [home.machines.address("drs-failback-client-2", tags=OF_SERVER) for _ in range(3)]
    assert other[-1] not in {"", addresses[-1]}
    built(home, machine)
    assert home.address(NAME) == home.machines.address(NAME, tags=OF_SERVER) == addresses[-1]
    assert given_back(home, "run-1", server=SERVER)
    assert home.machines.state("drs-failback-client-2") == "absent"


def test_a_machine_that_runs_is_told_other_settings(home: SeenInside, machine: Machine) -> None:
    built(home, machine)
    for text in ("version=1\nkey=secret\n", "version=1\n", "", "ä" * 1000):
        home.machines.tell(NAME, text)
        assert home.settings(NAME) == text
    assert home.machines.build(machine) == "running"
    assert home.settings(NAME) == "ä" * 1000
    assert NAME in refusal(home, lambda: home.machines.tell(f"{NAME}-none", "version=1\n"))
    refusal(home, lambda: home.machines.tell(NAME, "x" * LONG))


def test_a_client_machine_goes_with_all_its_parts(home: SeenInside, machine: Machine) -> None:
    built(home, machine)
    built(home, replace(machine, name="drs-failback-client-2", disks=(DataDisk("other", 10, 0),)))
    calls = 1
    while not home.machines.remove(NAME):
        calls += 1
        assert calls < 10
    assert home.machines.state(NAME) == "absent"
    left = {each.name for each in home.belongings.made_by("run-1", server=SERVER)}
    assert not [name for name in left if name.startswith((NAME, "web-"))]
    assert "other" in left


def test_one_server_is_given_back_and_the_others_stay(home: SeenInside, machine: Machine) -> None:
    other = {**OF_SERVER, SERVER_TAG: "i-0fedcba9876543210"}
    disk = DataDisk("other-data", 10, 0)
    second = replace(machine, name="drs-failback-client-2", tags=other, disks=(disk,))
    built(home, machine)
    built(home, second)
    assert home.belongings.made_by("run-1", server="i-00000000000000000") == []
    whole, of_one = home.belongings.made_by("run-1"), home.belongings.made_by("run-1", server=SERVER)
    assert len(whole) > len(of_one)
    of_other = home.belongings.made_by("run-1", server=other[SERVER_TAG])
    of_run = {each.id for each in home.belongings.of_run("run-1")}
    assert of_run
    assert of_run == {each.id for each in whole} - {each.id for each in (*of_one, *of_other)}
    listed = given_back(home, "run-1", server=SERVER)
    assert {("machine", NAME), ("disk", "web-boot"), ("disk", "web-data")} < set(listed)
    assert listed[0] == ("machine", NAME)
    assert home.machines.state(NAME) == "absent"
    assert home.machines.state(second.name) == "running"
    assert home.disks(second.name) == places(home, disk)
    assert home.images.find(KEY) is not None


@pytest.mark.embedded
@pytest.mark.parametrize("tags", [{}, run_tags("run-2", datetime(2026, 1, 2, tzinfo=UTC), server=SERVER)],
                         ids=["somebody", "another-run"])  # fmt: skip
@pytest.mark.parametrize(("kind", "name"), [("machine", NAME), ("disk", "web-data"), ("interface", NAME)])
def test_what_somebody_else_made_is_not_built_on(
    home: SeenInside, machine: Machine, kind: Kind, name: str, tags: dict[str, str]
) -> None:
    home.occupy(kind, name, tags)
    assert name in refusal(home, lambda: built(home, machine))
    if kind == "interface":
        assert name in refusal(home, lambda: home.machines.address(NAME, tags=OF_SERVER))
    if kind == "machine" and not tags:
        with pytest.raises(NotGivenBack):
            home.machines.remove(NAME)
    given_back(home, "run-1", server=SERVER)
    if kind == "machine":
        assert home.machines.state(NAME) == "running"


@pytest.mark.embedded
@pytest.mark.parametrize(
    "change",
    [
        {"disks": (DataDisk("a", 10, 3), DataDisk("b", 10, 3))},
        {"disks": (DataDisk("a", 10, 0), DataDisk("a", 10, 1))},
        {"disks": (DataDisk("a", 10, 200),)},
        {"disks": (DataDisk("a", 0, 0),)},
        {"disks": tuple(DataDisk(f"d{lun}", 10, lun) for lun in range(200))},
        {"size": "Standard_None"},
        {"user_data": "x" * LONG},
    ],
    ids=["lun", "name", "high-lun", "no-size", "too-many", "size", "settings"],
)
def test_a_machine_that_cannot_be(home: SeenInside, machine: Machine, change: dict[str, Any]) -> None:
    refusal(home, lambda: built(home, replace(machine, **change)))
    given_back(home, "run-1", server=SERVER)
    assert home.machines.state(NAME) == "absent"


def test_an_image_or_an_identity_that_is_not_there(home: SeenInside, machine: Machine) -> None:
    assert "none" in refusal(home, lambda: built(home, replace(machine, image=home.unknown)))
    unknown = home.identity + "-none"
    assert unknown in refusal(home, lambda: built(home, replace(machine, identity=unknown)))


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_size_that_is_offered_does(home: SeenInside, machine: Machine, firmware: Firmware) -> None:
    needs = MachineNeeds(firmware, disks=5, cpus=3)
    size = home.machines.offer(needs)
    assert home.machines.offer(replace(needs, size=size)) == size
    assert home.machines.offer(MachineNeeds(firmware, disks=0)) != size
    many = tuple(DataDisk(f"d{lun}", 10, lun) for lun in range(5))
    assert built(home, replace(machine, firmware=firmware, disks=many, size=size))[-1] == "running"
    large = home.machines.offer(MachineNeeds(firmware, disks=32, cpus=33, memory_gib=128))
    assert large not in {"", size}


def test_a_size_that_lacks_something_is_refused_with_what_it_lacks(home: SeenInside) -> None:
    needs = MachineNeeds("bios", disks=0)
    small = home.machines.offer(needs)
    for change, what in (({"cpus": 1000}, "1000"), ({"memory_gib": 5000.0}, "5000"), ({"disks": 1000}, "1000")):
        wish = refusal(home, lambda change=change: home.machines.offer(replace(needs, size=small, **change)))  # type: ignore[misc]
        assert small in wish
        assert what in wish
        assert what in refusal(home, lambda change=change: home.machines.offer(replace(needs, **change)))  # type: ignore[misc]
    assert "Standard_None" in refusal(home, lambda: home.machines.offer(replace(needs, size="Standard_None")))
