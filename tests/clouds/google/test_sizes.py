"""Machine types by what the zone's list says of them: which is picked, and what a named one is refused for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core.exceptions import Forbidden, NotFound
from google.cloud.compute_v1 import DeprecationStatus, MachineType

from failback.clouds.google.place import GooglePlace
from failback.clouds.google.sizes import CANDIDATES, Sizes, series_of
from failback.errors import CloudRefused
from failback.home_ports import MachineNeeds
from tests.clouds.google.services import TARGET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.target import GoogleTarget

NEEDS = MachineNeeds("bios", disks=2)


def kind(name: str, **changes: Any) -> MachineType:  # noqa: ANN401 - any field
    """A type as the SDK gives it."""
    able = {"guest_cpus": 2, "memory_mb": 8192, "maximum_persistent_disks": 128, "architecture": "X86_64"}
    return MachineType(name=name, **able | changes)


@dataclass
class Shelf:
    """The SDK's client of machine types, as far as it's called: gives `listed`, or fails; `custom` aren't listed."""

    listed: Sequence[MachineType] = ()
    custom: Sequence[MachineType] = ()
    error: Exception | None = None
    read: list[tuple[str, str]] = field(default_factory=list)

    @property
    def machine_types(self) -> Shelf:
        return self

    def list(self, *, project: str, zone: str) -> Sequence[MachineType]:
        """Like the SDK's."""
        self.read.append((project, zone))
        if self.error:
            raise self.error
        return self.listed

    def get(self, *, project: str, zone: str, machine_type: str) -> MachineType:
        """Like the SDK's."""
        found = next((each for each in self.custom if each.name == machine_type), None)
        if found is None:
            raise NotFound(machine_type)  # type: ignore[no-untyped-call]
        return found


def sizes(*listed: MachineType, target: GoogleTarget = TARGET, **more: Any) -> tuple[Sizes, Shelf]:  # noqa: ANN401
    shelf = Shelf(listed, **more)
    clients: Any = shelf
    return Sizes(GooglePlace(target, clients)), shelf


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"name": "c3-standard-4"}, "the series c3"),
        ({"architecture": "ARM64"}, "its architecture is ARM64"),
        ({"deprecated": DeprecationStatus(state="OBSOLETE")}, "it's obsolete there"),
        ({"guest_cpus": 0}, "it has 0 processors, 1 are needed"),
        ({"memory_mb": 7680}, "it has 7.5 GiB of memory, 8 are needed"),
        ({"maximum_persistent_disks": 2}, "it has 1 disks besides the boot disk, 2 are needed"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_type_that_lacks_something_is_not_picked_and_the_wish_is_refused_with_it(
    changes: dict[str, Any], missing: str
) -> None:
    lacking = kind(**{"name": "n2-standard-2", **changes})
    offered, _ = sizes(lacking)
    with pytest.raises(CloudRefused, match="offers no machine type of the series e2, n2"):
        offered.pick(NEEDS)
    with pytest.raises(CloudRefused) as caught:
        offered.pick(replace(NEEDS, size=lacking.name))
    assert missing in str(caught.value)
    assert lacking.name in str(caught.value)


def test_of_those_that_suit_the_smallest_is_picked_and_of_equals_the_cheapest_series() -> None:
    shared = kind("e2-micro", memory_mb=16384, guest_cpus=1)
    four = kind("e2-standard-4", guest_cpus=4, memory_mb=16384)
    memory = kind("e2-highmem-2", memory_mb=16384)
    first, second = kind("e2-standard-2"), kind("n2-standard-2")
    for listed, picked in (
        ((shared, four, memory, second, first), "e2-standard-2"),
        ((shared, four, memory, second), "n2-standard-2"),
        ((shared, four, memory), "e2-highmem-2"),
        ((shared, four), "e2-standard-4"),
    ):
        assert sizes(*listed)[0].pick(NEEDS) == picked
    offered, shelf = sizes(four, first)
    assert offered.pick(replace(NEEDS, cpus=3)) == "e2-standard-4"
    assert offered.pick(NEEDS) == "e2-standard-2"
    assert shelf.read == [("office-home", "europe-west3-a")]
    assert {"e2-standard", "n1-highmem"} < set(CANDIDATES)


def test_the_target_s_own_type_is_judged_like_a_wish_which_comes_before_it() -> None:
    target = TARGET.model_copy(update={"machine_type": "n2-standard-8"})
    offered, _ = sizes(kind("n2-standard-8"), kind("e2-standard-2"), target=target)
    assert offered.pick(NEEDS) == "n2-standard-8"
    assert offered.pick(replace(NEEDS, size="e2-standard-2")) == "e2-standard-2"
    with pytest.raises(CloudRefused, match="e2-standard-3 doesn't do in europe-west3-a: it isn't among"):
        offered.pick(replace(NEEDS, size="e2-standard-3"))


def test_types_of_one_s_own_measure_are_asked_for_by_name() -> None:
    offered, _ = sizes(custom=[kind("n2-custom-4-16384"), kind("custom-1-8192", guest_cpus=1)])
    assert offered.pick(replace(NEEDS, size="n2-custom-4-16384")) == "n2-custom-4-16384"
    assert offered.pick(replace(NEEDS, size="custom-1-8192")) == "custom-1-8192"
    assert [series_of(each) for each in ("custom-1-8192", "n2d-custom-2-4096")] == ["n1", "n2d"]
    with pytest.raises(CloudRefused, match="it isn't among"):
        offered.pick(replace(NEEDS, size="n2-custom-2-2"))


def test_where_the_list_may_not_be_read_a_named_type_is_taken_as_it_is() -> None:
    offered, _ = sizes(error=Forbidden("no"))  # type: ignore[no-untyped-call]
    assert offered.pick(replace(NEEDS, size="x-1")) == "x-1"
    with pytest.raises(Forbidden):
        offered.pick(NEEDS)
