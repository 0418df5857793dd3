"""AssumeRole of the embedded AWS: by the role's own trust policy, with keys that other services can ask about."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from localcloud.accounts import access_key
from localcloud.gateway.call import read_call
from localcloud.gateway.dispatch import PartOfService
from localcloud.sts_answers import (
    FORMS,
    LONGEST_POLICY,
    StsRefusal,
    check_form,
    check_policy,
    error_answer,
    session_answer,
)
from localcloud.sts_sessions import SessionRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from werkzeug import Response

    from localcloud.lambda_runner.role_sessions import RoleSessions
    from localcloud.sts_sessions import GivenSessions
    from localcloud.sts_trust import DeployedTrusts

ACTION = "AssumeRole"
LONGEST_CHAINED = 3600
"""Seconds of a session that a role's session asks for ("role chaining")."""

_FORMS = {**FORMS, "Policy": re.compile(rf"[\t\n\r -\u00ff]{{1,{LONGEST_POLICY}}}")}
_UNEMULATED = re.compile(
    r"(?:PolicyArns|Tags|TransitiveTagKeys|ProvidedContexts)\..*|ExternalId|SerialNumber|TokenCode|SourceIdentity"
)


class RoleAssumption:
    """A WSGI application; `functions` and `sessions` say as which role a caller works.

    A key of neither is an administrator's.
    """

    def __init__(self, trusts: DeployedTrusts, sessions: GivenSessions, functions: RoleSessions) -> None:
        self._trusts, self._sessions, self._functions = trusts, sessions, functions

    @property
    def part(self) -> PartOfService:
        """What a gateway has to ask."""
        return PartOfService("sts", lambda call: call.action == ACTION, self)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            response = self._answer(environ)
        except StsRefusal as refusal:
            response = error_answer(refusal.fault)
        return response(environ, start_response)

    def _answer(self, environ: WSGIEnvironment) -> Response:
        form = dict(read_call(environ).parameters)
        caller = self._caller(environ)
        check_form(form, _FORMS, unemulated=_UNEMULATED)
        if "Policy" in form:
            check_policy(form["Policy"])
        seconds = int(form["DurationSeconds"])
        longest = self._trusts.admit_caller(caller, form["RoleArn"])
        check_length(seconds, longest)
        if caller and seconds > LONGEST_CHAINED:
            message = "The requested DurationSeconds exceeds the 1 hour session limit for roles that roles assume"
            raise StsRefusal(400, "ValidationError", message)
        session = self._sessions.give(
            SessionRequest(
                role_arn=form["RoleArn"],
                session_name=form["RoleSessionName"],
                seconds=seconds,
                policy=form.get("Policy"),
                source=caller or "",
            )
        )
        return session_answer(ACTION, session, {})

    def _caller(self, environ: WSGIEnvironment) -> str | None:
        key = access_key(environ)
        if key is None:
            raise StsRefusal(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        function = self._functions.find(key)
        if function:
            return function.role
        session = self._sessions.find(key)
        if session and not self._sessions.is_good(session):
            raise StsRefusal(403, "ExpiredToken", "The security token included in the request is expired")
        return session.role_arn if session else None


def check_length(seconds: int, longest: int) -> None:
    """Raise StsRefusal for a session that would be longer than its role allows."""
    if seconds > longest:
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise StsRefusal(400, "ValidationError", message)
