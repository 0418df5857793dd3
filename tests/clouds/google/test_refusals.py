"""Google's errors in our own words."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.exceptions import OAuthError, RefreshError, TransportError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse  # type: ignore[import-untyped]

from failback.clouds.google.refusals import foreign, translate
from failback.errors import CloudBusy, CloudRefused, CloudUnreachable, FailbackError, SignInRefused
from tests.clouds.google.services import BUCKET, EMAIL, PROJECT, PROVIDER, TARGET

CLAIMS = {"iss": "https://issuer", "sub": "arn:role", "aud": "https://audience"}


_lost: Any = TransportError


def failed(status: int, reason: str = "", text: str = "the words", **more: Any) -> Exception:  # noqa: ANN401 - any field
    """An answer as the SDK raises it."""
    make: Any = exceptions.from_http_status
    made: Exception = make(status, text, errors=[{"reason": reason}] if reason else [], **more)
    return made


def said(error: Exception) -> FailbackError:
    """In our words."""
    return translate(error, TARGET, CLAIMS)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, ""), (503, "backendError"), (500, ""), (502, ""), (504, ""), (408, ""), (403, "rateLimitExceeded"),
     (403, "userRateLimitExceeded"), (400, "resourceNotReady"), (403, "RATE_LIMIT_EXCEEDED")],
    ids=str,
)  # fmt: skip
def test_what_passes_is_busy(status: int, reason: str) -> None:
    error = said(failed(status, reason))
    assert isinstance(error, CloudBusy)
    assert not isinstance(error, CloudUnreachable)
    assert "the words" in str(error)


@pytest.mark.parametrize(
    ("status", "reason", "advice"),
    [
        (403, "forbidden", "docs/deploy-google.md"),
        (403, "", BUCKET),
        (403, "IAM_PERMISSION_DENIED", "roles"),
        (403, "accessNotConfigured", "Security Token Service"),
        (403, "SERVICE_DISABLED", "Enable Compute Engine"),
        (403, "quotaExceeded", "machine_type"),
        (403, "QUOTA_EXCEEDED", "europe-west3"),
        (503, "ZONE_RESOURCE_POOL_EXHAUSTED", "europe-west3-a has no room"),
        (400, "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "another zone"),
        (412, "conditionNotMet", "policy of the organisation"),
        (404, "notFound", "`bucket`"),
        (404, "", "Correct the target"),
        (403, "billingNotEnabled", PROJECT),
        (400, "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", "detach"),
        (400, "UNSUPPORTED_OPERATION", "N1, N2 or E2"),
        (400, "invalid", "which value"),
        (400, "serviceAccountAccessDenied", "roles/iam.serviceAccountUser"),
        (400, "SERVICE_ACCOUNT_ACCESS_DENIED", "taken over"),
        (418, "teapot", "Look the code up"),
    ],
    ids=str,
)
def test_what_doesn_t_pass_has_advice(status: int, reason: str, advice: str) -> None:
    error = said(failed(status, reason))
    assert isinstance(error, CloudRefused)
    assert "the words" in str(error)
    assert advice in str(error)
    assert "{" not in str(error)


def test_a_detail_says_more_than_the_first_word() -> None:
    class _Info:
        reason = "SERVICE_DISABLED"

    error = failed(403, "forbidden", error_info=_Info())
    assert "Enable Compute Engine" in str(said(error))


def test_how_long_to_wait() -> None:
    answer = requests.Response()
    answer.headers["Retry-After"] = "7"
    error = said(failed(429, response=answer))
    assert isinstance(error, CloudBusy)
    assert error.retry_after == 7.0
    answer.headers["Retry-After"] = "tomorrow"
    error = said(failed(429, response=answer))
    assert isinstance(error, CloudBusy)
    assert error.retry_after == 0.0


def test_a_token_that_isn_t_taken() -> None:
    assert isinstance(said(failed(401, "authError")), SignInRefused)


@pytest.mark.parametrize(
    "error",
    [requests.ConnectionError("x"), requests.ReadTimeout("x"), _lost("x")],
    ids=lambda each: type(each).__name__,
)
def test_nobody_there_is_unreachable(error: Exception) -> None:
    assert isinstance(said(error), CloudUnreachable)
    tried: Any = exceptions.RetryError
    assert isinstance(said(tried("gave up", error)), CloudUnreachable)


def test_an_answer_of_storage_s_uploads() -> None:
    answer = requests.Response()
    answer.status_code, answer.request = 403, requests.Request("PUT", "https://x/o?upload_id=secret").prepare()
    error = said(InvalidResponse(answer, "no"))
    assert isinstance(error, CloudRefused)
    assert "secret" not in str(error)


def test_damage_on_the_way_is_tried_again() -> None:
    assert isinstance(said(DataCorruption(None, "checksum")), CloudBusy)


@pytest.mark.parametrize("kind", [OAuthError, RefreshError], ids=lambda each: each.__name__)
def test_sign_in_names_what_to_set_up(kind: Any) -> None:  # noqa: ANN401 - an error's class
    error = said(kind("no eyJhbGci.eyJpc3M.c2ln"))
    assert isinstance(error, SignInRefused)
    for part in CLAIMS.values():
        assert part in str(error)
    assert (PROVIDER if kind is OAuthError else EMAIL) in str(error)
    assert "eyJ" not in str(error)


def test_anything_else_is_told() -> None:
    made: Any = exceptions.GoogleAPIError
    assert "gave up: odd" in str(said(made("odd\nmore")))
    assert "gave up" in str(said(made()))


def test_what_s_foreign() -> None:
    assert all(issubclass(each, Exception) for each in foreign())
    assert isinstance(failed(403), foreign())
    assert not isinstance(CloudRefused("ours"), foreign())
