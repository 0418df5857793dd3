"""Google within the embedded clouds: reached by the token of a deployed role, trusted by AWS's STS, met by faults."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest
from boto3.session import Session

from failback.clouds.google.connection import connect
from failback.errors import LocalCloudError, SignInRefused
from failback.home_ports import WayIn
from failback.model.target import TARGET, GoogleTarget
from lambdas.connections import SystemClock
from localcloud.embedded.clouds import CLIENT_AUDIENCE, CloudSettings, EmbeddedClouds, run_clouds
from localcloud.embedded.google import BUCKET, CLIENT_ACCOUNT, PROJECT, SERVER_ACCOUNT, ZONE, google_target
from localcloud.embedded.google_archives import Archives
from localcloud.embedded.listing import listing
from localcloud.embedded.synthesis import GOOGLE_TARGET
from localcloud.faults import FaultPlan, FaultRule, Throttle
from localcloud.metadata_google import ISSUER
from localcloud.sts_trust import GOOGLE
from stacks.clients import GOOGLE as PRINCIPAL
from tests.localcloud.azure.clients import RecordingDriver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from failback.clouds.google.connection import GoogleHome

Sdk = Any
ROLE, OTHER = "arn:aws:iam::123456789012:role/home", "arn:aws:iam::123456789012:role/other"
DISK = {"name": "thing", "sizeGb": "10", "type": f"zones/{ZONE}/diskTypes/pd-balanced"}


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClouds]:
    iso = tmp_path_factory.mktemp("iso") / "x.iso"
    iso.write_bytes(b"x")
    with run_clouds(CloudSettings(tmp_path_factory.mktemp("clouds"), iso, RecordingDriver())) as running:
        running.trust_role(ROLE, home="google")
        yield running


def adapter(clouds: EmbeddedClouds, role: str) -> GoogleHome:
    """The home's adapter, as a function with that role has it."""
    session: Sdk = Session(clouds.sessions.open(role=role, function="f"), "x", region_name="us-east-1")
    sts = session.client("sts", endpoint_url=clouds.aws.url)

    def token(audience: str) -> str:
        return str(sts.get_web_identity_token(Audience=[audience], SigningAlgorithm="RS256")["WebIdentityToken"])

    target = TARGET.validate_python(google_target(GOOGLE_TARGET, audience=CLIENT_AUDIENCE))
    assert isinstance(target, GoogleTarget)
    return connect(target, WayIn(token, lambda _arn: "", clouds.google.endpoints, SystemClock()))


def upload(clouds: EmbeddedClouds, name: str, data: bytes) -> None:
    """An object, as somebody's who may."""
    bearer = clouds.google.identity.give_token(f"serviceAccount:failback@{PROJECT}.iam.gserviceaccount.com")
    url = f"{clouds.google.endpoints['google_storage']}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}"
    urllib.request.urlopen(urllib.request.Request(url, data, {"Authorization": f"Bearer {bearer}"})).close()


def test_functions_are_told_where_it_is(clouds: EmbeddedClouds) -> None:
    names = {"COMPUTE", "STORAGE", "STS", "IAM", "OAUTH"}
    assert clouds.google.variables.keys() == {f"FAILBACK_GOOGLE_{name}" for name in names}
    assert clouds.google.variables["FAILBACK_GOOGLE_STS"].endswith("/v1/token")


def test_a_trusted_role_is_let_in_and_no_other(clouds: EmbeddedClouds) -> None:
    assert adapter(clouds, ROLE).machines.state("nothing") == "absent"
    stranger = adapter(clouds, OTHER)
    with pytest.raises(stranger.foreign) as caught:
        stranger.machines.state("nothing")
    assert isinstance(stranger.translate(caught.value), SignInRefused)


@pytest.mark.parametrize(
    ("service", "operation"),
    [("compute", "instances.get"), ("google_sts", "token"), ("google_iam", "generateAccessToken")],
    ids=["compute", "sts", "iam"],
)
def test_a_fault_is_met_and_recorded(clouds: EmbeddedClouds, service: str, operation: str) -> None:
    rule = FaultRule(service=service, operation=operation, nth=(1,), action=Throttle())
    clouds.faults.use(FaultPlan(rules=(rule,)))
    home = adapter(clouds, ROLE)
    try:
        assert home.machines.state("nothing") == "absent"
    except home.foreign:
        assert home.machines.state("nothing") == "absent"
    clouds.faults.use(FaultPlan())
    met = [each.call for each in clouds.faults.records if each.call.service == service]
    assert [each.operation for each in met] == [operation]
    assert ("compute", "instances.get") in {(each.service, each.operation) for each in clouds.faults.calls}


