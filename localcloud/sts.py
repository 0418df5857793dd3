"""AWS STS as far as a client machine uses it: AssumeRoleWithWebIdentity, over TLS by a certificate of its own CA.

Source: botocore's service model sts 2011-06-15 (operation, limits, errors) and the query protocol's XML.
"""

from __future__ import annotations

import base64
import re
import ssl
import threading
from typing import TYPE_CHECKING

import jwt
import trustme
from werkzeug import Request

from localcloud.serving import serve_application
from localcloud.sts_answers import FORMS, NAMESPACE, StsFault, StsRefusal, check_form, error_answer, session_answer
from localcloud.sts_assume import check_length
from localcloud.sts_sessions import GivenSessions, SessionRequest
from localcloud.sts_trust import ListedTrusts, RoleTrust, WebIdentity
from localcloud.tokens import ALGORITHM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from localcloud.sts_sessions import GivenSession
    from localcloud.sts_trust import WebTrusts

__all__ = ["ACTION", "NAMESPACE", "RoleTrust", "SecurityTokenService", "StsFault", "StsRefusal"]

ACTION = "AssumeRoleWithWebIdentity"
_UNEMULATED = re.compile(r"ProviderId|Policy|PolicyArns\..*|MinimumSessionTokenSize")
_FORMS = {**FORMS, "WebIdentityToken": re.compile(r"[\w.-]{4,20000}")}


class SecurityTokenService:
    """A WSGI application; `issuers` maps an issuer to its public key.

    `roles` is whom each role trusts, by its ARN; `trusts` says it in their place. `given` takes the sessions, so that
    other services can ask whose a key is. Tokens of a subject in `rejected` are refused as if their issuer had said so.
    """

    def __init__(
        self,
        *,
        issuers: Mapping[str, RSAPublicKey],
        roles: Mapping[str, RoleTrust] | None = None,
        trusts: WebTrusts | None = None,
        given: GivenSessions | None = None,
        names: Sequence[str] = ("127.0.0.1",),
        authority: trustme.CA | None = None,
    ) -> None:
        self._issuers, self._names = dict(issuers), tuple(names)
        self._listed = ListedTrusts(roles or {})
        self._trusts: WebTrusts = trusts or self._listed
        self._given = given or GivenSessions()
        self._authority = authority or trustme.CA()
        self._faults: list[StsFault] = []
        self._lock = threading.Lock()
        self._sessions: list[GivenSession] = []
        self.rejected: set[str] = set()

    @property
    def sessions(self) -> tuple[GivenSession, ...]:
        """What was given out here, in order."""
        with self._lock:
            return tuple(self._sessions)

    @property
    def ca_certificates(self) -> str:
        """The CA's certificate as an agent's settings take it: base64 of PEM."""
        return base64.b64encode(self._authority.cert_pem.bytes()).decode("ascii")

    def trust(self, role_arn: str, trust: RoleTrust) -> None:
        """Make a role known, or change its trust, where roles are listed."""
        self._listed.trust(role_arn, trust)

    def fail_next(self, *faults: StsFault) -> None:
        """Answer the next requests with these, one each."""
        with self._lock:
            self._faults.extend(faults)

    def serve(self, *, host: str = "127.0.0.1", port: int = 0) -> AbstractContextManager[str]:
        """Serve by TLS for the length of a `with` block, which gets the base URL."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*self._names).configure_cert(context)
        return serve_application(self, host=host, port=port, tls=context)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            session, identity = self._assume(Request(environ))
            more = {"SubjectFromWebIdentityToken": identity.subject, "Audience": identity.audience}
            response = session_answer(ACTION, session, more)
        except StsRefusal as refusal:
            response = error_answer(refusal.fault)
        return response(environ, start_response)

    def _assume(self, request: Request) -> tuple[GivenSession, WebIdentity]:
        form = _checked_form(request)
        with self._lock:
            if self._faults:
                fault = self._faults.pop(0)
                raise StsRefusal(fault.status, fault.code, fault.message)
        identity = self._verified(form["WebIdentityToken"], form["RoleArn"])
        longest = self._trusts.admit(identity, form["RoleArn"])
        seconds = int(form["DurationSeconds"])
        check_length(seconds, longest)
        session = self._given.give(
            SessionRequest(form["RoleArn"], form["RoleSessionName"], seconds, source=identity.subject)
        )
        with self._lock:
            self._sessions.append(session)
        return session, identity

    def _verified(self, token: str, role_arn: str) -> WebIdentity:
        """What a token says that a known issuer signed and that's still good, for the right audience."""
        try:
            issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
            key, audiences = self._issuers.get(issuer), self._trusts.audiences(issuer, role_arn)
            if key is None or audiences is None:
                message = f"No OpenIDConnect provider found in your account for {issuer}"
                raise StsRefusal(400, "InvalidIdentityToken", message)
            options: jwt.types.Options = {"require": ["exp", "iss", "sub", "aud"], "verify_aud": bool(audiences)}
            claims = jwt.decode(
                token, key, algorithms=[ALGORITHM], audience=audiences or None, issuer=issuer, options=options
            )
        except jwt.ExpiredSignatureError as error:
            raise StsRefusal(400, "ExpiredTokenException", "Token expired") from error
        except jwt.InvalidAudienceError as error:
            raise StsRefusal(400, "InvalidIdentityToken", "Incorrect token audience") from error
        except jwt.InvalidTokenError as error:
            message = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
            raise StsRefusal(400, "InvalidIdentityToken", message) from error
        if claims["sub"] in self.rejected:
            raise StsRefusal(403, "IDPRejectedClaim", "The identity provider rejected the claim")
        return WebIdentity(issuer, str(claims["aud"]), str(claims["sub"]), str(claims.get("azp", "")))


def _checked_form(request: Request) -> dict[str, str]:
    if request.method != "POST" or request.path != "/":
        raise StsRefusal(400, "InvalidAction", "Only POST / is known here")
    form = request.form.to_dict()
    if (form.get("Action"), form.get("Version")) != (ACTION, "2011-06-15"):
        message = f"Could not find operation {form.get('Action')} for version {form.get('Version')}"
        raise StsRefusal(400, "InvalidAction", message)
    if request.args:
        raise StsRefusal(400, "ValidationError", f"Unknown parameters: {', '.join(request.args)}")
    check_form(form, _FORMS, unemulated=_UNEMULATED)
    return form
