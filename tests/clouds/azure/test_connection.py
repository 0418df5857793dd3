"""The way into Azure: whose tokens, which secrets, and what a refused sign-in tells."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import ClientSecretCredential

from failback.clouds.azure import refusals
from failback.clouds.azure.connection import Assertion, connect
from failback.clouds.azure.signatures import without_signature
from failback.errors import CloudBusy, CloudRefused, CloudUnreachable, FailbackError, ImportFailed, SignInRefused
from failback.model.target import AzureTarget, StoredSecret
from tests.clouds.azure.embedded import AUDIENCE, CLIENT_ID, TARGET, EmbeddedHome, token
from tests.localcloud.azure.clients import ISSUER, SUBJECT

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.home_ports import Home

SECRET = StoredSecret(kind="secret", secret_arn="arn:aws:secretsmanager:eu-west-1:123456789012:secret:home")


def failure_of(home: Home) -> FailbackError:
    with pytest.raises(home.foreign) as caught:
        home.images.find("0" * 20)
    return home.translate(caught.value)


def test_the_federation_s_token_opens_the_door(azure: EmbeddedHome) -> None:
    assert azure.home.images.find("0" * 20) is None
    assert azure.home.images.format() == "vhd"
    assert azure.home.assertion is not None
    assert azure.home.assertion.claims == {"iss": ISSUER, "sub": SUBJECT, "aud": AUDIENCE}


def test_a_refused_sign_in_names_the_credential_to_set_up(azure: EmbeddedHome) -> None:
    """Its audience here isn't the one that the application trusts."""
    credential = TARGET.credential.model_copy(update={"audience": "api://other"})
    home = connect(TARGET.model_copy(update={"credential": credential}), azure.way_in())
    failure = failure_of(home)
    assert type(failure) is SignInRefused
    for text in (f"issuer {ISSUER},", f"subject {SUBJECT},", "audience api://other.", CLIENT_ID, "AADSTS"):
        assert text in str(failure)


def test_an_error_of_our_own_on_the_way_to_a_token_stays_what_it_is(azure: EmbeddedHome) -> None:
    def refuse(audience: str) -> str:
        message = "AWS gives no tokens"
        raise CloudRefused(message)

    with pytest.raises(CloudRefused, match="AWS gives no tokens"):
        connect(TARGET, azure.way_in(token=refuse)).images.find("0" * 20)


@pytest.mark.parametrize("cause", [CloudRefused("ours"), ServiceRequestError("no way")], ids=["ours", "no-way"])
def test_a_sign_in_that_failed_for_another_reason_isn_t_refused(cause: Exception) -> None:
    """The SDK puts whatever goes wrong while signing in into its own error."""
    error = ClientAuthenticationError("Authentication failed")
    error.__cause__ = cause
    expected = CloudRefused if isinstance(cause, FailbackError) else CloudUnreachable
    assert type(refusals.translate(error, TARGET, {})) is expected


def test_a_stored_secret_is_read_once_and_not_kept_in_sight(azure: EmbeddedHome) -> None:
    asked: list[str] = []

    def secret(arn: str) -> str:
        asked.append(arn)
        return "hush-hush\n"

    home = connect(TARGET.model_copy(update={"credential": SECRET}), azure.way_in(secret=secret))
    assert asked == [SECRET.secret_arn]
    assert isinstance(home.place.compute._config.credential, ClientSecretCredential)
    assert home.assertion is None
    # The embedded tenant knows federated credentials only.
    failure = failure_of(home)
    assert type(failure) is SignInRefused
    assert SECRET.secret_arn in str(failure)
    assert "hush" not in repr(home) + str(failure)


def test_without_endpoints_the_sdk_s_own_are_used(azure: EmbeddedHome) -> None:
    home = connect(TARGET, azure.way_in(endpoints={"arm": "", "authority": ""}))
    assert home.place.compute._config.base_url.rstrip("/") == "https://management.azure.com"


