"""The checks at real clouds, by the same variables at the embedded ones: all of them run, pass and leave nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from localcloud.embedded.clouds import CLIENT_ID, HOME_GROUP, HOME_LOCATION, HOME_NETWORK, HOME_SUBNET, REGION
from localcloud.embedded.synthesis import TARGET
from tests.client_iso import ClientIso
from tests.live import variables
from tests.localcloud.runs.place import ROOT, open_place

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.embedded.clouds import EmbeddedClouds
    from tests.localcloud.runs.place import Place

pytestmark = pytest.mark.embedded
ROLE = "arn:aws:iam::123456789012:role/live"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:live"
BUCKET = "live-checks"
# The checks' own number, so that none gets lost by an import that isn't made.
CHECKS = 24
SECONDS = 300


@pytest.mark.timeout(2 * SECONDS)
def test_all_checks_pass_at_the_embedded_clouds_and_leave_nothing(tmp_path: Path) -> None:
    iso = ClientIso().write(tmp_path)
    with open_place(tmp_path / "place", iso) as place:
        place.clouds.objects.add_bucket(BUCKET)
        before = place.listing()
        report = tmp_path / "report.xml"
        command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "live", "tests/live", f"--junit-xml={report}"]
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT, env=surroundings(place, tmp_path), capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:]
        (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
        counted = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
        assert counted == {"tests": CHECKS, "failures": 0, "errors": 0, "skipped": 0}
        assert place.listing() == before


def surroundings(place: Place, folder: Path) -> dict[str, str]:
    """The environment of somebody who has accounts, which are the embedded clouds."""
    clouds = place.clouds
    key = clouds.sessions.open(role=ROLE, function=FUNCTION)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AZURE_", "FAILBACK_"))}
    return {
        **kept,
        "AWS_ENDPOINT_URL": clouds.aws.url,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AZURE_TENANT_ID": clouds.azure_settings.tenant,
        "AZURE_CLIENT_ID": CLIENT_ID,
        "AZURE_FEDERATED_TOKEN_FILE": str(token_file(clouds, key, folder)),
        "REQUESTS_CA_BUNDLE": str(clouds.azure_at.ca_file),
        variables.AWS_REGION: REGION,
        variables.AWS_BUCKET: BUCKET,
        variables.AWS_TOKEN: "yes",
        variables.AZURE_TARGET: str(target_file(clouds, folder)),
        variables.AZURE_ARM: clouds.azure_at.base_url,
        variables.AZURE_AUTHORITY: clouds.azure_at.base_url,
        variables.STACK: place.deployed.stack,
        variables.STACK_TARGET: TARGET,
        variables.LOOK_SECONDS: "0.05",
    }


def token_file(clouds: EmbeddedClouds, key: str, folder: Path) -> Path:
    """An identity token that the embedded Entra takes, where azure-identity looks for one."""
    import boto3
    from botocore.config import Config

    clouds.trust_role(ROLE)
    session = boto3.Session(key, "local", region_name=REGION)
    sts = session.client("sts", endpoint_url=clouds.aws.url, config=Config(retries={"total_max_attempts": 1}))
    answer = sts.get_web_identity_token(
        Audience=["api://AzureADTokenExchange"], SigningAlgorithm="RS256", DurationSeconds=3600
    )
    path = folder / "token"
    path.write_text(answer["WebIdentityToken"], encoding="ascii")
    return path


def target_file(clouds: EmbeddedClouds, folder: Path) -> Path:
    """A target, as somebody would write it down."""
    subscription = clouds.azure_settings.subscription
    network = f"/subscriptions/{subscription}/resourceGroups/{HOME_GROUP}/providers/Microsoft.Network/virtualNetworks"
    target = {
        "name": TARGET,
        "home": "azure",
        "tenant_id": clouds.azure_settings.tenant,
        "client_id": CLIENT_ID,
        "subscription_id": subscription,
        "resource_group": HOME_GROUP,
        "location": HOME_LOCATION,
        "subnet_id": f"{network}/{HOME_NETWORK.name}/subnets/{HOME_SUBNET}",
    }
    path = folder / "target.json"
    path.write_text(json.dumps(target), encoding="utf-8")
    return path
