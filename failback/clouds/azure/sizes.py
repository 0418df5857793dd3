"""Picks a machine size for throw-away machines by what the location offers.

Source: "Resource SKUs - List" (Microsoft.Compute/skus 2021-07-01) and the names of its capabilities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failback.errors import CloudRefused

if TYPE_CHECKING:
    from failback.clouds.azure.place import AzurePlace
    from failback.clouds.azure.variants import Generation

CANDIDATES = (
    "Standard_B2ms", "Standard_B2as_v2", "Standard_B2s_v2", "Standard_D2s_v5", "Standard_D2as_v5", "Standard_D2s_v4",
    "Standard_D2s_v3", "Standard_D2as_v4", "Standard_D2ds_v5", "Standard_E2s_v5", "Standard_E2s_v3", "Standard_D4s_v5",
    "Standard_D4s_v3",
)  # fmt: skip
"""In the order of preference: small and cheap first, then what most subscriptions have a quota for."""

MEMORY_GB = 8.0
"""The client refuses less than 3.8 GB and has its root file system in memory; a nominal 4 GiB is borderline."""


def pick_size(place: AzurePlace, generation: Generation) -> str:
    """The target's own size, or the first candidate that the location offers and that boots `generation`."""
    if place.target.size:
        return place.target.size
    location = place.target.location
    listed = place.compute.resource_skus.list(filter=f"location eq '{location}'")
    offered = {str(sku.name) for sku in listed if _suits(sku, generation)}
    for name in CANDIDATES:
        if name in offered:
            return name
    message = (
        f"{location} offers this subscription none of the machine sizes that boot generation {generation} from a SCSI "
        f"disk with {MEMORY_GB:g} GiB: {', '.join(CANDIDATES)}. Ask for quota in that location, or name a size of your "
        "own as `size` of the target."
    )
    raise CloudRefused(message)


def _suits(sku: Any, generation: Generation) -> bool:  # noqa: ANN401 - the SDK's model
    if sku.resource_type != "virtualMachines" or sku.restrictions:
        return False
    able = {each.name: each.value for each in sku.capabilities or [] if each.value}
    # Sizes of before NVMe name no controller: SCSI is all they have.
    return (
        generation in able.get("HyperVGenerations", "V1").split(",")
        and "SCSI" in able.get("DiskControllerTypes", "SCSI")
        and able.get("CpuArchitectureType", "x64") == "x64"
        and float(able.get("MemoryGB", 0)) >= MEMORY_GB
    )
