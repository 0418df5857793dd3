"""Picks the type of a machine by what the zone offers, or says what a type that's wished for lacks.

Source: the SDK's message MachineType (google-cloud-compute 1.57); "Machine families resource and comparison guide".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.clouds.google.place import found
from failback.errors import CloudRefused

if TYPE_CHECKING:
    from google.cloud import compute_v1 as compute

    from failback.clouds.google.place import GooglePlace
    from failback.home_ports import MachineNeeds

SERIES = ("e2", "n2", "n2d", "n1", "t2d")
"""Series whose disks are at virtio-scsi, and whose network may be VIRTIO_NET: all that every client has drivers for.
Unconfirmed: that none of the others has both; newer ones (C3, C4, N4 ...) have NVMe and gVNIC only."""
CANDIDATES = tuple(f"{series}-{kind}" for kind in ("standard", "highmem") for series in SERIES)
"""General types, then those with more memory. Of two that are equally large the first is taken: what's cheapest and
what every project has a quota for comes first."""
GONE = frozenset({"OBSOLETE", "DELETED"})


@dataclass(slots=True)
class Sizes:
    """The types that the target's zone offers; the list is read once, when it's first needed."""

    place: GooglePlace
    _offered: dict[str, compute.MachineType] = field(default_factory=dict)

    def pick(self, needs: MachineNeeds) -> str:
        """The wished type, else the target's own, else the smallest candidate.

        A named type is taken as it is where the list may not be read: Compute judges it then. Raises CloudRefused.
        """
        from google.api_core.exceptions import Forbidden

        wish = needs.size or self.place.target.machine_type
        try:
            self._offered = self._offered or self._read()
        except Forbidden:
            if not wish:
                raise
            return wish
        return self._judged(wish, needs) if wish else self._smallest(needs)

    def _smallest(self, needs: MachineNeeds) -> str:
        offered = self._offered
        suitable = [
            (each.guest_cpus, each.memory_mb, CANDIDATES.index(_kind(name)), name)
            for name, each in offered.items()
            if _kind(name) in CANDIDATES and not fault_of(each, needs)
        ]
        if not suitable:
            message = (
                f"{self.place.zone} offers no machine type of the series {', '.join(SERIES)} with {needs.cpus} "
                f"processors, {needs.memory_gib:g} GiB and room for {needs.disks} disks besides the boot disk. Name a "
                "`size` of your own in the request, a `machine_type` in the target, or another zone."
            )
            raise CloudRefused(message)
        return min(suitable)[-1]

    def _judged(self, wish: str, needs: MachineNeeds) -> str:
        found = self._offered.get(wish) or self._custom(wish)
        missing = fault_of(found, needs) if found else "it isn't among the machine types of that zone"
        if missing:
            message = (
                f"The machine type {wish} doesn't do in {self.place.zone}: {missing}. Name another `size` in the "
                "request (`machine_type` in the target), or none: one is picked then."
            )
            raise CloudRefused(message)
        return wish

    def _custom(self, wish: str) -> compute.MachineType | None:
        """A type of one's own measure, which no list has."""
        if "custom" not in wish.split("-"):
            return None
        place = self.place
        get = place.clients.machine_types.get
        return found(lambda: get(project=place.project, zone=place.zone, machine_type=wish))

    def _read(self) -> dict[str, compute.MachineType]:
        listed = self.place.clients.machine_types.list(project=self.place.project, zone=self.place.zone)
        return {each.name: each for each in listed}


def fault_of(offered: compute.MachineType, needs: MachineNeeds) -> str:
    """What a type lacks, with what it has of it and what's needed; empty for one that suits."""
    series = series_of(offered.name)
    if series not in SERIES:
        return f"the client isn't sure to have drivers for the series {series}; it has for {', '.join(SERIES)}"
    if offered.architecture not in {"", "X86_64"}:
        return f"its architecture is {offered.architecture}, X86_64 is needed"
    if offered.deprecated.state in GONE:
        return f"it's {offered.deprecated.state.lower()} there"
    most = offered.maximum_persistent_disks - 1
    has = (
        ("processors", offered.guest_cpus, needs.cpus),
        ("GiB of memory", offered.memory_mb / 1024, needs.memory_gib),
        ("disks besides the boot disk", most, needs.disks),
    )
    return next((f"it has {there:g} {what}, {least:g} are needed" for what, there, least in has if there < least), "")


def series_of(machine_type: str) -> str:
    """`n2` of `n2-standard-4`; a custom type without a series is of the first one, N1."""
    series = machine_type.partition("-")[0]
    return "n1" if series == "custom" else series


def _kind(name: str) -> str:
    return name.rpartition("-")[0]
