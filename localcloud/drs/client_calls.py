"""The failback client's calls on DRS's door: signed ones at first, then by the certificate that it was issued."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from localcloud.drs.client_door import CERTIFICATE_HEADER
from localcloud.drs.service import SOFTWARE_PATH

if TYPE_CHECKING:
    from localcloud.guests.client import Credentials

# Seconds for one answer, and before it's asked for again; an embedded cloud under load gives one in far less.
_ANSWER_SECONDS = 60
_TRIES, _RETRY_AFTER = 4, 0.1


class Refusal(Exception):
    """What ends a client: its words are the last line that it says."""


@dataclass(slots=True)
class DoorCalls:
    """One client's calls; `url` is the door's, `certificate` is empty until it's issued."""

    url: str
    region: str
    credentials: Credentials
    certificate: str = field(default="", repr=False)

    def signed(self, operation: str, values: dict[str, Any]) -> dict[str, Any]:
        """Call by the session's keys; raises Refusal with what DRS said."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials as BotocoreCredentials

        body = json.dumps(values).encode()
        keys = self.credentials
        request = AWSRequest("POST", f"{self.url}/{operation}", data=body, headers={"Content-Type": "application/json"})
        whose = BotocoreCredentials(keys.access_key, keys.secret_key, keys.session_token)
        SigV4Auth(whose, "drs", self.region).add_auth(request)
        return self._judged(operation, *self._ask("POST", f"/{operation}", body, dict(request.headers.items()))[:2])

    def certified(self, operation: str, values: dict[str, Any]) -> dict[str, str]:
        """Call by certificate; raises Refusal with what DRS said."""
        heads = {"Content-Type": "application/json", CERTIFICATE_HEADER: self.certificate}
        status, body, _ = self._ask("POST", f"/{operation}", json.dumps(values).encode(), heads)
        return self._judged(operation, status, body)

    def software(self) -> tuple[bytes, str]:
        """The replication software, and the SHA-256 that was told with it."""
        status, body, digest = self._ask("GET", SOFTWARE_PATH, None, {CERTIFICATE_HEADER: self.certificate})
        if status != 200:
            message = f"HTTP {status} for the replication software"
            raise Refusal(message)
        return body, digest

    def _judged(self, operation: str, status: int, body: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(body)
        if status != 200:
            message = f"{operation}: HTTP {status} {answer.get('error', '')}"
            raise Refusal(message)
        return answer

    def _ask(self, method: str, path: str, body: bytes | None, heads: dict[str, str]) -> tuple[int, bytes, str]:
        """One question, again where nobody took it: many machines may be calling at the same moment."""
        for left in reversed(range(_TRIES)):
            connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=_ANSWER_SECONDS)
            try:
                connection.request(method, path, body, heads)
                answer = connection.getresponse()
                return answer.status, answer.read(), answer.headers.get("X-Sha256", "")
            except (OSError, http.client.HTTPException) as error:
                problem = error
            finally:
                connection.close()
            time.sleep(_RETRY_AFTER if left else 0)
        message = f"{path.strip('/')}: no answer from DRS: {problem}"
        raise Refusal(message) from problem
