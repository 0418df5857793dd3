"""What there is of a client image decides what comes next; one run at a time works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from failback.client_image import LEASE, LEASE_TIME, ImageSearch, find_client_image, keep_lease, release_lease
from failback.errors import LeaseLost
from failback.image_export import exported_image
from failback.model.run import Ami, PublishedIso, RunState
from failback.naming import image_name
from failback.recipe import ami_key
from tests.home.memory import MemoryHomeImages
from tests.memory.clock import FixedClock
from tests.memory.machine_images import MemoryMachineImages
from tests.memory.objects import MemoryObjects
from tests.memory.run_log import MemoryRunLog
from tests.memory.snapshots import MemorySnapshots
from tests.states import event_of, state_of

if TYPE_CHECKING:
    from failback.image.grub import GrubImages

STATE = state_of("find_client_image")
PUBLISHED = PublishedIso.model_validate(event_of("fetch_iso")["find_client_image"]["facts"]["published"])


class Place:
    """Everything that's looked at."""

    def __init__(self, grub: GrubImages) -> None:
        self.objects, self.run_log, self.clock = MemoryObjects(), MemoryRunLog(), FixedClock()
        self.snapshots, self.home = MemorySnapshots(), MemoryHomeImages()
        self.amis = MemoryMachineImages(self.snapshots)
        self.asked: list[str] = []
        self.search = ImageSearch(
            objects=self.objects, machine_images=self.amis, home_images=self.home, grub=grub, published=self._published
        )

    def snapshot(self) -> str:
        """A completed one."""
        snapshot = self.snapshots.start(size_gib=1, token="t", tags={})
        self.snapshots.complete(snapshot, blocks=0)
        return snapshot

    def _published(self, version: str) -> PublishedIso:
        self.asked.append(version)
        return PUBLISHED

    def find(self, state: RunState = STATE) -> Any:  # noqa: ANN401
        return find_client_image(state, self.search, run_log=self.run_log, clock=self.clock)


@pytest.fixture
def place(grub: GrubImages) -> Place:
    return Place(grub)


def test_with_nothing_there_the_iso_is_fetched(place: Place) -> None:
    result = place.find()
    assert (result.status, result.facts.next, result.facts.format) == ("done", "fetch_iso", "vhd")
    assert result.facts.published == PUBLISHED
    assert place.asked[0] == "latest"


def test_an_ami_of_the_right_name_is_exported(place: Place) -> None:
    key = place.find().facts.key
    ami = place.amis.register(image_name(key), snapshot=place.snapshot(), size_gib=1, tags={})
    result = place.find()
    assert (result.facts.next, result.facts.found.ami) == ("export_image", ami)


def test_a_customers_own_ami_needs_no_iso(place: Place) -> None:
    ami = Ami(id="ami-0123456789abcdef0", name="ours", snapshot=place.snapshot(), size_gib=8)
    place.amis.add(ami)
    own = state_of("find_client_image", client_image={"ami": ami.id})
    result = place.find(own)
    assert (result.facts.next, result.facts.key, result.facts.published) == (
        "export_image",
        ami_key(ami.snapshot),
        None,
    )
    assert place.asked == []


def test_another_runs_work_is_waited_for(place: Place) -> None:
    now = place.clock.now()
    place.run_log.lease(LEASE, "another-run", now=now, until=now + LEASE_TIME)
    waiting = place.find()
    assert waiting.status == "pending"
    assert waiting.wait_seconds > 0
    assert "another-run" in waiting.progress.note
    place.run_log.release(LEASE, "another-run")
    assert place.find().status == "done"


def test_a_lease_that_ran_out_is_taken_over_and_its_holder_is_told(place: Place) -> None:
    other = state_of("find_client_image", run={**event_of("find_client_image")["run"], "id": "other"})
    assert place.find().status == "done"
    keep_lease(STATE, run_log=place.run_log, clock=place.clock)
    place.clock.forward(minutes=41)
    assert place.find(other).status == "done"
    with pytest.raises(LeaseLost, match="other"):
        keep_lease(STATE, run_log=place.run_log, clock=place.clock)
    release_lease(other, run_log=place.run_log)
    keep_lease(STATE, run_log=place.run_log, clock=place.clock)


def test_nothing_exported_is_nothing(place: Place) -> None:
    assert exported_image(place.objects, "0" * 20, "vhd") is None
