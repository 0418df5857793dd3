"""An embedded Azure in a temporary folder, and the real SDK's clients of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from localcloud.azure.clock import VirtualClock
from localcloud.azure.cloud import AzureCloud, AzureSettings
from localcloud.azure.identity import FederatedCredential
from tests.localcloud.azure.clients import (
    AUDIENCE,
    AUTHORITY,
    CLIENT_ID,
    IDENTITY,
    ISSUER,
    SIGNER,
    SUBJECT,
    Azure,
    RecordingDriver,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.network import NetworkManagementClient


@pytest.fixture
def settings_changes() -> dict[str, Any]:
    """Settings of the cloud that a test wants otherwise, by parametrising this."""
    return {}


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings_changes: dict[str, Any]) -> Iterator[Azure]:
    """A fresh cloud by a clock that only the test moves."""
    clock = VirtualClock()
    settings = AzureSettings(
        folder=tmp_path / "azure",
        credentials=(FederatedCredential(CLIENT_ID, ISSUER, SUBJECT, AUDIENCE),),
        issuers={ISSUER: SIGNER.public_key},
        identities=(IDENTITY,),
        **settings_changes,
    )
    driver = RecordingDriver()
    cloud = AzureCloud(settings, driver=driver, clock=clock, authority=AUTHORITY, signer=SIGNER)
    with cloud.serve() as endpoints:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(endpoints.ca_file))
        yield Azure(cloud, endpoints, settings, clock, driver)


@pytest.fixture
def compute(azure: Azure) -> Iterator[ComputeManagementClient]:
    """The SDK's client of compute."""
    with azure.compute() as client:
        yield client


@pytest.fixture
def network(azure: Azure) -> Iterator[NetworkManagementClient]:
    """The SDK's client of network."""
    with azure.network() as client:
        yield client
