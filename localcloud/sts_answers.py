"""STS's words: forms that it takes, keys that it gives, refusals, in the query protocol's XML.

Source: botocore's service model sts 2011-06-15 (members, limits, errors).
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from werkzeug import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.sts_sessions import GivenSession

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SHORTEST, LONGEST, DEFAULT = 900, 43200, 3600
"""Seconds of a session: the service's bounds, and what it gives when nothing is asked for."""
LONGEST_POLICY = 2048
"""Characters of a session policy."""

_PLAIN = frozenset({"Action", "Version"})
FORMS = {
    "RoleArn": re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}"),
    "RoleSessionName": re.compile(r"[\w+=,.@-]{2,64}"),
    "DurationSeconds": re.compile(r"\d{1,6}"),
}


@dataclass(frozen=True, slots=True)
class StsFault:
    """An error answer, by its HTTP status, code and message as AWS gives them."""

    status: int
    code: str
    message: str


class StsRefusal(Exception):
    """Ends a request with an error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.fault = StsFault(status, code, message)


def check_form(form: dict[str, str], forms: Mapping[str, re.Pattern[str]], *, unemulated: re.Pattern[str]) -> None:
    """Judge every field by its form and set what isn't given; raises StsRefusal.

    What the service knows but nothing here acts on is refused by a word of its own.
    """
    known = sorted(name for name in form if unemulated.fullmatch(name))
    if known:
        message = f"The embedded STS doesn't act on {', '.join(known)}. Nothing was done."
        raise StsRefusal(400, "NotImplemented", message)
    unknown = sorted(set(form).difference(_PLAIN, forms))
    if unknown:
        raise StsRefusal(400, "ValidationError", f"Unknown parameters: {', '.join(unknown)}")
    form.setdefault("DurationSeconds", str(DEFAULT))
    for name, pattern in forms.items():
        if (name in form or name != "Policy") and pattern.fullmatch(form.get(name, "")) is None:
            message = f"1 validation error detected: Value at '{name}' failed to satisfy constraint {pattern.pattern}"
            raise StsRefusal(400, "ValidationError", message)
    if not SHORTEST <= int(form["DurationSeconds"]) <= LONGEST:
        message = f"The requested DurationSeconds isn't from {SHORTEST} to {LONGEST}"
        raise StsRefusal(400, "ValidationError", message)


def check_policy(text: str) -> None:
    """A session policy has to be a policy; raises StsRefusal."""
    try:
        policy = json.loads(text)
    except ValueError:
        policy = None
    if not isinstance(policy, dict) or "Statement" not in policy:
        raise StsRefusal(400, "MalformedPolicyDocument", "The session policy isn't a JSON object with a Statement")


def session_answer(action: str, session: GivenSession, more: Mapping[str, str]) -> Response:
    """The keys; `more` are elements besides them."""
    fields = {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret_key,
        "SessionToken": session.session_token,
        "Expiration": session.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return xml(
        200,
        f"<{action}Response xmlns='{NAMESPACE}'>\n<{action}Result>\n{_elements(more)}"
        f"<AssumedRoleUser><Arn>{escape(session.arn)}</Arn><AssumedRoleId>AROA:{session.session_name}</AssumedRoleId>"
        f"</AssumedRoleUser>\n<Credentials>\n{_elements(fields)}</Credentials>\n</{action}Result>\n"
        f"<ResponseMetadata><RequestId>{secrets.token_hex(16)}</RequestId></ResponseMetadata>\n"
        f"</{action}Response>\n",
    )


def error_answer(fault: StsFault) -> Response:
    """A refusal."""
    kind = "Sender" if fault.status < 500 else "Receiver"
    return xml(
        fault.status,
        f"<ErrorResponse xmlns='{NAMESPACE}'>\n<Error>\n<Type>{kind}</Type>\n<Code>{escape(fault.code)}</Code>\n"
        f"<Message>{escape(fault.message)}</Message>\n</Error>\n"
        f"<RequestId>{secrets.token_hex(16)}</RequestId>\n</ErrorResponse>\n",
    )


def xml(status: int, text: str) -> Response:
    """An XML document as the answer."""
    return Response(text, status=status, content_type="text/xml")


def _elements(values: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>\n" for name, value in values.items())
