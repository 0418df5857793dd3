"""AWS's token for Google's: through google.auth, by a form and by JSON, and what is refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.auth.exceptions import OAuthError

from localcloud.google_identity.refusal import ApiRefusal
from localcloud.tokens import TokenSigner
from tests.localcloud.google_identity.givers import POOL, PROVIDER, ROLE, aws_token, pool_credentials, token_of

if TYPE_CHECKING:
    from localcloud.azure.clock import VirtualClock
    from localcloud.google_identity.service import GoogleIdentity, IdentityEndpoints

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
JSON = {
    "grantType": GRANT,
    "audience": POOL.resource,
    "scope": "https://www.googleapis.com/auth/cloud-platform",
    "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
    "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
}


def test_a_role_s_token_becomes_the_principal_that_policies_name(
    at: IdentityEndpoints, identity: GoogleIdentity
) -> None:
    token = token_of(pool_credentials(at, aws_token(), account=None))
    assert token.startswith("ya29.")
    pool = PROVIDER.partition("/providers/")[0]
    assert identity.verify(token) == f"principal://iam.googleapis.com/{pool}/subject/{ROLE}"
    assert not identity.allows(identity.verify(token), "storage.objects.get", "projects/home")


def test_the_audience_may_be_written_without_https(at: IdentityEndpoints, identity: GoogleIdentity) -> None:
    token = token_of(pool_credentials(at, aws_token(aud=POOL.resource), account=None))
    assert identity.verify(token) == POOL.principal(ROLE)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "https://elsewhere.test"}, "invalid_grant.*issuer"),
        ({"aud": "https://iam.googleapis.com/projects/1"}, "invalid_grant.*audience"),
        ({"iat": 1_600_000_000, "exp": 1_600_000_300}, "invalid_grant.*stale"),
        ({"nbf": int(time.time()) + 3600}, "invalid_grant.*not good yet"),
        ({"exp": int(time.time()) + 90_000}, "invalid_grant.*24 hours"),
        ({"sub": "arn:aws:iam::123456789012:role/" + "x" * 97}, "invalid_grant.*127 bytes"),
    ],
    ids=["issuer", "audience", "stale", "early", "long", "subject"],
)
def test_a_token_of_other_claims_is_refused(at: IdentityEndpoints, claims: dict[str, Any], code: str) -> None:
    with pytest.raises(OAuthError, match=code):
        token_of(pool_credentials(at, aws_token(**claims), account=None))


def test_another_key_another_provider_and_no_token_at_all(at: IdentityEndpoints) -> None:
    for token, provider, code in (
        (aws_token(signer=TokenSigner()), PROVIDER, "invalid_grant.*signature"),
        (aws_token(), f"{PROVIDER}-2", "invalid_target"),
        ("no.token.atall", PROVIDER, "invalid_request"),
    ):
        with pytest.raises(OAuthError, match=code):
            token_of(pool_credentials(at, token, account=None, provider=provider))


def test_json_is_taken_and_unknown_or_missing_parameters_are_not(at: IdentityEndpoints) -> None:
    body = JSON | {"subjectToken": aws_token()}
    answer = requests.post(at.sts, json=body, timeout=5)
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "issued_token_type", "token_type", "expires_in"}
    for change, code in (
        ({"colour": "red"}, "invalid_request"),
        ({"scope": ""}, "invalid_request"),
        ({"grantType": "password"}, "unsupported_grant_type"),
        ({"requestedTokenType": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"),
        ({"subjectTokenType": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
    ):
        answer = requests.post(at.sts, json=body | change, timeout=5)
        assert (answer.status_code, answer.json()["error"]) == (400, code)
    assert requests.post(at.sts, data=b"[]", timeout=5).json()["error"] == "invalid_request"
    assert requests.get(at.sts, timeout=5).status_code == 405


def test_an_access_token_ends_with_its_hour_and_no_other_word_is_one(
    identity: GoogleIdentity, clock: VirtualClock
) -> None:
    token = identity.give_token("serviceAccount:x@y.z")
    clock.advance(3599)
    assert identity.verify(token) == "serviceAccount:x@y.z"
    clock.advance(1)
    for each in (token, "ya29.else", ""):
        with pytest.raises(ApiRefusal) as caught:
            identity.verify(each)
        assert caught.value.status == 401
        assert caught.value.body["error"]["errors"][0]["reason"] == "authError"
