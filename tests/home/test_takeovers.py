"""What every home keeps to with machines as wholes: taken over, copied, put together, restored, handed over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from failback.errors import CloudRefused, OriginalChanged
from failback.naming import PREFIX, RUN_TAG, run_tags
from failback.takeover_ports import Arrangement, Attachment, ClientDisk, DiskCopy
from tests.home.originals import OWN_SETTINGS, SIZES, WEB, home_with_original

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from failback.model.original import Original
    from tests.home.originals import HomeWithOriginal

RUN, SERVER = "run-1", "i-0123456789abcdef0"
STARTED = datetime(2026, 1, 2, tzinfo=UTC)
TAGS = run_tags(RUN, STARTED, server=SERVER)
OTHERS = run_tags("run-2", STARTED, server=SERVER)
DISKS = ("system", "data-1", "data-5")
CLIENT = "client-disk"
DANCE = ("off", "copied", "client disk", "client runs", "put together", "runs")


@pytest.fixture(params=["memory", "azure", pytest.param("google", marks=pytest.mark.embedded)])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HomeWithOriginal]:
    """A fresh home."""
    with home_with_original(request.param, tmp_path, monkeypatch) as home:
        yield home


def until_done(call: Callable[[], bool], *, most: int = 20) -> int:
    """Call again and again, as the stages do; once done it stays done."""
    for number in range(1, most):
        if call():
            assert call()
            return number
    raise AssertionError(call)


def found(home: HomeWithOriginal, name: str = WEB) -> Original:
    """The machine, which is there."""
    machine = home.takeovers.find(name)
    assert machine is not None
    return machine


def refused(home: HomeWithOriginal, call: Callable[[], object], kind: type[Exception] = CloudRefused) -> str:
    """What the call is refused with, for good."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the home's own error, which is translated
        never_done(call)
    error = home.our_error(caught.value)
    assert type(error) is kind, error
    return str(error)


def never_done(call: Callable[[], object]) -> None:
    """Call as often as anything takes."""
    for _ in range(20):
        call()


def copies(home: HomeWithOriginal) -> list[DiskCopy]:
    """Clones of all disks of the machine."""
    return [DiskCopy(home.disk_id(name), f"{name}-clone", f"{name}-snapshot", TAGS) for name in DISKS]


def client_disk(home: HomeWithOriginal) -> ClientDisk:
    return ClientDisk(CLIENT, home.image, "linux", "bios", TAGS)


def with_client(home: HomeWithOriginal, before: Original) -> Arrangement:
    """The machine that was taken over, booting the client with all clones attached."""
    data = tuple(Attachment(f"{name}-clone", lun) for lun, name in enumerate(DISKS))
    return Arrangement(WEB, CLIENT, "linux", "bios", running=True, tags=TAGS, data=data, user_data="version=1\n",
                       identity=home.identity, like=before)  # fmt: skip


def at_home(before: Original, *, running: bool = True) -> Arrangement:
    """The machine with the replicated disks in the places of its own."""
    return Arrangement(WEB, "system-clone", "linux", "bios", running=running, tags=TAGS, data=in_place(before),
                       like=before)  # fmt: skip


def in_place(before: Original) -> tuple[Attachment, ...]:
    """The clones of the data disks, attached as those themselves were."""
    return tuple(Attachment(f"{each.name}-clone", each.lun or 0, each.caching) for each in before.disks[1:])


def danced(home: HomeWithOriginal, before: Original, upto: str) -> None:
    """Go through the steps of taking over up to one, the client writing to the clones on the way."""
    steps: dict[str, Callable[[], bool]] = {
        "off": lambda: home.takeovers.power_off(WEB),
        "copied": lambda: home.takeovers.copy(copies(home)),
        "client disk": lambda: home.takeovers.client_disk(client_disk(home)),
        "client runs": lambda: home.takeovers.arrange(with_client(home, before)),
        "put together": lambda: home.takeovers.arrange(at_home(before, running=False)),
        "runs": lambda: home.takeovers.arrange(at_home(before)),
    }
    for step in DANCE[: DANCE.index(upto) + 1]:
        until_done(steps[step])
        if step == "client runs":
            home.write("system-clone", "replicated")


def given_back(home: HomeWithOriginal) -> list[str]:
    """Remove what the run has made; gives the kinds in the order in which they were listed."""
    made = home.belongings.made_by(RUN, server=SERVER)
    kinds = [each.kind for each in made]
    for _ in range(10):
        if all([home.belongings.remove(each) for each in made]):
            return kinds
    raise AssertionError(made)


def test_a_machine_is_read_as_it_stands(home: HomeWithOriginal) -> None:
    machine = found(home)
    assert (machine.name, machine.os, machine.firmware, machine.running) == (WEB, "linux", "bios", True)
    assert [(each.name, each.lun, each.size_gib) for each in machine.disks] == [
        (name, home.luns.get(name), SIZES[name]) for name in DISKS
    ]
    assert [each.id for each in machine.disks] == [home.disk_id(name) for name in DISKS]
    assert machine.disks[1].caching == home.caching
    assert machine.address == home.seen(WEB).address
    assert (machine.obstacles, machine.barriers) == ((), ())
    assert home.takeovers.find("none") is None


