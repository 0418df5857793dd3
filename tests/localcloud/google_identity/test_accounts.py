"""Service accounts: impersonated by a workload, and by their JSON keys; through google.auth."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.auth.exceptions import RefreshError

from localcloud.faults import Deny, FaultInjector, FaultPlan, FaultRule, Throttle
from localcloud.google_identity.refusal import ApiRefusal
from localcloud.google_identity.settings import Grant
from localcloud.tokens import TokenSigner
from tests.localcloud.google_identity.givers import (
    ACCOUNT,
    EMAIL,
    KEY,
    OTHER_EMAIL,
    POOL,
    aws_token,
    key_credentials,
    pool_credentials,
    token_of,
)

if TYPE_CHECKING:
    from localcloud.azure.clock import VirtualClock
    from localcloud.google_identity.service import GoogleIdentity, IdentityEndpoints

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def test_a_workload_becomes_the_account_that_lets_it(at: IdentityEndpoints, identity: GoogleIdentity) -> None:
    principal = identity.verify(token_of(pool_credentials(at, aws_token())))
    assert principal == f"serviceAccount:{EMAIL}"
    assert identity.allows(principal, "storage.objects.create", "projects/_/buckets/b", "projects/home")
    assert not identity.allows(principal, "storage.objects.create", "projects/elsewhere")
    assert not identity.allows(principal, "compute.disks.create", "projects/home")


@pytest.mark.parametrize("account", [OTHER_EMAIL, "nobody@home.iam.gserviceaccount.com"])
def test_an_account_that_does_not_let_it_is_as_one_that_is_not_there(at: IdentityEndpoints, account: str) -> None:
    with pytest.raises(RefreshError, match="PERMISSION_DENIED"):
        token_of(pool_credentials(at, aws_token(), account=account))


def test_impersonation_judges_the_caller_and_the_body(at: IdentityEndpoints, identity: GoogleIdentity) -> None:
    url = f"{at.iam}/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"
    body: dict[str, Any] = {"scope": ["https://www.googleapis.com/auth/compute"], "lifetime": "60s"}
    answer = requests.post(url, json=body, timeout=5)
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    headers = {"Authorization": f"Bearer {identity.give_token(POOL.principal('arn:aws:iam::1:role/else'))}"}
    assert requests.post(url, json=body, headers=headers, timeout=5).status_code == 403
    identity.grant(Grant("user:a@b.c", "roles/iam.serviceAccountTokenCreator", ACCOUNT.resource))
    headers = {"Authorization": f"Bearer {identity.give_token('user:a@b.c')}"}
    good = requests.post(url, json=body, headers=headers, timeout=5)
    assert set(good.json()) == {"accessToken", "expireTime"}
    changes: tuple[dict[str, Any], ...] = (
        {"lifetime": "3601s"}, {"lifetime": "1h"}, {"scope": []}, {"scope": "x"}, {"delegates": ["x"]}, {"colour": 1},
    )  # fmt: skip
    for change in changes:
        assert requests.post(url, json=body | change, headers=headers, timeout=5).status_code == 400
    assert requests.post(url.replace("generateAccess", "sign"), json=body, timeout=5).status_code == 404
    token = good.json()["accessToken"]
    assert identity.verify(token, ["https://www.googleapis.com/auth/compute"]) == f"serviceAccount:{EMAIL}"
    with pytest.raises(ApiRefusal) as caught:
        identity.verify(token, ["https://www.googleapis.com/auth/devstorage.read_write"])
    assert (caught.value.status, caught.value.reason) == (403, "insufficientPermissions")


def test_a_registered_key_gets_a_token_and_another_one_none(at: IdentityEndpoints, identity: GoogleIdentity) -> None:
    assert identity.verify(token_of(key_credentials(at))) == f"serviceAccount:{EMAIL}"
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        token_of(key_credentials(at, TokenSigner(key_id=KEY.key_id)))
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        token_of(key_credentials(at, TokenSigner()))
    with pytest.raises(RefreshError, match="account not found"):
        token_of(key_credentials(at, email="nobody@home.iam.gserviceaccount.com"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"aud": "https://elsewhere.test"}, "invalid_grant"),
        ({"scope": ""}, "invalid_scope"),
        ({"sub": "admin@home.test"}, "unauthorized_client"),
        ({"exp": int(time.time()) + 7200}, "invalid_grant"),
        ({"iat": 1_600_000_000, "exp": 1_600_000_300}, "invalid_grant"),
    ],
    ids=["audience", "scope", "delegation", "long", "stale"],
)
def test_an_assertion_of_a_key_is_judged(at: IdentityEndpoints, change: dict[str, object], code: str) -> None:
    now = int(time.time())
    claims = {"iss": EMAIL, "aud": "https://oauth2.googleapis.com/token", "scope": "s", "iat": now, "exp": now + 300}
    form = {"grant_type": GRANT_TYPE, "assertion": KEY.sign(claims)}
    assert requests.post(at.oauth, data=form, timeout=5).status_code == 200
    form["assertion"] = KEY.sign(claims | change)
    assert requests.post(at.oauth, data=form, timeout=5).json()["error"] == code
    assert requests.post(at.oauth, data=form | {"colour": "red"}, timeout=5).json()["error"] == "invalid_request"
    wrong = form | {"grant_type": "password"}
    assert requests.post(at.oauth, data=wrong, timeout=5).json()["error"] == "unsupported_grant_type"


def test_a_key_s_own_token_is_taken_as_compute_s_sdk_sends_it(
    at: IdentityEndpoints, identity: GoogleIdentity, clock: VirtualClock
) -> None:
    credentials = key_credentials(at).with_always_use_jwt_access(True)
    token = token_of(credentials)
    assert token.startswith("ey")
    assert identity.verify(token, ["https://www.googleapis.com/auth/compute"]) == f"serviceAccount:{EMAIL}"
    clock.advance(3600 + 301)
    with pytest.raises(ApiRefusal):
        identity.verify(token)


def test_faults_look_like_the_services_own(identity: GoogleIdentity) -> None:
    rules = (
        FaultRule(service="google_sts", operation="token", nth=(1,), action=Deny()),
        FaultRule(service="google_sts", operation="token", nth=(1,), action=Throttle()),
        FaultRule(service="google_iam", operation="generateAccessToken", nth=(1,), action=Deny()),
        FaultRule(service="google_oauth", operation="token", nth=(1,), action=Throttle()),
        FaultRule(service="google_iam", operation="generateAccessToken", nth=(1,), action=Throttle()),
    )
    injector = FaultInjector(identity, FaultPlan(rules=rules), identity.shape)
    with identity.serve(application=injector) as at:
        assert requests.post(at.sts, timeout=5).json()["error"] == "unauthorized_client"
        assert requests.post(at.sts, timeout=5).status_code == 429
        with pytest.raises(RefreshError, match="PERMISSION_DENIED"):
            token_of(pool_credentials(at, aws_token()))
        assert requests.post(at.oauth, timeout=5).status_code == 429
        with pytest.raises(RefreshError, match="RESOURCE_EXHAUSTED"):
            token_of(pool_credentials(at, aws_token()))
        assert identity.verify(token_of(pool_credentials(at, aws_token()))) == f"serviceAccount:{EMAIL}"
    assert len(injector.records) == 5


def test_a_role_that_is_not_known_is_refused_when_it_is_granted() -> None:
    with pytest.raises(ValueError, match="roles/storage\\.king"):
        Grant("user:a@b.c", "roles/storage.king", "projects/home")
