"""What is there from the start: the project, its region and zones, networks, and quotas.

Source: the descriptions of Project, Region, Zone, Network and Subnetwork in the SDK's messages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from localcloud.google.catalog import MACHINE_TYPES
from localcloud.google.front import named
from localcloud.google.refusals import GoogleRefusal, Json
from localcloud.google.state import ROOT, ResourceId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localcloud.google.front import Method
    from localcloud.google.state import CloudState, Resource

_EVER = "1969-12-31T16:00:00.000-08:00"
QUOTAS: Mapping[str, float] = {
    "CPUS": 72, "INSTANCES": 72, "DISKS_TOTAL_GB": 8192, "SSD_TOTAL_GB": 8192, "SNAPSHOTS": 1000, "IMAGES": 100,
}  # fmt: skip
"""Limits that are kept, by their metrics; the last two are the project's, the others the region's."""
_GLOBAL = ("SNAPSHOTS", "IMAGES")


@dataclass(frozen=True, slots=True)
class Network:
    """A VPC network and its subnetworks' ranges by their names, all in the one region; a shared one is a project's."""

    name: str
    subnetworks: Mapping[str, str]
    project: str = ""

    def add_to(self, state: CloudState, region: str) -> None:
        """Make the network and its subnetworks known, where they aren't."""
        project = self.project or state.project
        network = ResourceId(project, "global", "networks", self.name)
        if state.find(network):
            return
        subnetworks = [ResourceId(project, f"regions/{region}", "subnetworks", each) for each in self.subnetworks]
        document: Json = {"autoCreateSubnetworks": False, "subnetworks": [each.link for each in subnetworks]}
        state.add(state.new(network, document, kind="network"))
        for place in subnetworks:
            cidr = IPv4Network(self.subnetworks[place.name])
            document = {"network": network.link, "ipCidrRange": str(cidr), "gatewayAddress": str(cidr[1]),
                        "privateIpGoogleAccess": False, "purpose": "PRIVATE", "stackType": "IPV4_ONLY"}  # fmt: skip
            state.add(state.new(place, document, kind="subnetwork"))


@dataclass(slots=True)
class Quotas:
    """What's used of each limit, and the refusal of more."""

    state: CloudState
    region: str
    limits: Mapping[str, float]

    def take(self, metric: str, amount: float = 1) -> None:
        """Refuse what would go beyond a limit."""
        if self.used(metric) + amount > self.limits[metric]:
            where = "globally" if metric in _GLOBAL else f"in region {self.region}"
            message = f"Quota '{metric}' exceeded.  Limit: {self.limits[metric]:.1f} {where}."
            raise GoogleRefusal(403, "quotaExceeded", message)

    def used(self, metric: str) -> float:
        """How much of it is used now."""
        if metric in ("DISKS_TOTAL_GB", "SSD_TOTAL_GB"):
            standard = metric == "DISKS_TOTAL_GB"
            return sum(
                int(each.document["sizeGb"])
                for each in self.state.of("disks")
                if each.document["type"].endswith("/pd-standard") == standard
            )
        if metric == "CPUS":
            return sum(_cpus(each) for each in self.state.of("instances"))
        return sum(1 for _ in self.state.of(metric.lower()))

    def documents(self, *, of_project: bool) -> list[Json]:
        """As a project or a region shows them."""
        return [
            {"metric": metric, "limit": limit, "usage": self.used(metric)}
            for metric, limit in self.limits.items()
            if (metric in _GLOBAL) == of_project
        ]


def _cpus(instance: Resource) -> int:
    """A terminated instance's processors don't count."""
    name = instance.document["machineType"].rpartition("/")[2]
    return 0 if instance.document["status"] == "TERMINATED" else MACHINE_TYPES[name].cpus


@dataclass(slots=True)
class Projects:
    """The one project."""

    quotas: Quotas
    service_account: str
    collection: str = "projects"
    scope: str = ""
    kind: str = "project"
    methods: Mapping[str, Method] = field(default_factory=dict)

    def one(self, resource_id: ResourceId) -> Json:
        """The project's document."""
        return named(self, resource_id)

    def every(self, scope: str) -> Iterable[Json]:
        """The project alone."""
        project = self.quotas.state.project
        yield {
            "kind": "compute#project", "id": "1", "creationTimestamp": _EVER, "name": project,
            "commonInstanceMetadata": {"kind": "compute#metadata", "fingerprint": "AAAAAAAAAAA="},
            "defaultServiceAccount": self.service_account, "selfLink": f"{ROOT}projects/{project}",
            "quotas": self.quotas.documents(of_project=True), "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
            "defaultNetworkTier": "PREMIUM",
        }  # fmt: skip


@dataclass(slots=True)
class Regions:
    """The one region."""

    quotas: Quotas
    zones: tuple[str, ...]
    collection: str = "regions"
    scope: str = ""
    kind: str = "region"
    methods: Mapping[str, Method] = field(default_factory=dict)

    def one(self, resource_id: ResourceId) -> Json:
        """The region's document."""
        return named(self, resource_id)

    def every(self, scope: str) -> Iterable[Json]:
        """The region alone."""
        base = f"{ROOT}projects/{self.quotas.state.project}"
        yield {
            "kind": "compute#region", "id": "1", "creationTimestamp": _EVER, "name": self.quotas.region,
            "status": "UP", "selfLink": f"{base}/regions/{self.quotas.region}",
            "zones": [f"{base}/zones/{zone}" for zone in self.zones],
            "quotas": self.quotas.documents(of_project=False),
        }  # fmt: skip


@dataclass(slots=True)
class Zones:
    """The region's zones."""

    project: str
    region: str
    zones: tuple[str, ...]
    collection: str = "zones"
    scope: str = ""
    kind: str = "zone"
    methods: Mapping[str, Method] = field(default_factory=dict)

    def one(self, resource_id: ResourceId) -> Json:
        """A zone's document."""
        return named(self, resource_id)

    def every(self, scope: str) -> Iterable[Json]:
        """All of them."""
        base = f"{ROOT}projects/{self.project}"
        for number, zone in enumerate(self.zones, 1):
            yield {
                "kind": "compute#zone", "id": str(number), "creationTimestamp": _EVER, "name": zone, "status": "UP",
                "region": f"{base}/regions/{self.region}", "selfLink": f"{base}/zones/{zone}",
                "availableCpuPlatforms": ["Intel Broadwell", "Intel Skylake", "Intel Ice Lake"],
            }  # fmt: skip


@dataclass(slots=True)
class Networking:
    """Networks or subnetworks: what was there from the start."""

    state: CloudState
    collection: str
    scope: str
    kind: str
    methods: Mapping[str, Method] = field(default_factory=dict)

    def one(self, resource_id: ResourceId) -> Json:
        """A network's document."""
        return self.state.get(resource_id).document

    def every(self, scope: str) -> Iterable[Json]:
        """The project's own."""
        found = self.state.of(self.collection, scope)
        return [each.document for each in found if each.id.project == self.state.project]
