"""DRS as a WSGI application: its public API, strict by the service's model, and the door that failback clients use.

Source: botocore's service model drs 2020-02-26. The client's operations aren't in it: see client_door.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from localcloud.accounts import access_key
from localcloud.drs.client_door import CERTIFICATE_HEADER, ClientDoor, replication_software
from localcloud.drs.events import FailbackEvents
from localcloud.drs.jobs import Jobs
from localcloud.drs.keys import KeyBook, KeySource, keys_of_moto
from localcloud.drs.public_calls import PublicCalls, configuration_values
from localcloud.drs.refusal import DrsRefusal, denied
from localcloud.drs.replication import ReplicationPort
from localcloud.drs.settings import DrsSettings
from localcloud.drs.states import StateView
from localcloud.drs.wire import CallReader, encode_answer, encode_refusal, json_body
from localcloud.drs.world import World
from localcloud.ebs.vendor_model import VendorModel
from localcloud.faults import Answer, Call
from localcloud.gateway.call import read_call
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from localcloud.drs.plans import ClientPlan
    from localcloud.drs.records import RecoveryInstance

SOFTWARE_PATH = "/replication-software"
_AT_THE_DOOR = "localcloud.drs.door"


class DrsService:
    """A WSGI application; `folder` takes the volumes. At the gateway any signed call is an account's own.

    At the door of `serve` a key must be one that was given out. `keys` may be told of further givers.
    """

    def __init__(
        self,
        folder: Path,
        *,
        region: str,
        settings: DrsSettings = DrsSettings(),  # noqa: B008 - frozen
        key_sources: Iterable[KeySource] = (),
    ) -> None:
        self._settings = settings
        self.world = World(folder, region=region, clock=settings.clock)
        self.keys = KeyBook(settings.clock, keys_of_moto, *key_sources)
        self.replication = ReplicationPort(self.world)
        self._jobs = Jobs(self.world, settings)
        self._events = FailbackEvents(region, settings.event_ids)
        self._public = PublicCalls(self.world, self._jobs, self._events, settings)
        self.door = ClientDoor(self.world, self._jobs, self._events)
        self.replication.holder = self.door.holder
        self._reader = CallReader(VendorModel("drs", "2020-02-26", slashes=True))
        self._software = replication_software()

    def plan(self, instance: str, plan: ClientPlan) -> None:
        """What is to go wrong with a recovery instance's failback from now on."""
        self.world.plan(instance, plan)

    @contextmanager
    def serve(self) -> Iterator[str]:
        """The client door on a port of its own; gives its URL."""

        def at_the_door(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            return self({**environ, _AT_THE_DOOR: True}, start_response)

        with serve_application(at_the_door) as url:
            yield url

    def listing(self) -> Mapping[str, Any]:
        """All recovery instances: where each failback stands, its configuration and tags. Times aren't in it."""
        with self.world.lock:
            return {each.id: self._listed(each) for each in self.world.instances}

    def _listed(self, instance: RecoveryInstance) -> Mapping[str, Any]:
        state = StateView(instance, self._settings.clock(), self._settings.patience)
        return {
            "ec2": self.world.ec2.state(instance.id),
            "failback": state.failback,
            "replication": state.replication,
            "configuration": configuration_values(instance.id, instance.configuration),
            "tags": dict(sorted(instance.tags.items())),
            "source_tags": dict(sorted(instance.source_tags.items())),
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            response = self._answer(Request(environ))
        except DrsRefusal as refusal:
            response = encode_refusal(refusal)
        self._events.put()
        response.headers["x-amzn-RequestId"] = secrets.token_hex(16)
        return response(environ, start_response)

    def identify(self, environ: WSGIEnvironment) -> Call:
        """Which operation a request is."""
        path = str(environ["PATH_INFO"])
        if self.door.knows(path.strip("/")):
            return Call("drs", path.strip("/"))
        found = self._reader.operation_of(environ["REQUEST_METHOD"], path)
        return Call("drs", found[0] if found else "")

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """How this service says that there are too many requests."""
        return _faulty(DrsRefusal(429, "ThrottlingException", "Rate exceeded", serviceCode="drs"))

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """How this service says that a right is lacking."""
        return _faulty(denied("User is not authorized to perform this operation"))

    def _answer(self, request: Request) -> Response:
        operation, certificate = request.path.strip("/"), request.headers.get(CERTIFICATE_HEADER)
        if request.path == SOFTWARE_PATH and request.method == "GET":
            return self._give_software(certificate)
        if self.door.knows(operation) and request.method == "POST":
            return self._answer_client(operation, request, certificate)
        self._check_signed(request.environ, strictly=_AT_THE_DOOR in request.environ)
        call = self._reader.read(request, self._public.operations)
        if not self._settings.initialised:
            message = "The account hasn't been initialised for DRS in this Region"
            raise DrsRefusal(400, "UninitializedAccountException", message)
        with self.world.lock:
            return encode_answer(self._public.operations[call.operation](call.values))

    def _answer_client(self, operation: str, request: Request, certificate: str | None) -> Response:
        values = json_body(request)
        if operation in self.door.signed:
            self._check_signed(request.environ, strictly=True)
            with self.world.lock:
                return encode_answer(self.door.signed[operation](values))
        with self.world.lock:
            return encode_answer(self.door.certified(operation, certificate or "", values))

    def _give_software(self, certificate: str | None) -> Response:
        if self.door.holder(certificate or "") is None:
            message = "The agent's certificate isn't known"
            raise denied(message)
        data, digest = self._software
        return Response(data, headers={"X-Sha256": digest}, content_type="application/octet-stream")

    def _check_signed(self, environ: WSGIEnvironment, *, strictly: bool) -> None:
        key = access_key(environ)
        if key is None or read_call(environ).service != "drs":
            message = "Missing Authentication Token"
            raise DrsRefusal(403, "MissingAuthenticationTokenException", message)
        if strictly and not self.keys.is_good(key, environ.get("HTTP_X_AMZ_SECURITY_TOKEN")):
            message = "The security token included in the request is invalid or has expired"
            raise denied(message)


def _faulty(refusal: DrsRefusal) -> Answer:
    response = encode_refusal(refusal)
    return Answer(response.status_code, tuple(response.headers.items()), response.get_data())
