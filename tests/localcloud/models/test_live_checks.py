"""The checks at real clouds, by the same variables at the embedded ones: all of them run, pass and leave nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from failback.clouds.google.credentials import TOKEN_TYPE
from failback.model.target import GoogleTarget, WorkloadIdentity
from localcloud.embedded.clouds import CLIENT_ID, HOME_GROUP, HOME_LOCATION, HOME_NETWORK, HOME_SUBNET, REGION
from localcloud.embedded.google import PROJECT, google_target
from localcloud.embedded.synthesis import GOOGLE_TARGET, TARGET
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
CHECKS = 34
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
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "AZURE_", "FAILBACK_", "GOOGLE_"))
    }
    return {
        **kept,
        "AWS_ENDPOINT_URL": clouds.aws.url,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AZURE_TENANT_ID": clouds.azure_settings.tenant,
        "AZURE_CLIENT_ID": CLIENT_ID,
        "AZURE_FEDERATED_TOKEN_FILE": str(token_file(clouds, key, folder)),
        "REQUESTS_CA_BUNDLE": str(clouds.azure_at.ca_file),
        "GOOGLE_APPLICATION_CREDENTIALS": str(google_credentials(clouds, key, folder)),
        variables.AWS_REGION: REGION,
        variables.AWS_BUCKET: BUCKET,
        variables.AWS_TOKEN: "yes",
        variables.AZURE_TARGET: str(target_file(clouds, folder)),
        variables.AZURE_ARM: clouds.azure_at.base_url,
        variables.AZURE_AUTHORITY: clouds.azure_at.base_url,
        # Without it google-auth asks the real Google which project that is.
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        variables.GOOGLE_TARGET: str(google_file(folder)),
        variables.GOOGLE_COMPUTE: clouds.google.endpoints["google_compute"],
        variables.GOOGLE_STORAGE: clouds.google.endpoints["google_storage"],
        variables.STACK: place.deployed.stack,
        variables.STACK_TARGET: TARGET,
        variables.LOOK_SECONDS: "0.05",
    }


def token_file(clouds: EmbeddedClouds, key: str, folder: Path) -> Path:
    """An identity token that the embedded Entra takes, where azure-identity looks for one."""
    clouds.trust_role(ROLE)
    path = folder / "token"
    path.write_text(identity_token(clouds, key, "api://AzureADTokenExchange"), encoding="ascii")
    return path


def identity_token(clouds: EmbeddedClouds, key: str, audience: str) -> str:
    """What AWS says of the role to whoever that's for."""
    import boto3
    from botocore.config import Config

    session = boto3.Session(key, "local", region_name=REGION)
    sts = session.client("sts", endpoint_url=clouds.aws.url, config=Config(retries={"total_max_attempts": 1}))
    answer = sts.get_web_identity_token(Audience=[audience], SigningAlgorithm="RS256", DurationSeconds=3600)
    return str(answer["WebIdentityToken"])


def google_credentials(clouds: EmbeddedClouds, key: str, folder: Path) -> Path:
    """A file by which google-auth signs in: an identity token that the embedded pool takes, and whom it may act as."""
    clouds.trust_role(ROLE, home="google")
    way, urls = google_way(), clouds.google.endpoints
    token = folder / "google-token"
    token.write_text(identity_token(clouds, key, way.audience), encoding="ascii")
    account = f"{urls['google_iam']}/v1/projects/-/serviceAccounts/{way.service_account}:generateAccessToken"
    found = {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{way.provider}",
        "subject_token_type": TOKEN_TYPE,
        "token_url": urls["google_sts"],
        "credential_source": {"file": str(token)},
        "service_account_impersonation_url": account,
    }
    path = folder / "google-credentials.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def google_way() -> WorkloadIdentity:
    """How the embedded Google is signed in to."""
    target = GoogleTarget.model_validate(google_target(GOOGLE_TARGET, audience="none"))
    assert isinstance(target.credential, WorkloadIdentity)
    return target.credential


def google_file(folder: Path) -> Path:
    """A target at Google."""
    path = folder / "google-target.json"
    path.write_text(json.dumps(google_target(GOOGLE_TARGET, audience="none")), encoding="utf-8")
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
