"""The token service: real tokens over real TLS, and everything that AWS refuses."""

from __future__ import annotations

import base64
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from localcloud.sts import NAMESPACE, RoleTrust, SecurityTokenService, StsFault
from localcloud.tokens import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLE = "arn:aws:iam::123456789012:role/path/client"
ISSUER = "https://accounts.google.com"
CLAIMS: dict[str, object] = {"iss": ISSUER, "aud": "drs-failback", "sub": "subject-1"}


@pytest.fixture(scope="module")
def signer() -> TokenSigner:
    return TokenSigner()


@pytest.fixture(scope="module")
def shared(signer: TokenSigner) -> Iterator[tuple[SecurityTokenService, str]]:
    roles = {ROLE: RoleTrust(ISSUER, "drs-failback", "subject-1")}
    service = SecurityTokenService(issuers={ISSUER: signer.public_key}, roles=roles)
    with service.serve() as url:
        yield service, url


def token(signer: TokenSigner, **changes: object) -> str:
    return signer.sign({**CLAIMS, "iat": int(time.time()), "exp": int(time.time()) + 600, **changes})


def post(shared: tuple[SecurityTokenService, str], **changes: str | None) -> tuple[int, ElementTree.Element]:
    service, url = shared
    form: dict[str, str | None] = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "run-1",
        **changes,
    }
    data = urllib.parse.urlencode({name: value for name, value in form.items() if value is not None}).encode()
    context = ssl.create_default_context(cadata=base64.b64decode(service.ca_certificates).decode())
    try:
        with urllib.request.urlopen(f"{url}/", data=data, context=context) as response:
            return response.status, ElementTree.fromstring(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ElementTree.fromstring(error.read())


def text(answer: ElementTree.Element, name: str) -> str:
    return answer.findtext(f".//{{{NAMESPACE}}}{name}") or ""


def test_good_token_gives_keys(shared: tuple[SecurityTokenService, str], signer: TokenSigner) -> None:
    status, answer = post(shared, WebIdentityToken=token(signer), DurationSeconds="900")
    session = shared[0].sessions[-1]
    assert status == 200
    assert text(answer, "AccessKeyId") == session.access_key
    assert text(answer, "SecretAccessKey") == session.secret_key
    assert text(answer, "SessionToken") == session.session_token
    assert text(answer, "SubjectFromWebIdentityToken") == "subject-1"
    assert text(answer, "Arn") == "arn:aws:sts::123456789012:assumed-role/path/client/run-1"
    assert abs(session.expires.timestamp() - time.time() - 900) < 60


@pytest.mark.parametrize(
    ("claims", "status", "code"),
    [
        ({"exp": 1_000_000_000}, 400, "ExpiredTokenException"),
        ({"aud": "other"}, 400, "InvalidIdentityToken"),
        ({"iss": "https://elsewhere"}, 400, "InvalidIdentityToken"),
        ({"sub": "subject-2"}, 403, "AccessDenied"),
        ({"nbf": 4_000_000_000}, 400, "InvalidIdentityToken"),
    ],
)
def test_wrong_token_is_refused(
    shared: tuple[SecurityTokenService, str], signer: TokenSigner, claims: dict[str, object], status: int, code: str
) -> None:
    before = len(shared[0].sessions)
    answered, answer = post(shared, WebIdentityToken=token(signer, **claims))
    assert (answered, text(answer, "Code")) == (status, code)
    assert len(shared[0].sessions) == before


def test_token_signed_by_another_key_is_refused(shared: tuple[SecurityTokenService, str]) -> None:
    forger = TokenSigner(key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    status, answer = post(shared, WebIdentityToken=token(forger))
    assert (status, text(answer, "Code")) == (400, "InvalidIdentityToken")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"WebIdentityToken": None}, 400, "ValidationError"),
        ({"WebIdentityToken": "no.token.atall"}, 400, "InvalidIdentityToken"),
        ({"RoleArn": "arn:aws:iam::123456789012:role/unknown"}, 403, "AccessDenied"),
        ({"RoleArn": "client"}, 400, "ValidationError"),
        ({"RoleSessionName": "run 1"}, 400, "ValidationError"),
        ({"DurationSeconds": "899"}, 400, "ValidationError"),
        ({"DurationSeconds": "43201"}, 400, "ValidationError"),
        ({"DurationSeconds": "soon"}, 400, "ValidationError"),
        ({"Colour": "blue"}, 400, "ValidationError"),
        ({"Action": "GetCallerIdentity"}, 400, "InvalidAction"),
        ({"Version": "2010-01-01"}, 400, "InvalidAction"),
    ],
)
def test_wrong_request_is_refused(
    shared: tuple[SecurityTokenService, str],
    signer: TokenSigner,
    changes: dict[str, str | None],
    status: int,
    code: str,
) -> None:
    answered, answer = post(shared, **{"WebIdentityToken": token(signer), **changes})
    assert (answered, text(answer, "Code"), text(answer, "Type")) == (status, code, "Sender")


def test_faults_come_once_each(shared: tuple[SecurityTokenService, str], signer: TokenSigner) -> None:
    shared[0].fail_next(StsFault(503, "ServiceUnavailable", "a < b"))
    status, answer = post(shared, WebIdentityToken=token(signer))
    assert (status, text(answer, "Code"), text(answer, "Type")) == (503, "ServiceUnavailable", "Receiver")
    assert text(answer, "Message") == "a < b"
    assert post(shared, WebIdentityToken=token(signer))[0] == 200


def test_unknown_caller_doesnt_trust_the_certificate(shared: tuple[SecurityTokenService, str]) -> None:
    with pytest.raises(urllib.error.URLError, match="certificate verify failed"):
        urllib.request.urlopen(shared[1], context=ssl.create_default_context())
