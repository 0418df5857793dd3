"""The metadata services' strictness, asked by a plain HTTP client."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from werkzeug.test import Client

from localcloud.metadata import MachineDocument, MachineIdentity, MetadataService
from localcloud.tokens import TokenSigner

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

IDENTITY = MachineIdentity(subject="object-1", tenant="tenant-1", client_id="client-1", email="a@b")
USER_DATA = "/metadata/instance/compute/userData"
TOKEN = "/metadata/identity/oauth2/token"
ATTRIBUTES = "/computeMetadata/v1/instance/attributes/"
IDENTITY_PATH = "/computeMetadata/v1/instance/service-accounts/default/identity"


@pytest.fixture(scope="module")
def signer() -> TokenSigner:
    return TokenSigner()


@pytest.fixture
def azure(signer: TokenSigner) -> MetadataService:
    document = MachineDocument(cloud="azure", vm_id="vm-1", user_data="dGV4dA==", identity=IDENTITY)
    return MetadataService(document, signer=signer)


@pytest.fixture
def google(signer: TokenSigner) -> MetadataService:
    document = MachineDocument(
        cloud="google", vm_id="17", location="europe-west1-b", attributes={"b": "2", "a": "1"}, identity=IDENTITY
    )
    return MetadataService(document, signer=signer)


def ask_azure(service: MetadataService, path: str, *, method: str = "GET", **headers: str) -> TestResponse:
    return Client(service).open(path, method=method, headers={"Metadata": "true"} | headers)


def ask_google(service: MetadataService, path: str, **headers: str) -> TestResponse:
    return Client(service).get(path, headers={"Metadata-Flavor": "Google"} | headers)


def claims_of(token: str, signer: TokenSigner, audience: str) -> dict[str, Any]:
    return jwt.decode(token, signer.public_key, algorithms=["RS256"], audience=audience)


def test_azure_gives_user_data_as_it_was_set(azure: MetadataService) -> None:
    response = ask_azure(azure, f"{USER_DATA}?api-version=2021-01-01&format=text")
    assert (response.status_code, response.text) == (200, "dGV4dA==")
    azure.update(user_data="bmV3")
    assert ask_azure(azure, f"{USER_DATA}?api-version=2021-01-01&format=text").text == "bmV3"
    azure.update(user_data=None)
    assert ask_azure(azure, f"{USER_DATA}?api-version=2021-01-01&format=text").status_code == 404
    assert [request.status for request in azure.requests] == [200, 200, 404]
    assert azure.requests[0].target == f"{USER_DATA}?api-version=2021-01-01&format=text"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"{USER_DATA}?api-version=2021-01-01&format=text", {"Metadata": "yes"}, 400),
        (f"{USER_DATA}?api-version=2021-01-01&format=text", {"X-Forwarded-For": "10.0.0.1"}, 400),
        (f"{USER_DATA}?format=text", {}, 400),
        (f"{USER_DATA}?api-version=2017-04-02&format=text", {}, 400),
        (f"{USER_DATA}?api-version=2021-01-01", {}, 400),
        (f"{USER_DATA}?api-version=2021-01-01&format=text&colour=blue", {}, 400),
        ("/metadata/instance/compute/colour?api-version=2021-01-01&format=text", {}, 404),
        ("/computeMetadata/v1/instance/id", {}, 404),
        (f"{TOKEN}?api-version=2018-02-01", {}, 400),
        (f"{TOKEN}?api-version=2021-01-01&resource=api://x", {}, 400),
        (f"{TOKEN}?api-version=2018-02-01&resource=api://x&client_id=other", {}, 400),
    ],
)
def test_azure_refuses(azure: MetadataService, path: str, headers: dict[str, str], status: int) -> None:
    assert ask_azure(azure, path, **headers).status_code == status


def test_azure_takes_only_get(azure: MetadataService) -> None:
    assert ask_azure(azure, f"{USER_DATA}?api-version=2021-01-01&format=text", method="POST").status_code == 405


def test_azure_describes_the_machine(azure: MetadataService) -> None:
    compute = json.loads(ask_azure(azure, "/metadata/instance?api-version=2021-01-01").text)["compute"]
    assert (compute["vmId"], compute["userData"]) == ("vm-1", "dGV4dA==")


def test_azure_token_names_the_identity(azure: MetadataService, signer: TokenSigner) -> None:
    answer = json.loads(ask_azure(azure, f"{TOKEN}?api-version=2018-02-01&resource=api%3A%2F%2Fx").text)
    claims = claims_of(answer["access_token"], signer, "api://x")
    assert (claims["iss"], claims["sub"], claims["oid"]) == (
        "https://sts.windows.net/tenant-1/",
        "object-1",
        "object-1",
    )
    assert claims["exp"] > time.time()
    assert answer["expires_on"].isdigit()
    azure.update(identity=None)
    refused = ask_azure(azure, f"{TOKEN}?api-version=2018-02-01&resource=api://x")
    assert json.loads(refused.text)["error_description"] == "Identity not found"


def test_google_gives_attributes(google: MetadataService) -> None:
    response = ask_google(google, f"{ATTRIBUTES}a")
    assert (response.status_code, response.text, response.headers["Metadata-Flavor"]) == (200, "1", "Google")
    assert ask_google(google, ATTRIBUTES).text == "a\nb\n"
    assert ask_google(google, "/computeMetadata/v1/instance/id").text == "17"
    google.update(attributes={"a": "changed"})
    assert ask_google(google, f"{ATTRIBUTES}a").text == "changed"
    assert ask_google(google, f"{ATTRIBUTES}b").status_code == 404


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"{ATTRIBUTES}a", {"Metadata-Flavor": "google"}, 403),
        (f"{ATTRIBUTES}a", {"X-Forwarded-For": "10.0.0.1"}, 403),
        (f"{ATTRIBUTES}a?colour=blue", {}, 400),
        (f"{ATTRIBUTES}c", {}, 404),
        ("/computeMetadata/v1beta1/instance/id", {}, 404),
        ("/metadata/instance", {}, 404),
        (IDENTITY_PATH, {}, 400),
        (f"{IDENTITY_PATH}?audience=x&format=short", {}, 400),
        (f"{IDENTITY_PATH}?audience=x&colour=blue", {}, 400),
    ],
)
def test_google_refuses(google: MetadataService, path: str, headers: dict[str, str], status: int) -> None:
    response = ask_google(google, path, **headers)
    assert (response.status_code, response.headers["Metadata-Flavor"]) == (status, "Google")


def test_google_takes_only_get(google: MetadataService) -> None:
    assert Client(google).put(f"{ATTRIBUTES}a", headers={"Metadata-Flavor": "Google"}).status_code == 405


def test_google_token_names_the_identity(google: MetadataService, signer: TokenSigner) -> None:
    claims = claims_of(ask_google(google, f"{IDENTITY_PATH}?audience=x&format=full").text, signer, "x")
    assert (claims["iss"], claims["sub"], claims["azp"]) == ("https://accounts.google.com", "object-1", "object-1")
    assert claims["google"]["compute_engine"]["instance_id"] == "17"
    assert "google" not in claims_of(ask_google(google, f"{IDENTITY_PATH}?audience=x").text, signer, "x")
    google.update(identity=None)
    assert ask_google(google, f"{IDENTITY_PATH}?audience=x").status_code == 404


def test_google_holds_a_request_until_something_changes(google: MetadataService) -> None:
    first = ask_google(google, f"{ATTRIBUTES}a")
    changing = threading.Timer(0.2, lambda: google.update(attributes={"a": "later"}))
    changing.start()
    changed = ask_google(google, f"{ATTRIBUTES}a?wait_for_change=true&last_etag={first.headers['ETag']}")
    changing.join()
    assert changed.text == "later"
    assert ask_google(google, f"{ATTRIBUTES}a?wait_for_change=true&last_etag={first.headers['ETag']}").text == "later"
    started = time.monotonic()
    assert ask_google(google, f"{ATTRIBUTES}a?wait_for_change=true&timeout_sec=0.1").text == "later"
    assert 0.1 <= time.monotonic() - started < 5
