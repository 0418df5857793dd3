"""The real SDK's clients of an embedded Google under test, and what the tests do with them again and again."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import Credentials
from google.cloud import compute_v1

from failback.errors import MachineError
from localcloud.google.images import StoredObject
from localcloud.google_identity.refusal import ApiRefusal
from localcloud.sparse_files import data_ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from localcloud.azure.clock import VirtualClock
    from localcloud.google.cloud import GoogleCompute
    from localcloud.google.driver import MachineSpec
    from localcloud.google.refusals import Json

Client = TypeVar("Client")
GIB = 1 << 30
ZONE, REGION = "europe-west4-a", "europe-west4"
TOKEN, USER = "a-good-token", "stage@embedded-home.iam.gserviceaccount.com"
ACCOUNT, UNIQUE_ID = "failback-client@embedded-home.iam.gserviceaccount.com", "112233445566778899001"
SUBNETWORK = f"regions/{REGION}/subnetworks/servers"
OLD_GNU = ("--format=oldgnu", "-S")
FEATURES = ("VIRTIO_SCSI_MULTIQUEUE", "UEFI_COMPATIBLE")


class Bearer(Credentials):
    """Credentials that have their token already."""

    def __init__(self, token: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = token

    def refresh(self, request: object) -> None:
        """There's no other token."""


@dataclass
class RecordedMachine:
    """A machine that does nothing: on until it's stopped, or until the test lets its guest power off."""

    spec: MachineSpec
    is_running: bool = True
    text: bytes = b""

    def console(self) -> bytes:
        """What the test lets it say."""
        return self.text

    def stop(self) -> None:
        """Turn it off."""
        self.is_running = False

    def refresh(self, spec: MachineSpec) -> None:
        """Take the new metadata."""
        self.spec = spec


@dataclass
class RecordingDriver:
    """Starts machines that do nothing and keeps them, in the order of their starts."""

    machines: list[RecordedMachine] = field(default_factory=list)
    fault: str = ""

    def start(self, spec: MachineSpec) -> RecordedMachine:
        """Start one, or fail as the test wants it."""
        if self.fault:
            raise MachineError(self.fault)
        self.machines.append(RecordedMachine(spec, text=f"boot {len(self.machines) + 1}\n".encode()))
        return self.machines[-1]


@dataclass
class TokenGate:
    """Knows one token, whose owner may do everything but what's in `denied`."""

    denied: set[str] = field(default_factory=set)

    def verify(self, access_token: str, scopes: Collection[str] = ()) -> str:
        """See Gate."""
        if access_token != TOKEN:
            raise ApiRefusal(401, "authError", "Invalid Credentials")
        return USER

    def allows(self, principal: str, permission: str, *resources: str) -> bool:
        """See Gate."""
        return principal == USER and permission not in self.denied