def test_a_listing_tells_of_resources_objects_and_uploads(clouds: EmbeddedClouds) -> None:
    before = listing(clouds)
    clouds.google.compute.administrator.insert(f"zones/{ZONE}", "disks", DISK)
    upload(clouds, "first", b"x" * 100)
    during = listing(clouds)
    assert {name for name in before if during[name] != before[name]} == {"google"}
    path = f"projects/{PROJECT}/zones/{ZONE}/disks/thing"
    assert during["google"].keys() - before["google"].keys() == {path}
    assert during["google"][f"buckets/{BUCKET}"]["objects"]["first"][0] == 100
    clouds.google.compute.administrator.act("DELETE", path)
    assert listing(clouds)["google"].keys() == before["google"].keys()


def test_without_a_driver_no_machine_starts_there(clouds: EmbeddedClouds) -> None:
    by = clouds.google.compute.administrator
    by.insert(f"zones/{ZONE}", "disks", {**DISK, "name": "boot"})
    subnetwork = google_target(GOOGLE_TARGET, audience="x")["subnetwork"]
    body = {
        "name": "machine",
        "machineType": f"zones/{ZONE}/machineTypes/e2-standard-2",
        "disks": [{"source": f"projects/{PROJECT}/zones/{ZONE}/disks/boot", "boot": True}],
        "networkInterfaces": [{"subnetwork": subnetwork}],
    }
    with pytest.raises(LocalCloudError, match="without anything that runs Google's machines"):
        by.insert(f"zones/{ZONE}", "instances", body)


def test_archives_are_the_objects_of_now(clouds: EmbeddedClouds, tmp_path: Path) -> None:
    archives = Archives(clouds.google.storage, tmp_path / "archives")
    for name, data in (("one", b"1"), ("one", b"one"), ("two", b"2")):
        upload(clouds, name, data)
        found = archives.read_object(BUCKET, name)
        assert found is not None
        assert found.path.read_bytes() == data
    assert len(list(archives.folder.iterdir())) == 2
    assert archives.read_object(BUCKET, "none") is None
    assert archives.read_object("nowhere", "none") is None


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, ""),
        ({"sub": SERVER_ACCOUNT.unique_id, "azp": SERVER_ACCOUNT.unique_id}, "AccessDenied"),
        ({"aud": "api://another"}, "AccessDenied"),
        ({"iss": "https://accounts.google.com.example"}, "InvalidIdentityToken"),
    ],
    ids=["its-own", "another-account", "another-audience", "another-issuer"],
)
def test_awss_role_trusts_tokens_of_the_clients_account_only(
    clouds: EmbeddedClouds, changes: dict[str, str], refused: str, request: pytest.FixtureRequest
) -> None:
    """By the trust policy that the stack gives the role (stacks/clients.py)."""
    assert PRINCIPAL == GOOGLE
    exactly = {f"{PRINCIPAL}:sub": CLIENT_ACCOUNT.unique_id, f"{PRINCIPAL}:oaud": CLIENT_AUDIENCE}
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PRINCIPAL},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": exactly},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    name = f"client-{request.node.callspec.id}"
    role = clouds.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    account = CLIENT_ACCOUNT.unique_id
    claims = {"iss": ISSUER, "sub": account, "azp": account, "aud": CLIENT_AUDIENCE, "exp": 4_000_000_000, **changes}
    said = assume(clouds, role, clouds.network.signer.sign(claims))
    assert (f"<Code>{refused}</Code>" if refused else "<SecretAccessKey>") in said


def assume(clouds: EmbeddedClouds, role: str, token: str) -> str:
    """What STS answers a client machine."""
    form = {
        "Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": role, "RoleSessionName": "client",
        "DurationSeconds": "3600", "WebIdentityToken": token,
    }  # fmt: skip
    context = ssl.create_default_context(cadata=b64decode(clouds.network.sts.ca_certificates).decode())
    context.check_hostname = False
    (forward,) = [each for each in clouds.network.surroundings(None) if each.port == 443]  # type: ignore[arg-type]
    try:
        url = f"https://127.0.0.1:{forward.to_port}/"
        with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), context=context) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