def test_the_whole_way(home: HomeWithOriginal) -> None:
    """Take the machine over, put the replicated disks in, and hand it over."""
    before, own = found(home), home.seen(WEB)
    home.write("data-5", "of home")
    danced(home, before, "client runs")
    seen = home.seen(WEB)
    assert (seen.boot, seen.data) == (CLIENT, home.places(with_client(home, before).data))
    assert len(seen.data) == len(DISKS)
    assert (seen.user_data, seen.address) == ("version=1\n", own.address)
    assert {each.lower() for each in seen.identities} == {each.lower() for each in home.together(own.identities)}
    assert home.read("data-5-clone") == "of home"
    assert RUN_TAG not in home.tags("machine", WEB)
    assert home.tags("snapshot", "system-snapshot")[RUN_TAG] == RUN
    danced(home, before, "runs")
    seen = home.seen(WEB)
    assert (seen.boot, seen.data) == ("system-clone", home.places(in_place(before)))
    assert [place for place in seen.data] == [place for place in own.data]
    assert (seen.user_data, seen.identities, seen.address) == (OWN_SETTINGS, own.identities, own.address)
    assert home.read("system-clone") == "replicated"
    assert found(home).disks[1].caching == home.caching
    until_done(lambda: home.takeovers.hand_over(WEB, run=RUN))
    for kind, name in (("machine", WEB), ("disk", "system-clone"), ("disk", "data-1-clone")):
        assert not [tag for tag in home.tags(kind, name) if tag.startswith(PREFIX)]
    assert home.tags("machine", WEB)["owner"] == "web"
    kinds = given_back(home)
    assert kinds == ["disk", "snapshot", "snapshot", "snapshot"]
    assert found(home).running
    assert home.seen(WEB) == seen
    assert home.read("data-5") == "of home"


@pytest.mark.parametrize("step", DANCE)
def test_it_is_restored_from_wherever_it_stands(home: HomeWithOriginal, step: str) -> None:
    before, own = found(home), home.seen(WEB)
    home.write("system", "of home")
    danced(home, before, step)
    until_done(lambda: home.takeovers.restore(before))
    after = found(home)
    assert home.standing(after) == home.standing(before)
    assert (after.running, after.disks, after.address) == (True, before.disks, before.address)
    assert home.seen(WEB) == own
    assert home.read("system") == "of home"
    given_back(home)
    assert home.belongings.made_by(RUN) == []
    assert found(home) == after


@pytest.mark.parametrize("first", [2, 4])
def test_a_restoring_may_begin_in_the_middle_of_an_arranging(home: HomeWithOriginal, first: int) -> None:
    before = found(home)
    danced(home, before, "client disk")
    for _ in range(first):
        home.takeovers.arrange(with_client(home, before))
    until_done(lambda: home.takeovers.restore(before))
    assert home.standing(found(home)) == home.standing(before)


def test_a_machine_that_was_off_and_was_told_nothing(home: HomeWithOriginal) -> None:
    until_done(lambda: home.takeovers.restore(home.silent(found(home))))
    before = found(home)
    assert not before.running
    danced(home, before, "client runs")
    assert home.seen(WEB).user_data == "version=1\n"
    until_done(lambda: home.takeovers.restore(before))
    assert home.standing(found(home)) == home.standing(before)
    assert not found(home).running


def test_nothing_changes_once_it_stands(home: HomeWithOriginal) -> None:
    before = found(home)
    danced(home, before, "client runs")
    changes = home.changes()
    for _ in range(2):
        assert home.takeovers.copy(copies(home))
        assert home.takeovers.client_disk(client_disk(home))
        assert home.takeovers.arrange(with_client(home, before))
    assert home.changes() == changes


def test_a_snapshot_only(home: HomeWithOriginal) -> None:
    (whole, *_) = copies(home)
    until_done(lambda: home.takeovers.copy([replace(whole, name="")]))
    assert [each.kind for each in home.belongings.made_by(RUN)] == ["snapshot"]
    missing = replace(whole, source=home.disk_id("none"), snapshot="none-snapshot")
    assert "none" in refused(home, lambda: home.takeovers.copy([missing]))


