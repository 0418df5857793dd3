"""Machine types and disk types on offer: a few of each series that decides what can boot where.

Source: cloud.google.com, "Machine families resource and comparison guide" and "Persistent Disk" (limits).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcloud.google.front import named
from localcloud.google.refusals import Json, refuse_absent, refuse_value
from localcloud.google.state import ROOT, ResourceId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localcloud.google.front import Method
    from localcloud.google.state import CloudState

# The moment that tables say they were made.
_EVER = "1969-12-31T16:00:00.000-08:00"


@dataclass(frozen=True, slots=True)
class Series:
    """What the machines of one series have in common. `bus` is that of persistent disks."""

    name: str
    bus: str = "SCSI"
    nic_types: tuple[str, ...] = ("VIRTIO_NET", "GVNIC")
    architecture: str = "X86_64"
    disk_types: tuple[str, ...] = ("pd-standard", "pd-balanced", "pd-ssd")
    uefi_only: bool = False


@dataclass(frozen=True, slots=True)
class MachineType:
    """One type: processors, memory in MiB, and how many disks with how many GB in all."""

    series: Series
    name: str
    cpus: int
    memory_mib: int
    shared: bool = False

    @property
    def most_disks(self) -> int:
        """Persistent disks, the boot disk among them."""
        return 16 if self.shared else 128

    @property
    def most_gigabytes(self) -> int:
        """Of all its disks together."""
        return 3072 if self.shared else 263168


_E2, _N1, _N2 = Series("e2"), Series("n1"), Series("n2")
_C3 = Series("c3", "NVME", ("GVNIC",), disk_types=("pd-balanced", "pd-ssd"), uefi_only=True)
_T2A = Series("t2a", "NVME", ("GVNIC", "VIRTIO_NET"), "ARM64", uefi_only=True)
# Cores, and MiB of memory for each.
_STANDARD = ((_E2, (2, 4, 8, 16, 32), 4096), (_N1, (1, 2, 4, 8, 16, 32), 3840), (_N2, (2, 4, 8, 16, 32, 48), 4096),
             (_C3, (4, 8, 22), 4096), (_T2A, (1, 2, 4, 8), 4096))  # fmt: skip
MACHINE_TYPES = {
    each.name: each
    for each in (
        MachineType(_E2, "e2-micro", 2, 1024, shared=True),
        MachineType(_E2, "e2-small", 2, 2048, shared=True),
        MachineType(_E2, "e2-medium", 2, 4096, shared=True),
        MachineType(_E2, "e2-highmem-2", 2, 16384),
        MachineType(_N2, "n2-highcpu-2", 2, 2048),
        *(
            MachineType(series, f"{series.name}-standard-{cpus}", cpus, cpus * memory)
            for series, several, memory in _STANDARD
            for cpus in several
        ),
    )
}
DISK_TYPES = {"pd-standard": "10GB-65536GB", "pd-balanced": "10GB-65536GB", "pd-ssd": "10GB-65536GB"}


def machine_type_of(url: object, state: CloudState, scope: str, field: str) -> MachineType:
    """The machine type that a URL names, in the zone."""
    place = state.place(url, "machineTypes", field)
    found = MACHINE_TYPES.get(place.name)
    if found is None:
        refuse_value(field, url, f"Machine type with name '{place.name}' does not exist in zone '{scope[6:]}'.")
    if place.scope != scope:
        refuse_value(field, url, f"The machine type has to be in {scope}.")
    return found


def disk_type_of(url: object, state: CloudState, scope: str, field: str) -> str:
    """The name of the disk type that a URL names, in the zone."""
    place = state.place(url, "diskTypes", field)
    if place.name not in DISK_TYPES or place.scope != scope:
        refuse_absent(str(place))
    return place.name


def link_to(project: str, scope: str, collection: str, name: str) -> str:
    """The URL of something in a table."""
    return f"{ROOT}projects/{project}/{scope}/{collection}/{name}"


@dataclass(slots=True)
class MachineTypes:
    """The table of machine types, the same in each zone."""

    project: str
    collection: str = "machineTypes"
    scope: str = "zones"
    kind: str = "machineType"
    methods: Mapping[str, Method] = field(default_factory=dict)

    def one(self, resource_id: ResourceId) -> Json:
        """A type's document."""
        return named(self, resource_id)

    def every(self, scope: str) -> Iterable[Json]:
        """All types."""
        for number, each in enumerate(MACHINE_TYPES.values(), 1):
            yield {
                "kind": "compute#machineType", "id": str(number), "name": each.name, "creationTimestamp": _EVER,
                "description": f"{each.cpus} vCPUs {each.memory_mib / 1024:g} GB RAM", "guestCpus": each.cpus,
                "memoryMb": each.memory_mib, "imageSpaceGb": 0, "isSharedCpu": each.shared,
                "maximumPersistentDisks": each.most_disks, "maximumPersistentDisksSizeGb": str(each.most_gigabytes),
                "architecture": each.series.architecture, "zone": scope.partition("/")[2],
                "selfLink": link_to(self.project, scope, self.collection, each.name),
            }  # fmt: skip


@dataclass(slots=True)
class DiskTypes:
    """The table of disk types, the same in each zone."""

    project: str
    collection: str = "diskTypes"
    scope: str = "zones"
    kind: str = "diskType"
    methods: Mapping[str, Method] = field(default_factory=dict)

    def one(self, resource_id: ResourceId) -> Json:
        """A type's document."""
        return named(self, resource_id)

    def every(self, scope: str) -> Iterable[Json]:
        """All types."""
        for number, (name, sizes) in enumerate(DISK_TYPES.items(), 1):
            yield {
                "kind": "compute#diskType", "id": str(number), "name": name, "creationTimestamp": _EVER,
                "defaultDiskSizeGb": "500" if name == "pd-standard" else "100", "validDiskSize": sizes,
                "zone": f"{ROOT}projects/{self.project}/{scope}",
                "selfLink": link_to(self.project, scope, self.collection, name),
            }  # fmt: skip
