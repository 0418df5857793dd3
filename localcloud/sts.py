"""AWS STS as far as a client machine uses it: AssumeRoleWithWebIdentity, over TLS by a certificate of its own CA.

Source: botocore's service model sts 2011-06-15 (operation, limits, errors) and the query protocol's XML.
"""

from __future__ import annotations

import base64
import re
import secrets
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import jwt
import trustme
from werkzeug import Request, Response

from localcloud.serving import serve_application
from localcloud.tokens import ALGORITHM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SHORTEST, LONGEST, DEFAULT = 900, 43200, 3600
"""Seconds of a session: the service's bounds, and what it gives when nothing is asked for."""

_UNEMULATED = re.compile(r"ProviderId|Policy|PolicyArns\..*|MinimumSessionTokenSize")
_PARAMETERS = frozenset({"Action", "Version", "RoleArn", "RoleSessionName", "WebIdentityToken", "DurationSeconds"})
_FORMS = {
    "RoleArn": re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}"),
    "RoleSessionName": re.compile(r"[\w+=,.@-]{2,64}"),
    "WebIdentityToken": re.compile(r"[\w.-]{4,20000}"),
    "DurationSeconds": re.compile(r"\d{1,6}"),
}


@dataclass(frozen=True, slots=True)
class RoleTrust:
    """Whom a role trusts: one issuer's tokens for one audience and, in its condition, one subject."""

    issuer: str
    audience: str
    subject: str


@dataclass(frozen=True, slots=True)
class StsFault:
    """An error answer, by its HTTP status, code and message as AWS gives them."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Session:
    """Keys that were given out."""

    role_arn: str
    session_name: str
    access_key: str
    secret_key: str
    session_token: str
    expires: datetime


class StsRefusal(Exception):
    """Ends a request with an error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.fault = StsFault(status, code, message)