def test_a_new_machine_of_disks_that_are_there(home: HomeWithOriginal) -> None:
    until_done(lambda: home.takeovers.power_off(WEB))
    until_done(lambda: home.takeovers.copy(copies(home)))
    wanted = Arrangement("home-1", "system-clone", "linux", "bios", running=True, tags=TAGS,
                         data=(Attachment("data-5-clone", 3, home.caching),))  # fmt: skip
    until_done(lambda: home.takeovers.arrange(wanted))
    seen = home.seen("home-1")
    assert (seen.boot, seen.data) == ("system-clone", home.places(wanted.data))
    assert (seen.user_data, seen.identities) == ("", frozenset())
    assert home.tags("machine", "home-1")[RUN_TAG] == RUN
    # Its disk is let go of, and it stays off.
    until_done(lambda: home.takeovers.arrange(replace(wanted, data=(), running=False)))
    machine = found(home, "home-1")
    assert (machine.running, len(machine.disks)) == (False, 1)
    until_done(lambda: home.takeovers.hand_over("home-1", run=RUN))
    assert not [tag for tag in home.tags("machine", "home-1") if tag.startswith(PREFIX)]
    assert not [each for each in home.belongings.made_by(RUN) if each.name.startswith("home-1")]
    assert home.takeovers.hand_over("none", run=RUN)


def test_a_disk_of_a_machine_that_is_off_is_taken_out_of_it(home: HomeWithOriginal) -> None:
    before = found(home)
    until_done(lambda: home.takeovers.power_off(WEB))
    until_done(lambda: home.takeovers.copy(copies(home)))
    helper = Arrangement("helper", "system-clone", "linux", "bios", running=True, tags=TAGS,
                         data=(Attachment("data-1-clone", 0), Attachment("data-5-clone", 1)))  # fmt: skip
    until_done(lambda: home.takeovers.arrange(helper))
    until_done(lambda: home.takeovers.client_disk(client_disk(home)))
    wanted = replace(at_home(before), boot=CLIENT)
    assert "helper" in refused(home, lambda: home.takeovers.arrange(wanted))
    until_done(lambda: home.takeovers.power_off("helper"))
    until_done(lambda: home.takeovers.arrange(wanted))
    assert home.seen(WEB).data == home.places(in_place(before))
    assert "helper" in refused(home, lambda: home.takeovers.arrange(at_home(before)))
    until_done(lambda: home.takeovers.restore(before))
    assert home.standing(found(home)) == home.standing(before)
    until_done(lambda: home.takeovers.hand_over("helper", run=RUN))
    left = {(each.kind, each.name) for each in home.belongings.made_by(RUN)}
    assert {("disk", CLIENT), ("disk", "data-1-clone"), ("snapshot", "system-snapshot")} < left
    assert not {("disk", "system-clone"), ("machine", "helper")} & left


def test_what_is_another_runs_stays(home: HomeWithOriginal) -> None:
    before = found(home)
    danced(home, before, "client disk")
    others = replace(at_home(before), tags=OTHERS)
    assert "system-clone" in refused(home, lambda: home.takeovers.arrange(others))
    home.occupy("somebodys", OTHERS)
    mixed = replace(at_home(before), data=(Attachment("somebodys", 1),))
    assert "somebodys" in refused(home, lambda: home.takeovers.arrange(mixed))
    home.occupy("in-the-way", {})
    assert "in-the-way" in refused(
        home, lambda: home.takeovers.client_disk(replace(client_disk(home), name="in-the-way"))
    )
    (copy, *_) = copies(home)
    assert refused(home, lambda: home.takeovers.copy([replace(copy, name="in-the-way")]))
    assert refused(home, lambda: home.takeovers.copy([replace(copy, tags=OTHERS)]))
    of_another = replace(copy, source=home.disk_id("data-1"))
    assert "system-snapshot" in refused(home, lambda: home.takeovers.copy([of_another]))
    until_done(lambda: home.takeovers.arrange(with_client(home, before)))
    taken = Arrangement(WEB, "system", "linux", "bios", running=True, tags=OTHERS, like=before)
    assert WEB in refused(home, lambda: home.takeovers.arrange(taken))
    assert WEB in refused(home, lambda: home.takeovers.arrange(replace(at_home(before), like=None)))
    assert "none" in refused(home, lambda: home.takeovers.arrange(replace(at_home(before), boot="none")))


def test_a_machine_that_is_gone_or_is_another_one(home: HomeWithOriginal) -> None:
    before = found(home)
    danced(home, before, "copied")
    gone = before.model_copy(update={"name": "gone"})
    refused(home, lambda: home.takeovers.restore(gone), OriginalChanged)
    refused(home, lambda: home.takeovers.arrange(replace(at_home(before), machine="gone")), OriginalChanged)
    assert home.takeovers.power_off("gone")


def test_signs_of_life(home: HomeWithOriginal) -> None:
    signs = home.signs.look(WEB)
    assert (signs.running, signs.address, signs.agent) == (True, found(home).address, None)
    home.agent_says(WEB, "up")
    assert home.signs.look(WEB).agent
    until_done(lambda: home.takeovers.power_off(WEB))
    signs = home.signs.look(WEB)
    assert (signs.running, signs.agent) == (False, None)
    signs = home.signs.look("none")
    assert (signs.running, signs.address, signs.console) == (False, "", "")
