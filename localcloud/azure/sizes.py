"""The machine sizes on offer, as the SKU list shows them: a few of each sort that decides what can boot where.

Source: Azure's published size tables; the capabilities' names are those of `ResourceSku.capabilities`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.azure.refusals import ArmRefusal, Json, refuse_value

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILTER = re.compile(r"location eq '([^']*)'")


@dataclass(frozen=True, slots=True)
class MachineSize:
    """One size: cores, memory in MiB, GiB of its temporary disk, and what it can boot and attach."""

    name: str
    family: str
    cores: int
    memory_mib: int
    generations: tuple[str, ...]
    controllers: tuple[str, ...]
    architecture: str = "x64"
    most_data_disks: int = 8
    temporary_gib: int = 0
    premium: bool = True
    trusted_launch: bool = True
    restricted: bool = False

    def sku(self, location: str) -> Json:
        """Its entry in the SKU list."""
        capabilities = {
            "vCPUs": str(self.cores), "MemoryGB": f"{self.memory_mib / 1024:g}", "PremiumIO": str(self.premium),
            "HyperVGenerations": ",".join(self.generations), "CpuArchitectureType": self.architecture,
            "MaxDataDiskCount": str(self.most_data_disks), "DiskControllerTypes": ", ".join(self.controllers),
            "TrustedLaunchDisabled": str(not self.trusted_launch), "AcceleratedNetworkingEnabled": "True",
            "MaxResourceVolumeMB": str(self.temporary_gib * 1024),
        }  # fmt: skip
        restriction = {"type": "Location", "values": [location], "restrictionInfo": {"locations": [location]},
                       "reasonCode": "NotAvailableForSubscription"}  # fmt: skip
        return {
            "resourceType": "virtualMachines", "name": self.name, "tier": "Standard", "family": self.family,
            "size": self.name.removeprefix("Standard_"), "locations": [location],
            "locationInfo": [{"location": location, "zones": [], "zoneDetails": []}],
            "restrictions": [restriction] if self.restricted else [],
            "capabilities": [{"name": name, "value": value} for name, value in capabilities.items()],
        }  # fmt: skip


_BOTH, _SCSI = ("V1", "V2"), ("SCSI",)
# Cores, and how many data disks: 4 GiB of memory for each core.
_DSV5 = ((2, 4), (4, 8), (8, 16), (16, 32), (32, 32), (48, 32), (64, 32))
SIZES = {
    size.name: size
    for size in (
        MachineSize("Standard_B2s", "standardBSFamily", 2, 4096, _BOTH, _SCSI, most_data_disks=4, temporary_gib=8),
        MachineSize("Standard_B2ms", "standardBSFamily", 2, 8192, _BOTH, _SCSI, most_data_disks=4, temporary_gib=16),
        MachineSize("Standard_D2_v3", "standardDv3Family", 2, 8192, _BOTH, _SCSI, most_data_disks=4, temporary_gib=50,
                    premium=False),
        MachineSize("Standard_D2s_v3", "standardDSv3Family", 2, 8192, _BOTH, _SCSI, most_data_disks=4,
                    temporary_gib=16),
        MachineSize("Standard_D2s_v4", "standardDSv4Family", 2, 8192, _BOTH, _SCSI, most_data_disks=4, restricted=True),
        *(
            MachineSize(f"Standard_D{cores}s_v5", "standardDSv5Family", cores, cores * 4096, _BOTH, _SCSI,
                        most_data_disks=disks)
            for cores, disks in _DSV5
        ),
        MachineSize("Standard_E2bds_v5", "standardEBDSv5Family", 2, 16384, _BOTH, ("SCSI", "NVMe"), temporary_gib=75),
        MachineSize("Standard_DC2s_v3", "standardDCSv3Family", 2, 16384, ("V2",), _SCSI, trusted_launch=False),
        MachineSize("Standard_D2s_v6", "standardDSv6Family", 2, 8192, ("V2",), ("NVMe",)),
        MachineSize("Standard_D2ps_v5", "standardDPSv5Family", 2, 8192, ("V2",), _SCSI, "Arm64"),
    )
}  # fmt: skip


def size_named(name: str) -> MachineSize:
    """The size of this name; names are compared without case."""
    size = next((each for each in SIZES.values() if each.name.lower() == name.lower()), None)
    return size or refuse_value(f"The value {name} provided for the VM size is not valid.", "vmSize")


@dataclass(slots=True)
class Skus:
    """The list of SKUs of one location."""

    location: str
    type: str = "Microsoft.Compute/skus"
    api_version: str = "2021-07-01"
    queries: frozenset[str] = frozenset({"$filter", "includeExtendedLocations"})

    def listing(self, query: Mapping[str, str]) -> list[Json]:
        """Every size, or none if the filter names another location."""
        text = query.get("$filter")
        match = _FILTER.fullmatch(text) if text is not None else None
        if text is not None and match is None:
            raise ArmRefusal(400, "InvalidFilter", "The only filter is: location eq '<name>'.")
        if match and match[1].lower() != self.location.lower():
            return []
        return [size.sku(self.location) for size in SIZES.values()]
