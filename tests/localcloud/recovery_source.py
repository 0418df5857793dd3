"""The little of DRS and of a recovery instance that a client needs, all of it at one address."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from werkzeug import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

KIB64 = 1 << 16
EXTENT = 4 << 20
CERTIFICATE, SESSION = "c" * 64, "5e55"
SOFTWARE = bytes(range(256)) * 256


@dataclass(slots=True)
class RecoverySource:
    """`volumes` by their names; `calls` is what was asked, `said` every operation's JSON.

    `refused` maps a path to the status that's answered so often, `command` and `launch` are what a client is told.
    """

    port: int = 0
    volumes: dict[str, bytearray] = field(default_factory=dict)
    changed: dict[str, list[set[int]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    said: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    refused: dict[str, list[int]] = field(default_factory=dict)
    short: set[str] = field(default_factory=set)
    command: str = "none"
    launch: str = "false"
    throttle: str = "0"

    def write(self, device: str, offset: int, data: bytes) -> None:
        """A write of the workload: the blocks that it touches are of a new generation."""
        self.volumes.setdefault(device, bytearray())[offset : offset + len(data)] = data
        blocks = set(range(offset // KIB64, -(-(offset + len(data)) // KIB64)))
        self.changed.setdefault(device, []).append(blocks)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        return self._answer(request, request.path[1:])(environ, start_response)

    def _answer(self, request: Request, name: str) -> Response:
        self.calls.append(name)
        if self.refused.get(name):
            return _json({"message": "not now"}, self.refused[name].pop(0))
        signed = "/drs/aws4_request" in request.headers.get("Authorization", "")
        if not signed and request.headers.get("X-Drs-Agent-Certificate") != CERTIFICATE:
            return _json({"message": "no certificate"}, 403)
        if request.method == "POST" and name != "pair":
            self.said.setdefault(name, []).append(json.loads(request.get_data()))
        if name in ("changes", "blocks"):
            if request.headers.get("X-Drs-Session") != SESSION:
                return _json({"message": "no session"}, 403)
            return self._changes(request) if name == "changes" else self._blocks(request)
        return self._plain(name)

    def _plain(self, name: str) -> Response:
        texts = {
            "hello": Response("recovery-instance i-0\n"),
            "pair": Response("paired\n"),
            "session": Response(f"session {SESSION}\n"),
            "replication-software": Response(
                SOFTWARE,
                headers={"X-Sha256": hashlib.sha256(SOFTWARE).hexdigest()},
                mimetype="application/octet-stream",
            ),
        }
        if name in texts:
            return texts[name]
        answers: dict[str, dict[str, object]] = {
            "DescribeRecoveryInstances": {"items": [{"recoveryInstanceProperties": {"disks": self._disks()}}]},
            "AssociateFailbackClientToRecoveryInstanceForDrs": {
                "failbackClientID": "f" * 32,
                "originalServer": "false",
            },
            "IssueAgentCertificateForDrs": {"certificate": CERTIFICATE, "address": "127.0.0.1", "port": str(self.port)},
            "GetFailbackCommandForDrs": {"command": self.command},
            "GetFailbackLaunchRequestedForDrs": {"launchRequested": self.launch},
            "NotifyAgentReplicationProgressForDrs": {"throttle": self.throttle},
        }
        return _json(answers.get(name, {}), 200)

    def _disks(self) -> list[dict[str, object]]:
        return [{"bytes": len(data), "internalDeviceName": name, "x": 1} for name, data in self.volumes.items()]

    def _changes(self, request: Request) -> Response:
        device, since = request.args["device"], int(request.args["since"])
        generations = self.changed.get(device, [])
        blocks = sorted(set().union(*generations[since + 1 :])) if generations[since + 1 :] else []
        lines = [f"generation {len(generations) - 1}"]
        while blocks:
            run = next(
                (n for n in range(1, len(blocks)) if blocks[n] != blocks[0] + n or n * KIB64 == EXTENT), len(blocks)
            )
            lines.append(f"{blocks[0] * KIB64} {run * KIB64}")
            blocks = blocks[run:]
        return Response("\n".join(lines) + "\n", mimetype="text/plain")

    def _blocks(self, request: Request) -> Response:
        offset, length = int(request.args["offset"]), int(request.args["length"])
        data = bytes(self.volumes[request.args["device"]][offset : offset + length])
        if request.query_string.decode() in self.short:
            self.short.remove(request.query_string.decode())
            data = data[:-1]
        return Response(data, mimetype="application/octet-stream")


def _json(document: object, status: int) -> Response:
    return Response(json.dumps(document), status=status, content_type="application/json")
