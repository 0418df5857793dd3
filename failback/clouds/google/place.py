"""The place at home that a target names: its project and zone, with the SDK's clients of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.auth.credentials import Credentials
    from google.cloud import compute_v1 as compute

    from failback.model.target import GoogleTarget

T = TypeVar("T")

ANSWER_SECONDS = 60.0
"""How long Compute may take for one answer; the SDK's own ten minutes are a stage's whole time."""
READ_AGAIN_SECONDS = 25.0
"""How long an answer that's only read is asked for again. What changes something isn't sent twice: the stage's next
call does that, by the same request id."""
READING = ("get", "list", "aggregated_list")
"""What the names of calls begin with that change nothing."""


class _Client:
    """A client of Compute whose calls have our time limits."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - any of the SDK's clients
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        from google.api_core.retry import Retry

        call = getattr(self._client, name)
        again = Retry(initial=0.5, maximum=8.0, timeout=READ_AGAIN_SECONDS) if name.startswith(READING) else None
        return partial(call, timeout=ANSWER_SECONDS, retry=again)


class _Lazily:
    """An attribute of GoogleClients: the client of that name, made when it's needed first."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __get__(self, clients: GoogleClients, _owner: type) -> Any:  # noqa: ANN401 - the attribute says which one
        return clients.client(self._kind)


def _lazily(kind: str) -> Any:  # noqa: ANN401 - as above
    return _Lazily(kind)


class GoogleClients:
    """The SDK's clients, each made when it's needed first."""

    images: compute.ImagesClient = _lazily("ImagesClient")
    disks: compute.DisksClient = _lazily("DisksClient")
    snapshots: compute.SnapshotsClient = _lazily("SnapshotsClient")
    instances: compute.InstancesClient = _lazily("InstancesClient")
    addresses: compute.AddressesClient = _lazily("AddressesClient")
    machine_types: compute.MachineTypesClient = _lazily("MachineTypesClient")
    subnetworks: compute.SubnetworksClient = _lazily("SubnetworksClient")
    zone_operations: compute.ZoneOperationsClient = _lazily("ZoneOperationsClient")
    region_operations: compute.RegionOperationsClient = _lazily("RegionOperationsClient")
    global_operations: compute.GlobalOperationsClient = _lazily("GlobalOperationsClient")
    storage: Any = _lazily("storage")
    """google.cloud.storage.Client, which has no types."""

    def __init__(self, project: str, credentials: Credentials, *, compute_url: str = "", storage_url: str = "") -> None:
        """`compute_url` and `storage_url` are where the services are, empty for the real ones."""
        self._project = project
        self._credentials = credentials
        self._urls = {"compute": compute_url, "storage": storage_url}
        self._made: dict[str, Any] = {}
        self._making = Lock()

    def client(self, kind: str) -> Any:  # noqa: ANN401 - the client of that class
        """The client of Compute whose class is called so, or `storage`'s; many threads may ask."""
        with self._making:
            if kind not in self._made:
                self._made[kind] = self._storage() if kind == "storage" else self._compute(kind)
            return self._made[kind]

    def _compute(self, kind: str) -> _Client:
        from google.cloud import compute_v1

        make = getattr(compute_v1, kind)
        return _Client(make(credentials=self._credentials, client_options=self._options("compute")))

    def _storage(self) -> Any:  # noqa: ANN401 - it has no types
        from google.cloud.storage import Client  # type: ignore[import-untyped]

        return Client(project=self._project, credentials=self._credentials, client_options=self._options("storage"))

    def _options(self, service: str) -> dict[str, str]:
        return {"api_endpoint": self._urls[service]} if self._urls[service] else {}


@dataclass(frozen=True, slots=True)
class GooglePlace:
    """Where a target's things are, and how to get at them; what isn't there is None."""

    target: GoogleTarget
    clients: GoogleClients

    @property
    def project(self) -> str:
        """The project's id."""
        return self.target.project

    @property
    def zone(self) -> str:
        """Where machines and disks are."""
        return self.target.zone

    @property
    def region(self) -> str:
        """Where addresses are."""
        return self.target.region

    @property
    def project_path(self) -> str:
        """What paths of images and snapshots begin with (`…/global/images/NAME`)."""
        return f"projects/{self.project}"

    @property
    def zone_path(self) -> str:
        """What paths of machines and disks begin with (`…/disks/NAME`)."""
        return f"{self.project_path}/zones/{self.zone}"

    @property
    def region_path(self) -> str:
        """What paths of addresses begin with (`…/addresses/NAME`)."""
        return f"{self.project_path}/regions/{self.region}"

    def disk(self, name: str) -> compute.Disk | None:
        """A persistent disk of the zone."""
        return found(lambda: self.clients.disks.get(project=self.project, zone=self.zone, disk=name))

    def snapshot(self, name: str) -> compute.Snapshot | None:
        """A snapshot of a disk."""
        return found(lambda: self.clients.snapshots.get(project=self.project, snapshot=name))

    def machine(self, name: str) -> compute.Instance | None:
        """A virtual machine of the zone."""
        return found(lambda: self.clients.instances.get(project=self.project, zone=self.zone, instance=name))

    def image(self, name: str) -> compute.Image | None:
        """An image of the project's own."""
        return found(lambda: self.clients.images.get(project=self.project, image=name))

    def address(self, name: str) -> compute.Address | None:
        """An address of the region that's kept."""
        return found(lambda: self.clients.addresses.get(project=self.project, region=self.region, address=name))


def found(get: Callable[[], T]) -> T | None:
    """What there is, or None where there's nothing of that name."""
    from google.api_core.exceptions import NotFound

    try:
        return get()
    except NotFound:
        return None


def last_part(url: str) -> str:
    """The name that a resource's URL or path ends with: `DISK` of `https://…/zones/Z/disks/DISK`."""
    return url.rpartition("/")[2]
