"""Roles of the embedded IAM: their own trust policies decide who gets keys, and the keys are known afterwards."""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.gateway.dispatch import Applications
from localcloud.gateway.run import AwsSettings, run_aws
from localcloud.lambda_runner.role_sessions import RoleSessions
from localcloud.sts import SecurityTokenService
from localcloud.sts_assume import RoleAssumption
from localcloud.sts_sessions import GivenSessions, SessionRequest
from localcloud.sts_trust import DeployedTrusts, provider_arn
from localcloud.tokens import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Iterator

    Sdk = Any

pytestmark = pytest.mark.embedded

ACCOUNT = "123456789012"
TENANT = "8f1c0a4e-0000-4000-8000-0000000000c1"
ISSUER = f"https://sts.windows.net/{TENANT}/"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/sts.windows.net/{TENANT}/"
NAME = f"sts.windows.net/{TENANT}/"
AUDIENCE, SUBJECT = "api://drs-failback", "5f1c0a4e-0000-4000-8000-0000000000c1"
STAGE = f"arn:aws:iam::{ACCOUNT}:role/stage"
SESSION_POLICY = json.dumps({"Version": "2012-10-17", "Statement": []})


def trust(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def by_web_identity(**changes: object) -> dict[str, Any]:
    condition = {"StringEquals": {f"{NAME}:sub": SUBJECT, f"{NAME}:aud": AUDIENCE}}
    return {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
        **changes,
    }


def by_role(principal: str = STAGE, **changes: object) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", **changes}


@dataclass
class Clock:
    """Now, plus what was added."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Place:
    """IAM of an embedded AWS, the two ways to a role, and the tenant's signer."""

    url: str
    iam: Any
    web: SecurityTokenService
    web_url: str
    given: GivenSessions
    functions: RoleSessions
    signer: TokenSigner
    clock: Clock
    roles: int = 0

    def role(self, policy: str, *, longest: int = 3600) -> str:
        """A deployed role's ARN."""
        self.roles += 1
        made = self.iam.create_role(
            RoleName=f"client-{self.roles}",
            AssumeRolePolicyDocument=policy,
            MaxSessionDuration=longest,
            Path="/failback/",
        )
        return str(made["Role"]["Arn"])

    def token(self, *, signer: TokenSigner | None = None, **changes: object) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 600, **changes}
        return (signer or self.signer).sign(claims)

    def ask(self, role: str, token: str, **more: str) -> tuple[int, str]:
        """The status and the body that a machine gets."""
        form = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": role}
        form |= {"RoleSessionName": "web-1", "WebIdentityToken": token, **more}
        context = ssl.create_default_context(cadata=base64.b64decode(self.web.ca_certificates).decode())
        data = urllib.parse.urlencode(form).encode()
        try:
            with urllib.request.urlopen(f"{self.web_url}/", data=data, context=context) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def sts(self, key: str) -> Sdk:
        """STS's client of a caller."""
        session: Any = boto3.session.Session(key, "x", region_name="us-east-1")
        return session.client("sts", endpoint_url=self.url, config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    clock, signer, functions = Clock(), TokenSigner(), RoleSessions()
    given = GivenSessions(clock)
    clients: list[Any] = []
    trusts = DeployedTrusts(lambda: clients[0])
    applications = Applications(parts=(RoleAssumption(trusts, given, functions).part,))
    web = SecurityTokenService(issuers={ISSUER: signer.public_key}, trusts=trusts, given=given)
    settings = AwsSettings(tmp_path_factory.mktemp("aws"), applications, sessions=functions)
    with run_aws(settings) as aws, web.serve() as web_url:
        iam: Any = boto3.session.Session("local", "local", region_name="us-east-1").client("iam", endpoint_url=aws.url)
        clients.append(iam)
        iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[AUDIENCE, "other"], ThumbprintList=["0" * 40])
        yield Place(aws.url, iam, web, web_url, given, functions, signer, clock)


def test_the_deployed_roles_trust_gives_keys_that_are_known(place: Place) -> None:
    assert provider_arn(ISSUER) == PROVIDER
    role = place.role(trust(by_role(), by_web_identity()))
    status, body = place.ask(role, place.token(), DurationSeconds="1800")
    assert status == 200
    session = place.web.sessions[-1]
    assert place.given.find(session.access_key) == session
    assert f"<AccessKeyId>{session.access_key}</AccessKeyId>" in body
    assert (session.role_arn, session.session_name, session.source) == (role, "web-1", SUBJECT)
    assert place.given.is_good(session)
    place.clock.ahead = timedelta(minutes=31)
    try:
        assert not place.given.is_good(session)
    finally:
        place.clock.ahead = timedelta()
    assert place.given.find("ASIANOBODYHASIT") is None


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [by_role()],
        [by_web_identity(Principal={"Federated": PROVIDER.rstrip("/")})],
        [by_web_identity(Principal={"Federated": PROVIDER.replace(ACCOUNT, "210987654321")})],
        [by_web_identity(Action="sts:AssumeRole")],
        [by_web_identity(Condition={"StringEquals": {f"{NAME}:sub": "another"}})],
        [by_web_identity(Condition={"StringEquals": {f"{NAME}:aud": "another"}})],
        [by_web_identity(Condition={"StringEquals": {"sts.windows.net:sub": SUBJECT}})],
        [by_web_identity(Condition={"StringLike": {f"{NAME}:sub": "*"}})],
        [by_web_identity(), by_web_identity(Effect="Deny")],
        [by_web_identity(), by_web_identity(Effect="Deny", Condition={"Bool": {"aws:SecureTransport": "true"}})],
    ],
    ids=[
        *("nobody", "a role", "no slash", "another account", "another action", "subject", "audience", "another key"),
        *("not understood", "denied", "denied perhaps"),
    ],
)
def test_a_trust_that_is_lacking(place: Place, statements: list[dict[str, Any]]) -> None:
    status, body = place.ask(place.role(trust(*statements)), place.token())
    assert (status, "<Code>AccessDenied</Code>" in body) == (403, True)


