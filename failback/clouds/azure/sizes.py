"""Picks the size of a machine by what the location offers, or says what a size that's wished for lacks.

Source: "Resource SKUs - List" (Microsoft.Compute/skus 2021-07-01) and the names of its capabilities.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.variants import GENERATIONS
from failback.errors import CloudRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.clouds.azure.place import AzurePlace
    from failback.home_ports import MachineNeeds

_CORES = (2, 4, 8, 16, 20, 32, 48, 64, 96)
_FAMILIES = ("D{}s_v5", "D{}as_v5", "E{}s_v5", "E{}as_v5", "D{}s_v4", "E{}s_v4", "D{}s_v3", "D{}as_v4", "E{}s_v3",
             "D{}ds_v5", "E{}ds_v5", "B{}s_v2", "B{}as_v2", "B{}ms")  # fmt: skip
CANDIDATES = tuple(f"Standard_{family.format(cores)}" for cores in _CORES for family in _FAMILIES)
"""General sizes, then those with more memory, up to 96 processors and 672 GiB, all able to have premium disks. Of two
that are equally large the first is taken: what most subscriptions have a quota for comes before what's seldom allowed,
and sizes that run at full speed only for a while come last."""

FORBIDDEN = 403
NO_CAPABILITY: Mapping[str, str] = {
    # Older than NVMe, than Arm64, than the capability itself: all there was when the size was new.
    "DiskControllerTypes": "SCSI",
    "CpuArchitectureType": "x64",
    "HyperVGenerations": "V1",
}
"""What a size is taken to do that doesn't say it."""


@dataclass(slots=True)
class Sizes:
    """The sizes that the target's location offers; the list is read once, when it's first needed (some MB)."""

    place: AzurePlace
    _offered: dict[str, Mapping[str, str] | None] = field(default_factory=dict)

    def pick(self, needs: MachineNeeds) -> str:
        """The wished size, else the target's own, else the smallest candidate; without a temporary disk if possible.

        A named size is taken as it is where the list may not be read: Azure judges it then. Raises CloudRefused.
        """
        from azure.core.exceptions import HttpResponseError

        wish = needs.size or self.place.target.size
        try:
            self._offered = self._offered or self._read()
        except HttpResponseError as error:
            if not wish or error.status_code != FORBIDDEN:
                raise
            return wish
        return self._judged(wish, needs) if wish else self._smallest(needs)

    def _smallest(self, needs: MachineNeeds) -> str:
        offered = self._offered
        suitable = [name for name in CANDIDATES if name in offered and not self._fault(offered[name], needs)]
        if not suitable:
            raise CloudRefused(self._nothing(needs))
        return min(suitable, key=lambda name: _largeness(offered[name] or {}))

    def _judged(self, wish: str, needs: MachineNeeds) -> str:
        name = next((each for each in self._offered if each.lower() == wish.lower()), None)
        missing = self._fault(self._offered[name], needs) if name else "it isn't among the sizes of that location"
        if missing:
            message = (
                f"The machine size {wish} doesn't do in {self.place.target.location}: {missing}. Name another `size` "
                "in the request or the target, or none: one is picked then."
            )
            raise CloudRefused(message)
        return name or wish

    def _nothing(self, needs: MachineNeeds) -> str:
        premium = " with premium disks" if self._premium else ""
        return (
            f"{self.place.target.location} offers this subscription no machine size of the usual families that boots "
            f"generation {GENERATIONS[needs.firmware]} from a SCSI disk{premium} and has {needs.cpus} processors, "
            f"{needs.memory_gib:g} GiB and room for {needs.disks} data disks. Ask for quota in that location, or name "
            "a `size` of your own in the request or the target."
        )

    @property
    def _premium(self) -> bool:
        return self.place.target.disk_sku.startswith("Premium")

    def _fault(self, capabilities: Mapping[str, str] | None, needs: MachineNeeds) -> str:
        """The capability that's missing, with what the size has of it and what's needed; empty for one that suits."""
        if capabilities is None:
            return "the subscription may not use it there (restrictions of the SKU)"
        generation = GENERATIONS[needs.firmware]
        able = {**NO_CAPABILITY, **capabilities}
        words = [("HyperVGenerations", generation), ("DiskControllerTypes", "SCSI"), ("CpuArchitectureType", "x64")]
        words += [("PremiumIO", "True")] if self._premium else []
        for name, needed in words:
            if needed not in [each.strip() for each in able.get(name, "").split(",")]:
                return f"{name} is {able.get(name, 'not there')}, {needed} is needed"
        for name, least in (("vCPUs", needs.cpus), ("MemoryGB", needs.memory_gib), ("MaxDataDiskCount", needs.disks)):
            if float(able.get(name, 0)) < least:
                return f"{name} is {able.get(name, 0)}, {least:g} is needed"
        return ""

    def _read(self) -> dict[str, Mapping[str, str] | None]:
        """Capabilities by size, None for one that the subscription may not use in that location."""
        location = self.place.target.location
        listed = self.place.compute.resource_skus.list(filter=f"location eq '{location}'")
        return {str(sku.name): _capabilities(sku) for sku in listed if sku.resource_type == "virtualMachines"}


def _capabilities(sku: Any) -> Mapping[str, str] | None:  # noqa: ANN401 - the SDK's model
    # Restrictions of single zones don't matter to machines that name no zone.
    if any(each.type == "Location" for each in sku.restrictions or []):
        return None
    return {each.name: each.value for each in sku.capabilities or [] if each.value}


def _largeness(able: Mapping[str, str]) -> tuple[bool, float, float]:
    """What to have least of: a temporary disk, which the client would find among the server's, then size."""
    return able.get("MaxResourceVolumeMB", "0") != "0", float(able["vCPUs"]), float(able["MemoryGB"])