def unsigned(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        (
            unsigned({"iss": "i", "sub": "s", "aud": ["a", "b"], "jti": "x"}),
            {"iss": "i", "sub": "s", "aud": "['a', 'b']"},
        ),
        (unsigned({}), {}),
        ("no token", {}),
        ("a.%%%.c", {}),
    ],
    ids=["whole", "empty", "none", "broken"],
)
def test_of_a_token_only_who_it_is_from_about_and_for_is_kept(
    azure: EmbeddedHome, text: str, claims: dict[str, str]
) -> None:
    assertion = Assertion(azure.way_in(token=lambda audience: text), "api://x")
    assert assertion() == text
    assert assertion.claims == claims


class Reply:
    """An HTTP answer as azure-core's errors take it."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        self.status_code, self.reason, self.headers = status, "reason", headers
        self._body = {"error": {"code": code, "message": message}} if code else {}

    def text(self) -> str:
        return json.dumps(self._body)


def arm(status: int, code: str = "", message: str = "no", **headers: str) -> HttpResponseError:
    reply: Any = Reply(status, code, message, **headers)
    return HttpResponseError(response=reply)


FORBIDDEN = (
    "The client 'x' does not have authorization to perform action 'Microsoft.Compute/disks/write' over scope 'y'."
)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (lambda: arm(429, "TooManyRequests", **{"Retry-After": "9"}), CloudBusy, "TooManyRequests"),
        (lambda: arm(503), CloudBusy, "503"),
        (lambda: arm(409, "Conflict", **{"Retry-After": "9"}), CloudBusy, "Conflict"),
        (lambda: arm(409, "RetryableError"), CloudBusy, "RetryableError"),
        (lambda: ServiceRequestError("?sig=SECRET"), CloudUnreachable, "ServiceRequestError"),
        (lambda: ServiceResponseError("?sig=SECRET"), CloudUnreachable, "public network"),
        (lambda: ClientAuthenticationError("AADSTS70021: none"), SignInRefused, "AADSTS70021"),
        (
            lambda: arm(403, "AuthorizationFailed", FORBIDDEN),
            CloudRefused,
            "allowed to do Microsoft.Compute/disks/write.",
        ),
        (lambda: arm(403, "LinkedAuthorizationFailed", "no"), CloudRefused, "subnets/join/action"),
        (lambda: arm(403, "Forbidden"), CloudRefused, "isn't allowed to do that"),
        (lambda: arm(403, "RequestDisallowedByPolicy"), CloudRefused, "exemption for the resource group home"),
        (lambda: arm(409, "QuotaExceeded"), CloudRefused, "quota in westeurope"),
        (lambda: arm(409, "SkuNotAvailable"), CloudRefused, "another `size`"),
        (lambda: arm(409, "AllocationFailed"), CloudRefused, "another `size`"),
        (lambda: arm(409, "OperationNotAllowed"), CloudRefused, "not DenyAll"),
        (lambda: arm(404, "ResourceGroupNotFound"), CloudRefused, "Create the resource group home"),
        (lambda: arm(400, "InvalidVhd"), ImportFailed, "damaged"),
        (lambda: arm(400, "Whatever", "at ?sig=SECRET&x"), CloudRefused, "Look the code up"),
        (lambda: AzureError("gave up"), CloudRefused, "gave up"),
    ],
    ids=lambda value: (
        None if callable(value) and not isinstance(value, type) else str(getattr(value, "__name__", value))
    ),
)
def test_azure_s_errors_in_our_words(error: Callable[[], Exception], kind: type[FailbackError], text: str) -> None:
    failure = refusals.translate(error(), TARGET, {})
    assert type(failure) is kind
    assert text in str(failure)
    assert "SECRET" not in str(failure)


def test_what_azure_asks_to_wait_is_kept() -> None:
    busy = refusals.translate(arm(429, "TooManyRequests", **{"Retry-After": "9"}), TARGET, {})
    assert isinstance(busy, CloudBusy)
    assert busy.retry_after == 9


def test_signatures_are_blotted_out_of_any_text() -> None:
    text = "PUT /a?comp=page&sig=Ab%2F+x=&sv=1 and 'https://x/?SIG=zz'"
    assert without_signature(text) == "PUT /a?comp=page&sig=***&sv=1 and 'https://x/?sig=***'"


def test_the_target_is_what_a_deployment_writes() -> None:
    assert AzureTarget.model_validate_json(TARGET.model_dump_json()) == TARGET
    assert token(AUDIENCE).count(".") == 2
