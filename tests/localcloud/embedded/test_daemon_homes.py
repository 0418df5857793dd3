"""The process with the embedded clouds, with both homes: a run to Google, with machines there."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import boto3
import pytest

from localcloud.azure.cloud import AzureSettings
from localcloud.embedded.control import StartOptions, start, stop
from localcloud.embedded.synthesis import ROOT, synthesise, write_deployment
from localcloud.guests.marks import MARK
from tests.client_iso import ClientIso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.embedded.state_file import EmbeddedState

# On a busy machine the template alone takes minutes.
pytestmark = pytest.mark.timeout(480)
LONGEST = 240.0


@pytest.fixture
def assembly(tmp_path: Path) -> Path:
    """A deployment with both homes; kept under `build`, as whole runs' tests have the same."""
    defaults, out = AzureSettings(tmp_path, (), {}), ROOT / "build/test-google-cdk.out"
    file = write_deployment(
        ROOT / "build/test-google-deployment.json",
        subscription=defaults.subscription,
        tenant=defaults.tenant,
        google=True,
    )
    synthesise(file, out)
    return out


@pytest.fixture
def state(tmp_path: Path, assembly: Path) -> Iterator[EmbeddedState]:
    folder, iso = tmp_path / "local", ClientIso().write(tmp_path)
    options = StartOptions(
        iso=iso, machines="scripted", assembly=assembly, wait_scale=0.02, homes=("google", "azure"), servers=0
    )
    yield start(folder, options)
    stop(folder)


def test_a_run_to_google_has_its_boot_test(state: EmbeddedState, tmp_path: Path) -> None:
    assert state.targets == {"google-home": "google", "azure-home": "azure"}
    assert state.target == "google-home"
    session = boto3.session.Session("local", "local", region_name=state.region)
    states = session.client("stepfunctions", endpoint_url=state.aws_url)
    request = json.dumps({"goal": "prepare", "target": state.target})
    arn = states.start_execution(stateMachineArn=state.outputs["StateMachineArn"], name="run", input=request)
    end = time.monotonic() + LONGEST
    while (told := states.describe_execution(executionArn=arn["executionArn"]))["status"] == "RUNNING":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert told["status"] == "SUCCEEDED", told
    assert json.loads(told["output"])["boot_test"]["facts"]["mark"].startswith("ready")
    (console,) = (tmp_path / "local/clouds/machines").glob("*/console.log")
    assert f"{MARK} ready run=run".encode() in console.read_bytes()
