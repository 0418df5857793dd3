"""What the scripted agent asks for, by real requests: its settings, its identity token, keys from STS."""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlencode, urlsplit

from failback.errors import SettingsInvalid
from failback.model.agent import GOOGLE_ATTRIBUTE, AgentSettings
from localcloud.guests.client import Credentials

if TYPE_CHECKING:
    from localcloud.machines.spec import Forward

# As the agent's curl: seconds for one answer.
_ANSWER_SECONDS = 10
_USER_DATA = "/metadata/instance/compute/userData?api-version=2021-01-01&format=text"
_TOKEN = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource="
_GOOGLE = "/computeMetadata/v1/instance/"
_GOOGLE_TOKEN = f"{_GOOGLE}service-accounts/default/identity?format=full&audience="
_HEADS = {"azure": {"Metadata": "true"}, "google": {"Metadata-Flavor": "Google"}}


class CallFailed(Exception):
    """A request that got no good answer; `passing` says whether asking again may help."""

    def __init__(self, reason: str, *, passing: bool = True) -> None:
        super().__init__(reason)
        self.passing = passing


@dataclass(frozen=True, slots=True)
class ScriptedCalls:
    """The machine's way out: its metadata service, and the forwards."""

    metadata_url: str
    forwards: tuple[Forward, ...] = ()
    cloud: Literal["azure", "google"] = "azure"

    def settings(self) -> AgentSettings:
        """The settings in the user data, or Google's attribute.

        Raises CallFailed while there are none, SettingsInvalid for faulty ones.
        """
        google = self.cloud == "google"
        status, body = self._metadata(f"{_GOOGLE}attributes/{GOOGLE_ATTRIBUTE}" if google else _USER_DATA)
        if status != 200 or not body:
            message = f"{self.cloud} HTTP {status}"
            raise CallFailed(message)
        try:
            text = (body if google else base64.b64decode(body, validate=True)).decode("ascii")
        except (binascii.Error, UnicodeDecodeError) as error:
            message = "line 1: isn't name=value"
            raise SettingsInvalid(message) from error
        return AgentSettings.from_text(text)

    def assume_role(self, settings: AgentSettings) -> Credentials:
        """Keys for the settings' role by this machine's own identity; raises CallFailed."""
        region = settings.region or ""
        endpoint = urlsplit(settings.sts_endpoint or f"https://sts.{region}.amazonaws.com/")
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": settings.role_arn,
            "RoleSessionName": settings.role_session,
            "DurationSeconds": settings.duration or 3600,
            "WebIdentityToken": self._token(settings.audience or "", settings.identity or ""),
        }
        connection = self._secure(str(endpoint.hostname), endpoint.port or 443, settings.ca_certificates)
        heads = {"Host": endpoint.netloc, "Content-Type": "application/x-www-form-urlencoded"}
        status, body = _asked(connection, "POST", endpoint.path or "/", heads, urlencode(form).encode())
        if status != 200:
            found = re.search(rb"<Code>([^<]*)</Code>\s*<Message>([^<]*)</Message>", body)
            said = b" ".join(found.groups()).decode() if found else ""
            message = f"STS: HTTP {status} {said}"
            raise CallFailed(message, passing=status >= 429 or "Access" in said or "Token" in said)
        return Credentials(*(_element(body, name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")))

    def _token(self, audience: str, identity: str) -> str:
        named = f"&msi_res_id={quote(identity, safe='')}" if identity else ""
        path = _GOOGLE_TOKEN + quote(audience, safe="") if self.cloud == "google" else None
        status, body = self._metadata(path or _TOKEN + quote(audience, safe="") + named)
        if status != 200:
            message = f"no identity from the metadata service: HTTP {status}; usually the machine has none attached"
            raise CallFailed(message)
        return body.decode("ascii") if path else str(json.loads(body)["access_token"])

    def _metadata(self, path: str) -> tuple[int, bytes]:
        netloc = urlsplit(self.metadata_url).netloc
        connection = http.client.HTTPConnection(netloc, timeout=_ANSWER_SECONDS)
        return _asked(connection, "GET", path, _HEADS[self.cloud], None)

    def _secure(self, host: str, port: int, certificates: str | None) -> http.client.HTTPSConnection:
        """A connection to where the guest's network leads for this address; its certificate has to name `host`."""
        ports = [each.to_port for each in self.forwards if (each.address, each.port) == (host, port)]
        if not ports:
            message = "STS: no answer: the address isn't reached from this machine"
            raise CallFailed(message)
        context = ssl.create_default_context()
        if certificates:
            context.load_verify_locations(cadata=base64.b64decode(certificates).decode("ascii"))
        return _NamedConnection(host, ports[0], context)


class _NamedConnection(http.client.HTTPSConnection):
    """TLS to a port of 127.0.0.1 that stands for another host."""

    def __init__(self, name: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__("127.0.0.1", port, timeout=_ANSWER_SECONDS, context=context)
        self._name, self._tls = name, context

    def connect(self) -> None:
        """Shake hands with the name that the guest would."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


def _element(document: bytes, name: str) -> str:
    found = re.search(rf"<{name}>([^<]+)</{name}>", document.decode("utf-8", "replace"))
    if found is None:
        message = f"STS: an answer without {name}"
        raise CallFailed(message)
    return found[1]


def _asked(
    connection: http.client.HTTPConnection, method: str, path: str, heads: dict[str, str], body: bytes | None
) -> tuple[int, bytes]:
    try:
        connection.request(method, path, body, heads)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        message = f"no answer: {error}"
        raise CallFailed(message) from error
    finally:
        connection.close()
