"""The three services that give tokens as one WSGI application, and the gate that other services put before theirs.

Paths: `/v1/token` is Google's STS, `/token` the OAuth token endpoint of service accounts, the rest IAM Credentials.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from werkzeug import Request, Response

from localcloud.azure.clock import Clock, SystemClock
from localcloud.google_identity.access_tokens import AccessTokens
from localcloud.google_identity.account_keys import AccountKeys
from localcloud.google_identity.exchange import TokenExchange
from localcloud.google_identity.gate import CLOUD_PLATFORM
from localcloud.google_identity.identity_faults import IdentityShape
from localcloud.google_identity.impersonation import PATH, Impersonation
from localcloud.google_identity.refusal import ApiRefusal, OAuthRefusal, json_response
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from localcloud.google_identity.settings import Grant, IdentitySettings

STS_PATH, OAUTH_PATH = "/v1/token", "/token"


@dataclass(frozen=True, slots=True)
class IdentityEndpoints:
    """Where the three are: URLs of the two token endpoints, and IAM Credentials' base URL."""

    sts: str
    oauth: str
    iam: str


class GoogleIdentity:
    """A WSGI application, and a Gate."""

    def __init__(self, settings: IdentitySettings, *, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self._grants, self._tokens = settings.grants, AccessTokens(clock)
        self._keys = AccountKeys(settings.accounts, tokens=self._tokens, clock=clock)
        self._exchange = TokenExchange(settings.providers, settings.issuers, tokens=self._tokens, clock=clock)
        self._impersonation = Impersonation(settings.accounts, tokens=self._tokens, gate=self)
        self.shape = IdentityShape()

    def verify(self, access_token: str, scopes: Collection[str] = ()) -> str:
        """See Gate."""
        found = self._tokens.meaning(access_token)
        known = (found.principal, found.scopes) if found else self._keys.self_signed(access_token)
        if known is None:
            raise ApiRefusal(401, "authError", "Invalid Credentials", location=("header", "Authorization"))
        principal, given = known
        if given and scopes and not given & {CLOUD_PLATFORM, *scopes}:
            raise ApiRefusal(403, "insufficientPermissions", "Insufficient Permission")
        return principal

    def allows(self, principal: str, permission: str, *resources: str) -> bool:
        """See Gate."""
        return any(
            each.member == principal and each.resource in resources and each.gives(permission) for each in self._grants
        )

    def grant(self, grant: Grant) -> None:
        """Let somebody do something more."""
        if grant not in self._grants:
            self._grants = (*self._grants, grant)

    def give_token(self, principal: str) -> str:
        """An access token of a principal, whoever asks for it: for callers within this process."""
        return self._tokens.give(principal, [CLOUD_PLATFORM])[0]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            response = self._answer(Request(environ))
        except OAuthRefusal as refusal:
            response = json_response(refusal.status, refusal.body)
        except ApiRefusal as refusal:
            response = json_response(refusal.status, refusal.status_body)
        return response(environ, start_response)

    @contextmanager
    def serve(self, *, port: int = 0, application: WSGIApplication | None = None) -> Iterator[IdentityEndpoints]:
        """Serve on 127.0.0.1; `application` is what stands before it, e.g. a FaultInjector around it."""
        with serve_application(application or self, port=port) as base:
            yield endpoints_at(base)

    def _answer(self, request: Request) -> Response:
        match = PATH.fullmatch(request.path)
        if request.path not in {STS_PATH, OAUTH_PATH} and (match is None or match["method"] != "generateAccessToken"):
            raise ApiRefusal(404, "notFound", f"The requested URL {request.path} was not found on this server.")
        if request.method != "POST":
            raise ApiRefusal(405, "methodNotAllowed", f"{request.path} takes POST only.")
        unknown = sorted(set(request.args) - {"alt", "prettyPrint"})
        if unknown:
            message = f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot bind query parameter.'
            raise ApiRefusal(400, "badRequest", message)
        if match is not None:
            return json_response(200, self._impersonation.generate(match["account"], request))
        service = self._exchange if request.path == STS_PATH else self._keys
        return json_response(200, service.token(request))


def endpoints_at(base: str) -> IdentityEndpoints:
    """The endpoints of one that is mounted at a base URL."""
    return IdentityEndpoints(sts=base + STS_PATH, oauth=base + OAUTH_PATH, iam=base)
