"""An embedded Google in a temporary folder, and the real SDK's clients of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from localcloud.azure.clock import VirtualClock
from localcloud.google.cloud import ComputeSettings, GoogleCompute
from tests.localcloud.google.clients import ACCOUNT, UNIQUE_ID, Bucket, RecordingDriver, TestedGoogle, TokenGate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def settings_changes() -> dict[str, Any]:
    """Settings of the cloud that a test wants otherwise, by parametrising this."""
    return {}


@pytest.fixture
def google(tmp_path: Path, settings_changes: dict[str, Any]) -> Iterator[TestedGoogle]:
    """A fresh cloud by a clock that only the test moves."""
    clock, driver, bucket, gate = VirtualClock(), RecordingDriver(), Bucket(tmp_path / "bucket"), TokenGate()
    settings = ComputeSettings(folder=tmp_path / "google", accounts={ACCOUNT: UNIQUE_ID}, **settings_changes)
    cloud = GoogleCompute(settings, driver=driver, gate=gate, objects=bucket, clock=clock)
    with cloud.serve() as url:
        yield TestedGoogle(cloud, url, bucket, clock=clock, driver=driver, gate=gate)
