"""Which disks have to leave a machine, and how disks are attached, by what was there before."""

from __future__ import annotations

import pytest

from failback.clouds.google.arranging import spare
from failback.clouds.google.machine_look import Slot
from failback.clouds.google.stands import slots_wanted
from failback.model.original import Original
from failback.takeover_ports import Arrangement, Attachment

TAGS = {"drs-failback:run": "run-1"}


def slots(text: str) -> list[Slot]:
    """Capital letters are what's booted from."""
    return [Slot(f"disks/{each}", each, boot=each.isupper()) for each in text]


@pytest.mark.parametrize(
    ("found", "wanted", "gone"),
    [
        ("Abc", "Abc", ""),
        ("Acb", "Abc", ""),
        ("Abc", "Xbc", "A"),
        ("Abc", "Abd", "c"),
        ("Abc", "Axc", "cb"),
        ("Abc", "Ac", "cb"),
        ("Ab", "Abc", ""),
        ("Abc", "Xyz", "cbA"),
        ("bc", "Abc", ""),
        ("", "Abc", ""),
        ("Ab", "A", "b"),
    ],
)
def test_what_is_not_wanted_goes_with_all_that_is_behind_it(found: str, wanted: str, gone: str) -> None:
    assert "".join(each.device for each in spare(slots(found), slots(wanted))) == gone


def document(*disks: tuple[str, str, bool]) -> Original:
    """A machine of disks: their names, device names, and whether they go with it."""
    held = [
        {"source": f"https://compute/projects/p/zones/z/disks/{name}", "deviceName": device, "boot": index == 0,
         "index": index, "autoDelete": goes}
        for index, (name, device, goes) in enumerate(disks)
    ]  # fmt: skip
    return Original(name="web", id="web", os="linux", firmware="bios", running=True, address="", size="", disks=(),
                    document={"disks": held})  # fmt: skip


def test_a_disk_has_the_device_name_that_it_is_to_have_or_its_own() -> None:
    before = document(("system", "boot", True), ("data", "logs", True))
    data = (Attachment("clone", 2, "logs"), Attachment("other", 1))
    wanted = Arrangement("web", "client", "linux", "bios", running=True, tags=TAGS, data=data, like=before)
    names = ("client", "clone", "other", "system", "data")
    paths = {name: f"projects/p/zones/z/disks/{name}" for name in names}
    found = slots_wanted(wanted, paths)
    assert [(each.disk.rpartition("/")[2], each.device, each.boot) for each in found] == [
        ("client", "boot", True),
        ("other", "other", False),
        ("clone", "logs", False),
    ]
    assert not any(each.auto_delete for each in found)
    plain = Arrangement("new", "client", "linux", "bios", running=True, tags=TAGS)
    assert slots_wanted(plain, paths) == (Slot(paths["client"], "client", boot=True),)


def test_only_a_disk_that_is_back_in_its_own_place_goes_with_the_machine_again() -> None:
    before = document(("system", "boot", True), ("data", "logs", True))
    paths = {name: f"projects/p/zones/z/disks/{name}" for name in ("system", "data")}
    back = Arrangement("web", "system", "linux", "bios", running=True, tags=TAGS,
                       data=(Attachment("data", 1, "logs"),), like=before)  # fmt: skip
    assert [each.auto_delete for each in slots_wanted(back, paths)] == [True, True]
    elsewhere = Arrangement("web", "system", "linux", "bios", running=True, tags=TAGS,
                            data=(Attachment("data", 1),), like=before)  # fmt: skip
    assert [each.auto_delete for each in slots_wanted(elsewhere, paths)] == [True, False]
