"""Outbound identity federation of AWS: STS's GetWebIdentityToken, and the documents that let others check its tokens.

Source: botocore's service model sts 2011-06-15 (operation, limits, errors); IAM user guide, "Federate AWS identities to
external services" (claims, discovery).
"""

from __future__ import annotations

import json
import re
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import jwt
from werkzeug import Request, Response

from localcloud.accounts import ACCOUNT, access_key
from localcloud.gateway.answers import service_error
from localcloud.gateway.call import read_call
from localcloud.gateway.dispatch import PartOfService
from localcloud.sts import NAMESPACE
from localcloud.tokens import ALGORITHM, TokenSigner

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from localcloud.lambda_runner.role_sessions import RoleSession, RoleSessions

ACTION = "GetWebIdentityToken"
ISSUER = "https://5f0f7c2e-0000-4000-8000-9b1d3c5a7e24.tokens.sts.global.api.aws"
"""The account's issuer, in the form that IAM gives."""
SHORTEST, LONGEST, DEFAULT = 60, 3600, 300
"""Seconds that a token is good for: the service's bounds, and what it gives when nothing is asked for."""
MOST_AUDIENCES = 10
MOST_TAGS = 50
BLOCK = "https://sts.amazonaws.com/"
"""The claim under which AWS's own ones stand."""

_AUDIENCE = re.compile(r"Audience\.member\.(\d{1,4})")
_TAG = re.compile(r"Tags\.member\.(\d{1,4})\.(Key|Value)")
_TAG_FORMS = {"Key": re.compile(r"[\w .:/=+\-@]{1,128}"), "Value": re.compile(r"[\w .:/=+\-@]{0,256}")}
_PLAIN = frozenset({"Action", "Version", "SigningAlgorithm", "DurationSeconds"})
_DOCUMENTS = ".well-known"