@dataclass
class Bucket:
    """Objects of one bucket as files in a folder."""

    folder: Path
    name: str = "images"

    def read_object(self, bucket: str, name: str) -> StoredObject | None:
        """The object of that name."""
        path = self.folder / name
        return StoredObject(path, "AAAAAA==") if bucket == self.name and path.exists() else None

    def put(self, name: str, data: bytes) -> str:
        """Keep an object; gives its URL as images name it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(data)
        return f"https://storage.googleapis.com/{self.name}/{name}"


@dataclass
class Google:
    """A served cloud and the SDK's clients of it."""

    cloud: GoogleCompute
    url: str
    bucket: Bucket
    token: str = TOKEN

    @property
    def project(self) -> str:
        """The cloud's project."""
        return self.cloud.settings.project

    def client(self, kind: Callable[..., Client]) -> Client:
        """One of the SDK's clients."""
        return kind(credentials=Bearer(self.token), client_options=ClientOptions(api_endpoint=self.url))

    @cached_property
    def disks(self) -> compute_v1.DisksClient:
        """Disks."""
        return self.client(compute_v1.DisksClient)

    @cached_property
    def images(self) -> compute_v1.ImagesClient:
        """Images."""
        return self.client(compute_v1.ImagesClient)

    @cached_property
    def instances(self) -> compute_v1.InstancesClient:
        """Instances."""
        return self.client(compute_v1.InstancesClient)

    @cached_property
    def snapshots(self) -> compute_v1.SnapshotsClient:
        """Snapshots."""
        return self.client(compute_v1.SnapshotsClient)

    @cached_property
    def addresses(self) -> compute_v1.AddressesClient:
        """Addresses."""
        return self.client(compute_v1.AddressesClient)

    def look(self, operation: compute_v1.Operation) -> compute_v1.Operation:
        """An operation as it's now."""
        name = operation.name
        if operation.zone:
            return self.client(compute_v1.ZoneOperationsClient).get(project=self.project, zone=ZONE, operation=name)
        if operation.region:
            client = self.client(compute_v1.RegionOperationsClient)
            return client.get(project=self.project, region=REGION, operation=name)
        return self.client(compute_v1.GlobalOperationsClient).get(project=self.project, operation=name)

    def ended(self, operation: compute_v1.Operation) -> compute_v1.Operation:
        """An operation that must be done; one beside the calls is waited for."""
        if operation.target_link.rpartition("/images/")[1]:
            client = self.client(compute_v1.GlobalOperationsClient)
            operation = client.wait(project=self.project, operation=operation.name)
        found = self.look(operation)
        assert found.status == compute_v1.Operation.Status.DONE
        return found

    def good(self, operation: compute_v1.Operation) -> compute_v1.Operation:
        """An operation that must have ended well."""
        found = self.ended(operation)
        assert not found.error.errors, found.error
        return found

    def failed(self, operation: compute_v1.Operation, code: str, text: str = "") -> None:
        """An operation that must have ended with this error."""
        found = self.ended(operation)
        (error,) = found.error.errors
        assert error.code == code
        assert text in error.message

    def zonal(self, call: Callable[..., compute_v1.Operation], **arguments: object) -> compute_v1.Operation:
        """A call in the zone that must end well."""
        return self.good(call(project=self.project, zone=ZONE, **arguments))

    def raw(self, method: str, path: str, body: object = None, *, token: str | None = None) -> tuple[int, Json]:
        """One plain request below the project, for what no SDK would send."""
        head = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        url = f"{self.url}/compute/v1/projects/{self.project}{path}"
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, method=method, headers=head, data=data)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def disk(self, name: str, **fields: object) -> str:
        """A disk of 10 GB that can boot by UEFI; gives its partial URL."""
        given = {"size_gb": 10, "guest_os_features": [{"type_": each} for each in FEATURES]} | fields
        said = {key: value for key, value in given.items() if value is not None}
        self.zonal(self.disks.insert_unary, disk_resource=compute_v1.Disk(name=name, **said))
        return f"zones/{ZONE}/disks/{name}"

    def machine(self, name: str, *sources: str, **fields: object) -> compute_v1.Instance:
        """An instance on these disks, the first of them to boot from."""
        disks = [{"source": source, "boot": not index} for index, source in enumerate(sources)]
        given: dict[str, Any] = {
            "machine_type": f"zones/{ZONE}/machineTypes/e2-standard-2",
            "disks": disks,
            "network_interfaces": [{"subnetwork": SUBNETWORK}],
        }
        return compute_v1.Instance(name=name, **(given | fields))

    def create(self, instance: compute_v1.Instance) -> compute_v1.Instance:
        """Make an instance and give it as it's then."""
        self.zonal(self.instances.insert_unary, instance_resource=instance)
        return self.get(instance.name)

    def get(self, name: str) -> compute_v1.Instance:
        """An instance."""
        return self.instances.get(project=self.project, zone=ZONE, instance=name)

    def stop(self, name: str) -> None:
        """Stop an instance."""
        self.zonal(self.instances.stop_unary, instance=name)


@dataclass
class TestedGoogle(Google):
    """The cloud under test, with its clock and its driver."""

    __test__ = False
    clock: VirtualClock = field(kw_only=True)
    driver: RecordingDriver = field(kw_only=True)
    gate: TokenGate = field(kw_only=True)


@contextmanager
def refused(reason: str, text: str = "", *, status: int | None = None) -> Iterator[None]:
    """The block has to end with this error of the service."""
    with pytest.raises(GoogleAPICallError) as caught:
        yield
    error = caught.value
    (detail,) = [each["reason"] for each in error.errors]
    assert detail == reason, error
    assert text in str(error)
    if status is not None:
        assert error.code == status


def request_id(number: int) -> str:
    """A request id that says which it is."""
    return str(uuid.UUID(int=number))


def archive(
    folder: Path, *pieces: tuple[int, bytes], more: Sequence[str] = (), options: Sequence[str] = OLD_GNU
) -> bytes:
    """A tar.gz by GNU tar: `disk.raw` of a GiB with these pieces, and `more`, which stays in the folder."""
    folder.mkdir(exist_ok=True)
    with (folder / "disk.raw").open("wb") as file:
        file.truncate(GIB)
        for at, data in pieces:
            file.seek(at)
            file.write(data)
    tar = subprocess.run(
        ["tar", *options, "-cf", "-", "-C", folder, "disk.raw", *more], check=True, stdout=subprocess.PIPE
    )
    return gzip.compress(tar.stdout, 1)


def same_content(one: Path, other: Path) -> bool:
    """Whether two sparse files hold the same, as far as the shorter one goes."""
    size = min(one.stat().st_size, other.stat().st_size)
    with one.open("rb") as first, other.open("rb") as second:
        parts = [*data_ranges(first.fileno(), 0, size), *data_ranges(second.fileno(), 0, size)]
        return all(
            os.pread(first.fileno(), end - start, start) == os.pread(second.fileno(), end - start, start)
            for start, end in parts
        )


def archive_of(files: dict[str, bytes], *, form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar.gz of files."""
    result = io.BytesIO()
    with tarfile.open(fileobj=result, mode="w:gz", compresslevel=1, format=form) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return result.getvalue()
