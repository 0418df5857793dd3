"""Sizes by what the SKU list says of them: which is picked, and what a named one is refused for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.compute.models import ResourceSku

from failback.clouds.azure.place import AzurePlace
from failback.clouds.azure.sizes import CANDIDATES, Sizes
from failback.errors import CloudRefused
from failback.home_ports import MachineNeeds
from tests.clouds.azure.embedded import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterable

    from failback.model.target import AzureTarget

NEEDS = MachineNeeds("bios", disks=2)
ABLE = {
    "vCPUs": "2", "MemoryGB": "8", "MaxDataDiskCount": "4", "HyperVGenerations": "V1,V2",
    "DiskControllerTypes": "SCSI, NVMe", "CpuArchitectureType": "x64", "MaxResourceVolumeMB": "0", "PremiumIO": "True",
}  # fmt: skip


def sku(name: str, *, kind: str = "virtualMachines", restricted: str = "", **changes: str | None) -> ResourceSku:
    """A size as the SDK gives it; a capability that's None isn't there."""
    able = {**ABLE, **changes}
    restrictions = [{"type": restricted, "reasonCode": "NotAvailableForSubscription"}] if restricted else []
    listed = [{"name": each, "value": value} for each, value in able.items() if value is not None]
    return ResourceSku({"name": name, "resourceType": kind, "restrictions": restrictions, "capabilities": listed})


@dataclass
class Shelf:
    """The SDK's operations of the SKU list, as far as they're called: gives `skus`, or fails."""

    skus: Iterable[ResourceSku] = ()
    status: int = 200
    filters: list[str] = field(default_factory=list)

    @property
    def resource_skus(self) -> Shelf:
        return self

    def list(self, *, filter: str) -> Iterable[ResourceSku]:
        """Like the SDK's."""
        self.filters.append(filter)
        if self.status != 200:
            error = HttpResponseError("no")
            error.status_code = self.status
            raise error
        return self.skus


def sizes(*skus: ResourceSku, status: int = 200, target: AzureTarget = TARGET) -> tuple[Sizes, Shelf]:
    shelf: Any = Shelf(skus, status)
    return Sizes(AzurePlace(target, shelf, shelf)), shelf


def wishing(size: str | None = None, **changes: Any) -> AzureTarget:  # noqa: ANN401 - any field
    """A target with a size of its own."""
    return TARGET.model_copy(update={"size": size, **changes})


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"restricted": "Location"}, "restrictions"),
        ({"kind": "disks"}, "isn't among the sizes"),
        ({"HyperVGenerations": "V2"}, "HyperVGenerations is V2, V1 is needed"),
        ({"DiskControllerTypes": "NVMe"}, "DiskControllerTypes is NVMe, SCSI is needed"),
        ({"CpuArchitectureType": "Arm64"}, "CpuArchitectureType is Arm64"),
        ({"MemoryGB": "7"}, "MemoryGB is 7, 8 is needed"),
        ({"vCPUs": None}, "vCPUs is 0, 1 is needed"),
        ({"MaxDataDiskCount": "1"}, "MaxDataDiskCount is 1, 2 is needed"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_size_that_lacks_something_is_not_picked_and_the_wish_is_refused_with_it(
    changes: dict[str, Any], missing: str
) -> None:
    offered, _ = sizes(sku("Standard_D2s_v5", **changes))
    with pytest.raises(CloudRefused, match="no machine size of the usual families"):
        offered.pick(NEEDS)
    with pytest.raises(CloudRefused) as caught:
        offered.pick(replace(NEEDS, size="Standard_D2s_v5"))
    assert missing in str(caught.value)
    assert "Standard_D2s_v5" in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"restricted": "Zone"},
        {"DiskControllerTypes": None},
        {"HyperVGenerations": None},
        {"CpuArchitectureType": None},
        {"PremiumIO": "False"},
    ],
    ids=str,
)
def test_a_size_suits_also_where_the_list_leaves_out_what_went_without_saying(changes: dict[str, Any]) -> None:
    offered, _ = sizes(sku("Standard_D2s_v5", **changes))
    assert offered.pick(NEEDS) == "Standard_D2s_v5"


def test_of_those_that_suit_the_smallest_is_picked_without_a_temporary_disk_if_possible() -> None:
    temporary = sku("Standard_B2ms", MaxResourceVolumeMB="16384")
    four = sku("Standard_D4s_v5", vCPUs="4", MemoryGB="16", MaxDataDiskCount="8")
    memory = sku("Standard_E2s_v5", MemoryGB="16")
    general, burst = sku("Standard_D2s_v5"), sku("Standard_B2s_v2")
    for offered, picked in (
        ((temporary, four, memory, burst, general), "Standard_D2s_v5"),
        ((temporary, four, memory, burst), "Standard_B2s_v2"),
        ((temporary, four, memory), "Standard_E2s_v5"),
        ((temporary, four), "Standard_D4s_v5"),
        ((temporary,), "Standard_B2ms"),
    ):
        assert sizes(*offered)[0].pick(NEEDS) == picked
    several, _ = sizes(temporary, four, memory, burst, general)
    assert several.pick(replace(NEEDS, disks=5)) == "Standard_D4s_v5"
    assert several.pick(replace(NEEDS, memory_gib=9)) == "Standard_E2s_v5"


def test_there_are_candidates_for_every_server_up_to_96_processors() -> None:
    assert {"Standard_D2s_v5", "Standard_D64s_v5", "Standard_E96s_v5", "Standard_B2ms"} < set(CANDIDATES)
    large = sku("Standard_D64s_v5", vCPUs="64", MemoryGB="256", MaxDataDiskCount="32")
    offered, shelf = sizes(sku("Standard_D2s_v5"), large)
    assert offered.pick(MachineNeeds("uefi", disks=32, cpus=64, memory_gib=256)) == "Standard_D64s_v5"
    assert offered.pick(NEEDS) == "Standard_D2s_v5"
    assert shelf.filters == ["location eq 'westeurope'"]


def test_premium_disks_of_the_target_s_take_a_size_that_has_them() -> None:
    target = wishing(disk_sku="Premium_LRS")
    offered, _ = sizes(sku("Standard_D2s_v5", PremiumIO="False"), sku("Standard_D2s_v4"), target=target)
    assert offered.pick(NEEDS) == "Standard_D2s_v4"
    with pytest.raises(CloudRefused, match="PremiumIO is False, True is needed"):
        offered.pick(replace(NEEDS, size="Standard_D2s_v5"))


def test_the_target_s_own_size_is_judged_like_a_wish_which_comes_before_it() -> None:
    own, wished = sku("Standard_F4s"), sku("Standard_D2s_v5")
    offered, _ = sizes(own, wished, target=wishing("standard_f4S"))
    assert offered.pick(NEEDS) == "Standard_F4s"
    assert offered.pick(replace(NEEDS, size="Standard_D2s_v5")) == "Standard_D2s_v5"
    with pytest.raises(CloudRefused, match="standard_f4S doesn't do in westeurope: MaxDataDiskCount is 4"):
        offered.pick(replace(NEEDS, disks=9))


def test_where_the_list_may_not_be_read_a_named_size_is_taken_as_it_is() -> None:
    offered, _ = sizes(status=403, target=wishing("Standard_X"))
    assert offered.pick(NEEDS) == "Standard_X"
    for status, target in ((403, TARGET), (500, wishing("Standard_X"))):
        with pytest.raises(HttpResponseError):
            sizes(status=status, target=target)[0].pick(NEEDS)