def test_trust_is_looked_up_at_each_call(place: Place) -> None:
    role = place.role(trust(by_role()))
    assert place.ask(role, place.token())[0] == 403
    place.iam.update_assume_role_policy(RoleName=role.rpartition("/")[2], PolicyDocument=trust(by_web_identity()))
    assert place.ask(role, place.token())[0] == 200
    place.iam.delete_role(RoleName=role.rpartition("/")[2])
    assert place.ask(role, place.token())[0] == 403


@pytest.mark.parametrize(
    ("claims", "status", "code"),
    [
        ({"iss": "https://sts.windows.net/another/"}, 400, "InvalidIdentityToken"),
        ({"aud": "nobody's"}, 400, "InvalidIdentityToken"),
        ({"aud": "other"}, 403, "AccessDenied"),
        ({"exp": 1_000_000_000}, 400, "ExpiredTokenException"),
        ({"sub": "rejected"}, 403, "IDPRejectedClaim"),
    ],
)
def test_tokens_that_are_refused(place: Place, claims: dict[str, Any], status: int, code: str) -> None:
    place.web.rejected.add("rejected")
    answer = place.ask(place.role(trust(by_web_identity())), place.token(**claims))
    assert (answer[0], f"<Code>{code}</Code>" in answer[1]) == (status, True)


def test_a_forged_token_and_one_whose_provider_is_gone(place: Place) -> None:
    role = place.role(trust(by_web_identity()))
    assert "InvalidIdentityToken" in place.ask(role, place.token(signer=TokenSigner()))[1]
    place.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER)
    try:
        assert "No OpenIDConnect provider found" in place.ask(role, place.token())[1]
    finally:
        place.iam.create_open_id_connect_provider(
            Url=ISSUER, ClientIDList=[AUDIENCE, "other"], ThumbprintList=["0" * 40]
        )


def test_no_session_is_longer_than_its_role_allows(place: Place) -> None:
    role = place.role(trust(by_web_identity()), longest=7200)
    assert place.ask(role, place.token(), DurationSeconds="7200")[0] == 200
    status, body = place.ask(role, place.token(), DurationSeconds="7201")
    assert (status, "MaxSessionDuration" in body) == (400, True)


def test_a_function_assumes_a_role_and_its_policy_is_kept(place: Place) -> None:
    role = place.role(trust(by_role()), longest=7200)
    sts = place.sts(place.functions.open(role=STAGE, function="stage"))
    answer = sts.assume_role(RoleArn=role, RoleSessionName="keys", DurationSeconds=900, Policy=SESSION_POLICY)
    session = place.given.find(answer["Credentials"]["AccessKeyId"])
    assert session is not None
    assert answer["Credentials"]["SessionToken"] == session.session_token
    assert (
        answer["AssumedRoleUser"]["Arn"]
        == session.arn
        == f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.partition('/')[2]}/keys"
    )
    assert (session.policy, session.source) == (SESSION_POLICY, STAGE)
    chained = place.sts(session.access_key)
    with pytest.raises(ClientError, match="AccessDenied"):
        chained.assume_role(RoleArn=role, RoleSessionName="again")
    with pytest.raises(ClientError, match="1 hour"):
        sts.assume_role(RoleArn=role, RoleSessionName="keys", DurationSeconds=3601)


@pytest.mark.parametrize(
    ("principal", "admitted"),
    [(f"arn:aws:iam::{ACCOUNT}:root", True), (ACCOUNT, True), ("*", True), (STAGE, False)],
)
def test_an_administrator_is_the_accounts(place: Place, principal: str, admitted: bool) -> None:
    role = place.role(trust(by_role(principal)))
    sts = place.sts("local")
    if admitted:
        assert sts.assume_role(RoleArn=role, RoleSessionName="admin")["Credentials"]
        return
    with pytest.raises(ClientError, match="AccessDenied"):
        sts.assume_role(RoleArn=role, RoleSessionName="admin")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Policy": "no policy"}, "MalformedPolicyDocument"),
        ({"Policy": "x" * 2049}, "ValidationError"),
        ({"DurationSeconds": 43201}, "ValidationError"),
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/no-such-role"}, "AccessDenied"),
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/other/client-1"}, "AccessDenied"),
        ({"ExternalId": "outside"}, "NotImplemented"),
    ],
    ids=["no policy", "long policy", "long", "no role", "another path", "external id"],
)
def test_faulty_requests(place: Place, changes: dict[str, Any], code: str) -> None:
    role = place.role(trust(by_role()))
    sts = place.sts(place.functions.open(role=STAGE, function="stage"))
    with pytest.raises(ClientError) as caught:
        sts.assume_role(**{"RoleArn": role, "RoleSessionName": "keys", **changes})
    assert caught.value.response["Error"]["Code"] == code


def test_other_operations_stay_where_they_were_and_a_key_that_has_run_out_is_told(place: Place) -> None:
    assert place.sts("local").get_caller_identity()["Account"] == ACCOUNT
    old = place.given.give(SessionRequest(STAGE, "old", -1))
    with pytest.raises(ClientError, match="ExpiredToken"):
        place.sts(old.access_key).assume_role(RoleArn=place.role(trust(by_role())), RoleSessionName="keys")
