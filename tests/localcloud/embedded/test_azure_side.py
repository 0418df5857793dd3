"""Azure within the embedded clouds: reached by the token of a deployed role, and its faults reach the SDK."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import AzureError
from azure.identity import ClientAssertionCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.storage.blob import BlobClient
from boto3.session import Session

from localcloud.embedded.clouds import AUDIENCE, CLIENT_ID, CloudSettings, EmbeddedClouds, run_clouds
from localcloud.faults import Cut, Delay, FaultPlan, FaultRule, Lose, Status, Throttle
from tests.localcloud.azure.clients import RecordingDriver, upload_disk, uploaded_disk, write_access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.faults import Action

Sdk = Any
ROLE = "arn:aws:iam::123456789012:role/home"
SCOPES = ["https://management.azure.com/.default"]


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClouds]:
    iso = tmp_path_factory.mktemp("iso") / "x.iso"
    iso.write_bytes(b"x")
    with run_clouds(CloudSettings(tmp_path_factory.mktemp("clouds"), iso, RecordingDriver())) as running:
        running.trust_role(ROLE)
        yield running


@pytest.fixture
def compute(clouds: EmbeddedClouds, monkeypatch: pytest.MonkeyPatch) -> Iterator[ComputeManagementClient]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(clouds.azure_at.ca_file))
    session: Sdk = Session(clouds.sessions.open(role=ROLE, function="f"), "x", region_name="us-east-1")
    sts = session.client("sts", endpoint_url=clouds.aws.url)

    def assertion() -> str:
        return str(sts.get_web_identity_token(Audience=[AUDIENCE], SigningAlgorithm="RS256")["WebIdentityToken"])

    way_in: Sdk = {"authority": clouds.azure_at.base_url, "disable_instance_discovery": True}
    at_home = clouds.azure_settings
    with (
        ClientAssertionCredential(at_home.tenant, CLIENT_ID, assertion, **way_in) as credential,
        ComputeManagementClient(
            credential, at_home.subscription, clouds.azure_at.base_url, credential_scopes=SCOPES
        ) as client,
    ):
        yield client
    clouds.faults.use(FaultPlan())


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("arm", "disks/write", Throttle()),
        ("arm", "disks/write", Status(code=500)),
        ("arm", "disks/beginGetAccess", Throttle()),
        ("entra", "token", Delay(seconds=0.1)),
    ],
    ids=["write-429", "write-500", "grant-429", "token-late"],
)
def test_the_sdk_gets_over_a_fault_of_arm(
    clouds: EmbeddedClouds,
    compute: ComputeManagementClient,
    request: pytest.FixtureRequest,
    service: str,
    operation: str,
    action: Action,
) -> None:
    done, name = follow(clouds, service, operation, action), request.node.callspec.id
    uploaded_disk(compute, name)
    assert met(clouds, service)[done:] == [action]
    compute.disks.begin_delete("home", name).result()


@pytest.mark.parametrize(
    ("operation", "action", "taken"),
    [
        ("PutPage", Throttle(), False),
        ("PutPage", Status(code=500), False),
        ("PutPage", Lose(), True),
        ("GetBlob", Cut(after=100), True),
        ("GetBlob", Delay(seconds=0.1), True),
    ],
    ids=["busy", "500", "lost", "cut", "late"],
)
def test_a_fault_of_the_blobs_is_met_once(
    clouds: EmbeddedClouds,
    compute: ComputeManagementClient,
    request: pytest.FixtureRequest,
    operation: str,
    action: Action,
    taken: bool,
) -> None:
    name, content = request.node.callspec.id, os.urandom(4096)
    upload_disk(compute, name)
    done = follow(clouds, "blob", operation, action)
    with write_access(compute, name) as given, BlobClient.from_blob_url(given.url, retry_total=0) as blob:
        refused = pytest.raises(AzureError) if operation == "PutPage" else nullcontext()
        with refused:
            blob.upload_page(content, 0, len(content))
        assert (blob.download_blob(0, 4096).readall() == content) is taken
    assert met(clouds, "blob")[done:] == [action]


def follow(clouds: EmbeddedClouds, service: str, operation: str, action: Action) -> int:
    """Let the first such call meet the fault; gives how many were met before."""
    done = len(met(clouds, service))
    clouds.faults.use(FaultPlan(rules=(FaultRule(service=service, operation=operation, nth=(1,), action=action),)))
    return done


def met(clouds: EmbeddedClouds, service: str) -> list[Action]:
    """The faults that a service's calls have met, in order."""
    return [record.action for record in clouds.faults.records if record.call.service == service]