class SecurityTokenService:
    """A WSGI application; `issuers` maps an issuer to its public key, `roles` a role's ARN to its trust."""

    def __init__(
        self,
        *,
        issuers: Mapping[str, RSAPublicKey],
        roles: Mapping[str, RoleTrust],
        names: Sequence[str] = ("127.0.0.1",),
        authority: trustme.CA | None = None,
    ) -> None:
        self._issuers, self._roles, self._names = dict(issuers), dict(roles), tuple(names)
        self._authority = authority or trustme.CA()
        self._faults: list[StsFault] = []
        self._lock = threading.Lock()
        self.sessions: list[Session] = []

    @property
    def ca_certificates(self) -> str:
        """The CA's certificate as an agent's settings take it: base64 of PEM."""
        return base64.b64encode(self._authority.cert_pem.bytes()).decode("ascii")

    def trust(self, role_arn: str, trust: RoleTrust) -> None:
        """Make a role known, or change its trust."""
        with self._lock:
            self._roles[role_arn] = trust

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
            response = _session_answer(self._assume(Request(environ)))
        except StsRefusal as refusal:
            response = _error_answer(refusal.fault)
        return response(environ, start_response)

    def _assume(self, request: Request) -> tuple[Session, str, str]:
        form = _checked_form(request)
        with self._lock:
            if self._faults:
                fault = self._faults.pop(0)
                raise StsRefusal(fault.status, fault.code, fault.message)
            trust = self._roles.get(form["RoleArn"])
        claims = self._verified(form["WebIdentityToken"], trust)
        if trust is None or trust.issuer != claims["iss"] or trust.subject != claims["sub"]:
            raise StsRefusal(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        session = _new_session(form)
        with self._lock:
            self.sessions.append(session)
        return session, claims["sub"], trust.audience

    def _verified(self, token: str, trust: RoleTrust | None) -> dict[str, str]:
        """The claims of a token that a known issuer signed and that's still good, for the role's audience."""
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            key = self._issuers.get(str(issuer))
            if key is None:
                message = f"No OpenIDConnect provider found in your account for {issuer}"
                raise StsRefusal(400, "InvalidIdentityToken", message)
            audience = trust.audience if trust else None
            options: jwt.types.Options = {"require": ["exp", "iss", "sub", "aud"], "verify_aud": audience is not None}
            return jwt.decode(token, key, algorithms=[ALGORITHM], audience=audience, issuer=issuer, options=options)
        except jwt.ExpiredSignatureError as error:
            raise StsRefusal(400, "ExpiredTokenException", "Token expired") from error
        except jwt.InvalidAudienceError as error:
            raise StsRefusal(400, "InvalidIdentityToken", "Incorrect token audience") from error
        except jwt.InvalidTokenError as error:
            message = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
            raise StsRefusal(400, "InvalidIdentityToken", message) from error


def _checked_form(request: Request) -> dict[str, str]:
    if request.method != "POST" or request.path != "/":
        raise StsRefusal(400, "InvalidAction", "Only POST / is known here")
    form = request.form.to_dict()
    if (form.get("Action"), form.get("Version")) != ("AssumeRoleWithWebIdentity", "2011-06-15"):
        message = f"Could not find operation {form.get('Action')} for version {form.get('Version')}"
        raise StsRefusal(400, "InvalidAction", message)
    known = sorted(name for name in form if _UNEMULATED.fullmatch(name))
    if known:
        message = f"The embedded STS doesn't act on {', '.join(known)}. Nothing was done."
        raise StsRefusal(400, "NotImplemented", message)
    unknown = sorted(set(form).difference(_PARAMETERS))
    if unknown or request.args:
        raise StsRefusal(400, "ValidationError", f"Unknown parameters: {', '.join([*unknown, *request.args])}")
    form.setdefault("DurationSeconds", str(DEFAULT))
    for name, pattern in _FORMS.items():
        if pattern.fullmatch(form.get(name, "")) is None:
            message = f"1 validation error detected: Value at '{name}' failed to satisfy constraint {pattern.pattern}"
            raise StsRefusal(400, "ValidationError", message)
    if not SHORTEST <= int(form["DurationSeconds"]) <= LONGEST:
        message = f"The requested DurationSeconds isn't from {SHORTEST} to {LONGEST}"
        raise StsRefusal(400, "ValidationError", message)
    return form


def _new_session(form: Mapping[str, str]) -> Session:
    return Session(
        role_arn=form["RoleArn"],
        session_name=form["RoleSessionName"],
        access_key="ASIA" + base64.b32encode(secrets.token_bytes(10)).decode("ascii"),
        secret_key=base64.b64encode(secrets.token_bytes(30)).decode("ascii"),
        session_token=base64.b64encode(secrets.token_bytes(400)).decode("ascii"),
        expires=datetime.now(UTC) + timedelta(seconds=int(form["DurationSeconds"])),
    )


def _session_answer(assumed: tuple[Session, str, str]) -> Response:
    session, subject, audience = assumed
    arn = session.role_arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + f"/{session.session_name}"
    fields = {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret_key,
        "SessionToken": session.session_token,
        "Expiration": session.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    credentials = "".join(f"<{name}>{escape(value)}</{name}>\n" for name, value in fields.items())
    return _xml(
        200,
        f"<AssumeRoleWithWebIdentityResponse xmlns='{NAMESPACE}'>\n<AssumeRoleWithWebIdentityResult>\n"
        f"<SubjectFromWebIdentityToken>{escape(subject)}</SubjectFromWebIdentityToken>\n"
        f"<Audience>{escape(audience)}</Audience>\n"
        f"<AssumedRoleUser><Arn>{escape(arn)}</Arn><AssumedRoleId>AROA:{session.session_name}</AssumedRoleId>"
        f"</AssumedRoleUser>\n<Credentials>\n{credentials}</Credentials>\n</AssumeRoleWithWebIdentityResult>\n"
        f"<ResponseMetadata><RequestId>{secrets.token_hex(16)}</RequestId></ResponseMetadata>\n"
        "</AssumeRoleWithWebIdentityResponse>\n",
    )


def _error_answer(fault: StsFault) -> Response:
    kind = "Sender" if fault.status < 500 else "Receiver"
    return _xml(
        fault.status,
        f"<ErrorResponse xmlns='{NAMESPACE}'>\n<Error>\n<Type>{kind}</Type>\n<Code>{escape(fault.code)}</Code>\n"
        f"<Message>{escape(fault.message)}</Message>\n</Error>\n"
        f"<RequestId>{secrets.token_hex(16)}</RequestId>\n</ErrorResponse>\n",
    )


def _xml(status: int, text: str) -> Response:
    return Response(text, status=status, content_type="text/xml")
