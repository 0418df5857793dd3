"""Entra's token endpoint through azure-identity, and ARM's judgement of what it gave."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential

from localcloud.tokens import TokenSigner
from tests.localcloud.azure.clients import assertion

if TYPE_CHECKING:
    from tests.localcloud.azure.clients import Azure

SCOPE = "https://management.azure.com/.default"


def test_an_assertion_becomes_a_token_that_arm_takes(azure: Azure) -> None:
    token = azure.credential().get_token(SCOPE)
    claims = jwt.decode(token.token, options={"verify_signature": False})
    assert claims["aud"] == "https://management.azure.com"
    assert claims["tid"] == azure.settings.tenant
    with azure.compute() as compute:
        assert list(compute.disks.list()) == []


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "https://elsewhere.test"}, "AADSTS700211"),
        ({"sub": "arn:aws:iam::123456789012:role/other"}, "AADSTS700213"),
        ({"aud": "https://sts.amazonaws.com"}, "AADSTS700212"),
        ({"iat": 1_600_000_000, "exp": 1_600_000_300}, "AADSTS700024"),
        ({"nbf": int(time.time()) + 3600}, "AADSTS700024"),
    ],
)
def test_an_assertion_that_no_credential_matches_is_refused(azure: Azure, claims: dict[str, object], code: str) -> None:
    with pytest.raises(ClientAuthenticationError, match=code):
        azure.credential(**claims).get_token(SCOPE)


def test_another_key_another_tenant_another_scope_and_another_app(azure: Azure) -> None:
    forged = TokenSigner().sign(jwt.decode(assertion(), options={"verify_signature": False}))

    def credential(tenant: str, client: str, token: str) -> ClientAssertionCredential:
        return ClientAssertionCredential(
            tenant, client, lambda: token, authority=azure.at.base_url, disable_instance_discovery=True
        )

    tenant, client = azure.settings.tenant, azure.settings.credentials[0].client_id
    for given, code in (
        (credential(tenant, client, forged), "AADSTS700027"),
        (credential(tenant, client, "no.token.atall"), "AADSTS50027"),
        (credential(tenant, "00000000-0000-4000-8000-000000000000", assertion()), "AADSTS700016"),
    ):
        with pytest.raises(ClientAuthenticationError, match=code):
            given.get_token(SCOPE)
    with pytest.raises(ClientAuthenticationError, match="AADSTS70011"):
        azure.credential().get_token("https://storage.azure.com/.default")
    with pytest.raises(ClientAuthenticationError, match="AADSTS90002"):
        credential("00000000-0000-4000-8000-000000000009", client, assertion()).get_token(SCOPE)


def test_arm_refuses_no_token_a_forged_one_and_one_that_is_over(azure: Azure) -> None:
    path = "/providers/Microsoft.Compute/disks?api-version=2026-03-02"
    token = azure.token()
    assert azure.raw("GET", path, token=token)[0] == 200
    status, body = azure.raw("GET", path, token="nonsense")
    assert (status, body["error"]["code"]) == (401, "InvalidAuthenticationToken")
    status, body = azure.raw("GET", path, token=TokenSigner().sign({"aud": "https://management.azure.com"}))
    assert (status, body["error"]["code"]) == (401, "InvalidAuthenticationToken")
    azure.clock.advance(3600)
    status, body = azure.raw("GET", path, token=token)
    assert (status, body["error"]["code"]) == (401, "ExpiredAuthenticationToken")
