"""Signing in: by workload identity federation, with and without a service account, and by a stored key."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from failback.clouds.google.connection import connect
from failback.clouds.google.sessions import blot_logs, without_secrets
from failback.errors import CloudBusy, CloudRefused, CloudUnreachable, SignInRefused
from failback.model.target import StoredSecret, WorkloadIdentity
from localcloud.faults import Deny, FaultPlan, FaultRule, Status, Throttle
from localcloud.google_identity.settings import Grant, IdentitySettings, PoolProvider
from tests.clouds.google.services import (
    ACCOUNT,
    ACCOUNT_KEY,
    BUCKET,
    EMAIL,
    ISSUER,
    OWN,
    POOL,
    PROVIDER,
    SIGNER,
    SUBJECT,
    TARGET,
    services,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from failback.clouds.google.connection import GoogleHome
    from failback.errors import FailbackError
    from localcloud.faults import Action
    from tests.clouds.google.services import Services

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:google-AbCdEf"
KEY = {
    "type": "service_account",
    "client_email": EMAIL,
    "private_key_id": "key-1",
    "private_key": ACCOUNT_KEY.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    "token_uri": "https://oauth2.googleapis.com/token",
}
BY_KEY = TARGET.model_copy(update={"credential": StoredSecret(kind="secret", secret_arn=SECRET)})
ALONE = TARGET.model_copy(update={"credential": WorkloadIdentity(provider=PROVIDER)})


@pytest.fixture
def google(tmp_path: Path) -> Iterator[Services]:
    """Identity and Cloud Storage."""
    with services(tmp_path) as embedded:
        yield embedded


def listed(home: GoogleHome) -> list[str]:
    """The bucket's objects, as the target's identity sees them."""
    return [each.name for each in home.place.clients.storage.list_blobs(BUCKET, retry=None)]


def refusal(home: GoogleHome) -> FailbackError:
    """What reading the bucket ends with, in our words."""
    with pytest.raises(home.foreign) as caught:
        listed(home)
    return home.translate(caught.value)


def test_signs_in_as_a_service_account_by_a_token_of_aws(google: Services) -> None:
    assert listed(google.connect()) == []


def test_signs_in_as_the_role_itself_where_no_account_is_named(google: Services) -> None:
    home = google.connect(ALONE)
    assert isinstance(refusal(home), CloudRefused)
    google.identity.grant(Grant(OWN, "roles/storage.objectAdmin", f"projects/_/buckets/{BUCKET}"))
    assert listed(home) == []


def test_signs_in_by_a_stored_key(google: Services) -> None:
    home = google.connect(BY_KEY, secret=lambda arn: json.dumps(KEY) if arn == SECRET else "")
    assert listed(home) == []


def test_many_threads_sign_in_once(google: Services) -> None:
    asked: list[str] = []

    def token(audience: str) -> str:
        asked.append(audience)
        return google.way_in().token(audience)

    home = google.connect(token=token)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: listed(home), range(16))) == [[]] * 16
    assert asked == [f"https://iam.googleapis.com/{PROVIDER}"]


def test_a_foreign_role_is_told_what_to_set_up(google: Services) -> None:
    claims = {"iss": "https://aws.test/another", "sub": SUBJECT, "aud": f"https://iam.googleapis.com/{PROVIDER}"}
    word = SIGNER.sign({**claims, "iat": 0, "exp": 9_999_999_999})
    home = google.connect(token=lambda audience: word)
    error = refusal(home)
    assert isinstance(error, SignInRefused)
    for part in (PROVIDER, *claims.values(), "google.subject=assertion.sub"):
        assert part in str(error)
    assert word not in str(error)


def test_a_missing_right_to_act_as_the_account_is_told(tmp_path: Path) -> None:
    with services(tmp_path, IdentitySettings((POOL,), {ISSUER: SIGNER.public_key}, (ACCOUNT,))) as google:
        error = refusal(google.connect())
    assert isinstance(error, SignInRefused)
    for part in (EMAIL, "roles/iam.workloadIdentityUser", OWN, ISSUER):
        assert part in str(error)


def test_another_provider_s_audience_is_refused(tmp_path: Path) -> None:
    pool = PoolProvider(PROVIDER, ISSUER, audiences=("office",))
    with services(tmp_path, IdentitySettings((pool,), {ISSUER: SIGNER.public_key}, (ACCOUNT,))) as google:
        assert isinstance(refusal(google.connect()), SignInRefused)


def test_a_key_that_was_deleted_is_told(google: Services) -> None:
    stored = json.dumps(KEY | {"private_key_id": "another"})
    error = refusal(google.connect(BY_KEY, secret=lambda arn: stored))
    assert isinstance(error, SignInRefused)
    assert SECRET in str(error)
    assert "PRIVATE" not in str(error)


@pytest.mark.parametrize("stored", ["", "hunter2", "[1]", '{"type": "service_account"}', '{"token_uri": "x"}'])
def test_a_secret_that_is_no_key_isn_t_shown(google: Services, stored: str) -> None:
    with pytest.raises(SignInRefused, match="isn't a service account's key") as caught:
        google.connect(BY_KEY, secret=lambda arn: stored)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "hunter2" not in str(caught.value)


def test_what_the_token_itself_fails_with_stays_our_own(google: Services) -> None:
    def none(audience: str) -> str:
        message = "the account gives no tokens"
        raise CloudRefused(message)

    with pytest.raises(CloudRefused, match="gives no tokens"):
        listed(google.connect(token=none))


def test_a_token_that_is_none_says_so(google: Services) -> None:
    assert "has given no token" in str(refusal(google.connect(token=lambda audience: "no.json.here")))


def test_nobody_there_is_unreachable(google: Services) -> None:
    way_in = google.way_in()
    closed = dict.fromkeys(way_in.endpoints, "http://127.0.0.1:9/v1/token")
    assert isinstance(refusal(connect(TARGET, replace(way_in, endpoints=closed))), CloudUnreachable)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("PUT /upload/storage/v1/b/x/o?uploadType=resumable&upload_id=AbC-_9&x=1: 500",
         "PUT /upload/storage/v1/b/x/o?uploadType=resumable&upload_id=***&x=1: 500"),
        ("token ya29.c.b0Aaek-_1 refused", "token *** refused"),
        ("eyJhbGciOi.eyJpc3M.sig-_ isn't good", "*** isn't good"),
        ("nothing here", "nothing here"),
    ],
    ids=["session", "access", "identity", "none"],
)  # fmt: skip
def test_secrets_are_blotted_out(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_logs_show_no_session(caplog: pytest.LogCaptureFixture) -> None:
    blot_logs()
    blot_logs()
    logger: Any = logging.getLogger("urllib3.connectionpool")
    assert len(logger.filters) <= 2
    with caplog.at_level(logging.DEBUG, logger.name):
        logger.debug('"%s %s" %s', "PUT", "/upload?upload_id=secret", 200)
        logger.debug("plain")
    assert caplog.messages == ['"PUT /upload?upload_id=***" 200', "plain"]


def test_a_busy_sign_in_is_busy(google: Services) -> None:
    from google.auth.exceptions import RefreshError

    make: Any = RefreshError
    assert isinstance(google.connect().translate(make("later", retryable=True)), CloudBusy)


@pytest.mark.parametrize("service", ["google_sts", "google_iam"])
@pytest.mark.parametrize("action", [Throttle(), Status(code=500)], ids=["throttled", "500"])
def test_a_sign_in_that_fails_for_a_while_is_tried_again_and_nobody_is_told_to_set_up_anything(
    google: Services, service: str, action: Action
) -> None:
    """The SDK says the same of it as of a token that's refused, and doesn't say that it passes."""
    home = google.connect()
    google.at_sign_in.use(FaultPlan(rules=(FaultRule(service=service, action=action),)))
    assert isinstance(refusal(home), CloudBusy)
    google.at_sign_in.use(FaultPlan(rules=(FaultRule(service=service, action=Deny()),)))
    assert isinstance(refusal(home), SignInRefused)
    google.at_sign_in.use(FaultPlan())
    assert listed(home) == []