class _Refusal(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Federation:
    """A WSGI application for that one operation; its other documents are `discovery`'s.

    `sessions` says which role a caller is; `enabled` is what IAM's EnableOutboundWebIdentityFederation switches.
    """

    def __init__(self, sessions: RoleSessions, *, issuer: str = ISSUER, signer: TokenSigner | None = None) -> None:
        self._sessions, self.issuer = sessions, issuer
        self._signer = signer or TokenSigner()
        self.enabled = True

    @property
    def issuers(self) -> Mapping[str, RSAPublicKey]:
        """What others verify tokens with."""
        return {self.issuer: self._signer.public_key}

    @property
    def parts(self) -> tuple[PartOfService, ...]:
        """What a gateway has to ask: the operation, and the documents under `/.well-known/` (no bucket's name)."""
        return (
            PartOfService("sts", lambda call: call.action == ACTION, self),
            PartOfService("s3", lambda call: call.bucket == _DOCUMENTS, self.discovery),
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            response = self._answer(environ)
        except _Refusal as refusal:
            response = service_error("sts", refusal.status, refusal.code, refusal.message)
        return response(environ, start_response)

    def discovery(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The issuer's two public documents (OpenID Connect Discovery 1.0, RFC 7517)."""
        documents = {
            "/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/.well-known/jwks.json",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
            },
            "/.well-known/jwks.json": {"keys": [self._public_jwk()]},
        }
        found = documents.get(Request(environ).path)
        response = Response(json.dumps(found), content_type="application/json") if found else Response(status=404)
        return response(environ, start_response)

    def _public_jwk(self) -> dict[str, object]:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._signer.public_key, as_dict=True)
        return {**key, "kid": self._signer.key_id, "use": "sig", "alg": ALGORITHM}

    def _answer(self, environ: WSGIEnvironment) -> Response:
        call = read_call(environ)
        session = self._caller(environ)
        if not self.enabled:
            message = "Outbound web identity federation is not enabled for this account."
            raise _Refusal(403, "OutboundWebIdentityFederationDisabledException", message)
        form = dict(call.parameters)
        audiences, tags = _audiences(form), _tags(form)
        _refuse_unknown(form)
        _check_algorithm(form.get("SigningAlgorithm", ""))
        seconds = _seconds(form.get("DurationSeconds", str(DEFAULT)))
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": audiences[0] if len(audiences) == 1 else audiences,
            "sub": session.role,
            "iat": now,
            "exp": now + seconds,
            "jti": secrets.token_hex(16),
            BLOCK: _own_claims(session, call.region, tags),
        }
        return _token_answer(self._signer.sign(claims), now + seconds)

    def _caller(self, environ: WSGIEnvironment) -> RoleSession:
        key = access_key(environ)
        if key is None:
            raise _Refusal(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        session = self._sessions.find(key)
        if session is None:
            message = f"The principal of the access key {key} isn't a role, and not authorized to perform sts:{ACTION}"
            raise _Refusal(403, "AccessDenied", message)
        return session


def _own_claims(session: RoleSession, region: str, tags: Mapping[str, str]) -> dict[str, object]:
    claims: dict[str, object] = {
        "aws_account": ACCOUNT,
        "source_region": region,
        "lambda_source_function_arn": session.function,
    }
    return claims | ({"request_tags": dict(tags)} if tags else {})


def _audiences(form: Mapping[str, str]) -> list[str]:
    found = {int(place[1]): value for name, value in form.items() if (place := _AUDIENCE.fullmatch(name))}
    if not 1 <= len(found) <= MOST_AUDIENCES:
        raise _bounds(name="audience", constraint=f"Member must have length between 1 and {MOST_AUDIENCES}")
    if not all(1 <= len(value) <= 1000 for value in found.values()):
        raise _bounds(name="audience", constraint="Each has from 1 to 1000 characters")
    return [found[number] for number in sorted(found)]


def _tags(form: Mapping[str, str]) -> dict[str, str]:
    found: dict[int, dict[str, str]] = {}
    for name, value in form.items():
        if place := _TAG.fullmatch(name):
            if _TAG_FORMS[place[2]].fullmatch(value) is None:
                raise _bounds(
                    name=f"tags.{place[1]}.{place[2].lower()}", constraint="Member must satisfy its pattern and length"
                )
            found.setdefault(int(place[1]), {})[place[2]] = value
    keys = [tag.get("Key", "") for tag in found.values()]
    if len(keys) > MOST_TAGS or len(set(keys)) != len(keys) or not all(len(tag) == 2 for tag in found.values()):
        raise _bounds(name="tags", constraint=f"At most {MOST_TAGS}, each with a key of its own and a value")
    return {tag["Key"]: tag["Value"] for tag in found.values()}


def _refuse_unknown(form: Mapping[str, str]) -> None:
    known = (name in _PLAIN or _AUDIENCE.fullmatch(name) or _TAG.fullmatch(name) for name in form)
    unknown = [name for name, fits in zip(form, known, strict=True) if not fits]
    if unknown:
        raise _Refusal(400, "ValidationError", f"Unknown parameters: {', '.join(sorted(unknown))}")


def _check_algorithm(name: str) -> None:
    if name == "ES384":
        message = f"The embedded AWS doesn't sign by ES384, only by {ALGORITHM}. Nothing was done."
        raise _Refusal(400, "NotImplemented", message)
    if name != ALGORITHM:
        raise _bounds(name="signingAlgorithm", constraint="Member must satisfy enum value set: [ES384, RS256]")


def _seconds(text: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text) or not SHORTEST <= int(text) <= LONGEST:
        raise _bounds(name="durationSeconds", constraint=f"Member must have value between {SHORTEST} and {LONGEST}")
    return int(text)


def _bounds(*, name: str, constraint: str) -> _Refusal:
    message = f"1 validation error detected: Value at '{name}' failed to satisfy constraint: {constraint}"
    return _Refusal(400, "ValidationError", message)


def _token_answer(token: str, expires: int) -> Response:
    moment = f"{datetime.fromtimestamp(expires, UTC):%Y-%m-%dT%H:%M:%SZ}"
    text = (
        f"<{ACTION}Response xmlns='{NAMESPACE}'>\n<{ACTION}Result>\n"
        f"<WebIdentityToken>{escape(token)}</WebIdentityToken>\n"
        f"<Expiration>{moment}</Expiration>\n</{ACTION}Result>\n"
        f"<ResponseMetadata><RequestId>{secrets.token_hex(16)}</RequestId></ResponseMetadata>\n</{ACTION}Response>\n"
    )
    return Response(text, content_type="text/xml")
