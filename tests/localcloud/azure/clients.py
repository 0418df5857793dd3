"""The real SDK's clients of an embedded Azure under test, and what the tests do with them again and again."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientAssertionCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.storage.blob import BlobClient

from failback.errors import MachineError
from failback.sinks.vhd import vhd_footer
from localcloud.azure.user_identities import UserIdentity
from localcloud.tokens import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.azure.clock import VirtualClock
    from localcloud.azure.cloud import AzureCloud, AzureEndpoints, AzureSettings
    from localcloud.azure.driver import MachineSpec
    from localcloud.azure.refusals import Json

ISSUER, SUBJECT, AUDIENCE = (
    "https://aws.test/issuer",
    "arn:aws:iam::123456789012:role/stage",
    "api://AzureADTokenExchange",
)
CLIENT_ID = "0b4a7a31-0000-4000-8000-5d1b7f3c9e10"
SIGNER = TokenSigner()
AUTHORITY = trustme.CA()
GROUP, LOCATION = "home", "westeurope"
IDENTITY = UserIdentity(GROUP, "agent", "3c1d7e52-0000-4000-8000-c0ffee000001", "3c1d7e52-0000-4000-8000-c0ffee000002")


def assertion(**changes: object) -> str:
    """A token as AWS would give it to the stage."""
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE, "iat": now, "exp": now + 300}
    return SIGNER.sign(claims | changes)


@dataclass
class RecordedMachine:
    """A machine that does nothing: on until it's stopped, or until the test lets its guest power off."""

    spec: MachineSpec
    is_running: bool = True
    text: bytes = b""
    agent: str | None = None

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


@dataclass(frozen=True)
class AzureAccount:
    """A cloud, where it's served, and what it was made of: what a client of its has to know."""

    cloud: AzureCloud
    at: AzureEndpoints
    settings: AzureSettings

    def credential(self, **claims: object) -> ClientAssertionCredential:
        """The SDK's credential by a client assertion."""
        return ClientAssertionCredential(
            self.settings.tenant, CLIENT_ID, lambda: assertion(**claims),
            authority=self.at.base_url, disable_instance_discovery=True,
        )  # fmt: skip

    def compute(self) -> ComputeManagementClient:
        """The SDK's client of compute."""
        return ComputeManagementClient(
            base_url=self.at.base_url, credential=self.credential(), subscription_id=self.settings.subscription,
            credential_scopes=["https://management.azure.com/.default"], retry_total=0,
        )  # fmt: skip

    def network(self) -> NetworkManagementClient:
        """The SDK's client of network."""
        return NetworkManagementClient(
            base_url=self.at.base_url, credential=self.credential(), subscription_id=self.settings.subscription,
            credential_scopes=["https://management.azure.com/.default"], retry_total=0,
        )  # fmt: skip

    def raw(self, method: str, path: str, *, token: str | None = None, body: object = None) -> tuple[int, Json]:
        """One plain request below the subscription, for what no SDK would send."""
        head = {"Authorization": f"Bearer {token or self.token()}", "Content-Type": "application/json"}
        url = f"{self.at.base_url}/subscriptions/{self.settings.subscription}{path}"
        request = urllib.request.Request(url, method=method, headers=head, data=json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=self.at.ca_file)) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def token(self) -> str:
        """A bearer token for ARM."""
        return self.credential().get_token("https://management.azure.com/.default").token


@dataclass(frozen=True)
class Azure(AzureAccount):
    """The cloud under test, with its clock and its driver."""

    clock: VirtualClock
    driver: RecordingDriver


@contextmanager
def refused(code: str, text: str = "", *, status: int | None = None) -> Iterator[None]:
    """The block has to end with this error of the service."""
    with pytest.raises(HttpResponseError) as caught:
        yield
    error = caught.value
    found = getattr(error, "error_code", None) or (error.error.code if error.error else None)
    assert found == code, error
    assert text in str(error)
    if status is not None:
        assert error.status_code == status


def upload_disk(compute: ComputeManagementClient, name: str, size: int = 20 << 20, **properties: object) -> str:
    """A disk that's ready for its upload; gives its id."""
    creation: Any = {"createOption": "Upload", "uploadSizeBytes": size + 512}
    values = {"osType": "Linux", "hyperVGeneration": "V1", "creationData": creation} | properties
    body: Any = {"location": LOCATION, "properties": values}
    return made(compute.disks.begin_create_or_update(GROUP, name, body).result().id)


def write_access(compute: ComputeManagementClient, name: str, seconds: int = 3600) -> BlobClient:
    """The blob behind a disk, for writing."""
    data: Any = {"access": "Write", "durationInSeconds": seconds}
    return BlobClient.from_blob_url(made(compute.disks.begin_grant_access(GROUP, name, data).result().access_sas))


def uploaded_disk(compute: ComputeManagementClient, name: str, content: bytes = b"", **properties: object) -> str:
    """A disk whose upload is done, with `content` (whole pages) at its beginning; gives its id."""
    size = 20 << 20
    disk_id = upload_disk(compute, name, size, **properties)
    with write_access(compute, name) as blob:
        if content:
            blob.upload_page(content, 0, len(content))
        blob.upload_page(vhd_footer(size, uuid.UUID(int=1)), size, 512)
    compute.disks.begin_revoke_access(GROUP, name).result()
    return disk_id


def empty_disk(compute: ComputeManagementClient, name: str, **properties: object) -> str:
    """An empty disk of 1 GiB; gives its id."""
    values = {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}} | properties
    body: Any = {"location": LOCATION, "properties": values}
    return made(compute.disks.begin_create_or_update(GROUP, name, body).result().id)


def made(value: str | None) -> str:
    """A value that the service has to have given."""
    assert value
    return value
