"""What every home keeps to, whatever it is: images, throw-away machines, and giving back."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from failback.errors import ImportFailed
from failback.home_ports import MachineToBuild as Machine
from failback.naming import image_name, run_tags

if TYPE_CHECKING:
    from failback.home_ports import ImageContent, ImageImport
    from failback.model.run import HomeImage
    from tests.home.conftest import HomeInTest

KEY = "0123456789abcdef0123"
TAGS = run_tags("run-1", datetime(2026, 1, 2, tzinfo=UTC), image=KEY)


LONGEST = 1200.0
"""Seconds that a real cloud may take; at an embedded one a test's own time-out comes before."""


def imported(home: HomeInTest, content: ImageContent) -> tuple[HomeImage, list[ImageImport]]:
    """Import by as many calls as it takes; the cloud makes the image beside, in its own time."""
    steps, ends = [home.images.advance(KEY, content, cursor={}, tags=TAGS)], monotonic() + LONGEST
    while steps[-1].image is None:
        assert monotonic() < ends
        steps.append(home.images.advance(KEY, content, cursor=steps[-1].cursor, tags=TAGS))
    return steps[-1].image, steps


def built(home: HomeInTest, machine: Machine) -> list[str]:
    """Build by as many calls as it takes."""
    states: list[str] = [home.machines.build(machine)]
    ends = monotonic() + LONGEST
    while states[-1] == "building":
        assert monotonic() < ends
        states.append(home.machines.build(machine))
    return states


def test_an_image_comes_home_in_slices_and_is_there_only_as_a_whole(home: HomeInTest) -> None:
    content = home.client_image()
    first = home.images.advance(KEY, content, cursor={}, tags=TAGS)
    assert first.image is None
    assert 0 < first.sent < first.total == content.size
    assert home.images.find(KEY) is None
    image, steps = imported(home, content)
    assert len(steps) > 1
    sent = [step.sent for step in steps]
    assert sent == sorted(sent)
    assert sent[-1] == content.size
    assert home.disk(KEY) == home.raw(content)
    assert image == home.images.find(KEY)
    assert (image.name, image.key, image.tested) == (image_name(KEY), KEY, False)
    assert home.images.find("0" * 20) is None


def test_importing_what_is_there_is_done_at_once(home: HomeInTest) -> None:
    content = home.client_image()
    image, _ = imported(home, content)
    again = home.images.advance(KEY, content, cursor={}, tags=TAGS)
    assert again.image == image
    assert again.sent == content.size


def test_a_slice_may_be_sent_again(home: HomeInTest) -> None:
    content = home.client_image()
    first = home.images.advance(KEY, content, cursor={}, tags=TAGS)
    for _ in range(2):
        second = home.images.advance(KEY, content, cursor=first.cursor, tags=TAGS)
    image = second.image
    while image is None:
        second = home.images.advance(KEY, content, cursor=second.cursor, tags=TAGS)
        image = second.image
    assert home.disk(KEY) == home.raw(content)


def test_a_size_that_no_disk_has_is_refused(home: HomeInTest) -> None:
    with pytest.raises(ImportFailed, match="export"):
        imported(home, home.misshaped())
    assert home.images.find(KEY) is None


def test_a_boot_test_is_kept_with_the_image(home: HomeInTest) -> None:
    image, _ = imported(home, home.small_image())
    assert home.images.note_test(image, "ready run=run-1 server=boot-test").tested
    found = home.images.find(KEY)
    assert found is not None
    assert found.tested
    assert found.id == image.id


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_machine_is_built_speaks_and_goes(home: HomeInTest, firmware: str) -> None:
    image, _ = imported(home, home.small_image())
    machine = Machine("drs-failback-test-1", image, "uefi" if firmware == "uefi" else "bios", "version=1\n", TAGS)
    assert home.machines.state(machine.name) == "absent"
    assert home.machines.console(machine.name) == ""
    assert built(home, machine)[-1] == "running"
    assert home.machines.build(machine) == "running"
    home.say(machine.name, "hello\r\n")
    assert home.machines.console(machine.name).endswith("hello\r\n")
    home.power_off(machine.name)
    assert home.machines.state(machine.name) == home.machines.build(machine) == "stopped"
    assert home.machines.console(machine.name).endswith("hello\r\n")
    calls = 1
    while not home.machines.remove(machine.name):
        calls += 1
        assert calls < 10
    assert home.machines.state(machine.name) == "absent"
    assert home.machines.remove(machine.name)
    assert home.images.find(KEY) is not None


def test_giving_back_finds_a_runs_things_only_and_removes_them_in_order(home: HomeInTest) -> None:
    image, _ = imported(home, home.small_image())
    other = run_tags("run-2", datetime(2026, 1, 2, tzinfo=UTC))
    built(home, Machine("drs-failback-test-1", image, "bios", "version=1\n", TAGS))
    built(home, Machine("drs-failback-test-2", image, "bios", "version=1\n", other))
    assert home.belongings.made_by("run-0") == []
    made = home.belongings.made_by("run-1")
    assert image_name(KEY) in {each.name for each in made}
    assert not [each for each in made if "test-2" in each.name]
    assert all(each.name in home.belongings.command(each) for each in made)
    assert made[0].kind == "machine"
    rounds = 0
    while made := home.belongings.made_by("run-1"):
        rounds += 1
        assert rounds < 10
        for each in made:
            home.belongings.remove(each)
    assert home.machines.state("drs-failback-test-1") == "absent"
    assert home.machines.state("drs-failback-test-2") == "running"
    assert home.images.find(KEY) is None


def test_removing_what_is_gone_is_fine(home: HomeInTest) -> None:
    imported(home, home.small_image())
    (image,) = home.belongings.made_by("run-1")
    while not home.belongings.remove(image):
        pass
    assert home.belongings.remove(image)
