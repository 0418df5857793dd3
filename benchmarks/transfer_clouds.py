"""The embedded clouds in a process of their own, for the transfer benchmark: who serves isn't who is measured."""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.other_process import other_process
from localcloud.azure.cloud import AzureCloud, AzureSettings
from localcloud.azure.identity import FederatedCredential
from localcloud.ebs.direct import EbsDirectService
from localcloud.ebs.images import ImageService
from localcloud.ebs.store import SnapshotStore
from localcloud.embedded.iso_bucket import publish_iso
from localcloud.objects.service import ObjectService
from localcloud.objects.store import ObjectStore
from localcloud.serving import serve_application
from localcloud.tokens import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from multiprocessing.connection import Connection
    from typing import BinaryIO

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from localcloud.azure.blob_http import Answering, BlobAnswer
    from localcloud.azure.driver import MachineHandle, MachineSpec

REGION, BUCKET = "us-east-1", "images-1"
TENANT = "72f988bf-0000-4000-8000-2d7cd011db47"
SUBSCRIPTION = "3f0e4b6a-0000-4000-8000-6f1d2b9c7a01"
CLIENT_ID, AUDIENCE = "0b4a7a31-0000-4000-8000-5d1b7f3c9e10", "api://AzureADTokenExchange"
_ISSUER, _SUBJECT = "https://aws.test/issuer", "arn:aws:iam::123456789012:role/stage"
_LATENCY = "blob/PutPage"


@dataclass(frozen=True, slots=True)
class CloudProcess:
    """The process's other end; `environment` is what leads the SDKs to the clouds in it."""

    environment: Mapping[str, str]
    pipe: Connection

    def ask(self, question: str, value: float = 0.0) -> Any:  # noqa: ANN401 - each answer is of its own type
        """`token` for Azure, `sent` bytes since the last time it was asked, or a new `latency` in seconds."""
        self.pipe.send((question, value))
        return self.pipe.recv()


@contextmanager
def cloud_process(iso: Path) -> Iterator[CloudProcess]:
    """S3 with AWS's bucket of the client ISO, EBS, AMIs, and an Azure, for the length of the block."""
    with other_process(_serve, iso) as (environment, pipe):
        yield CloudProcess(environment, pipe)


def _serve(iso: Path, pipe: Connection) -> None:
    counts, latency, signer = _Counts(), {_LATENCY: 0.0}, TokenSigner()
    with tempfile.TemporaryDirectory(dir=iso.parent) as name, ExitStack() as stack:
        pipe.send(_environment(Path(name), iso, stack, counts, latency, signer))
        while True:
            try:
                question, value = pipe.recv()
            except EOFError:
                return
            if question == "token":
                now = int(time.time())
                claims = {"iss": _ISSUER, "sub": _SUBJECT, "aud": AUDIENCE, "iat": now, "exp": now + 300}
                pipe.send(signer.sign(claims))
            elif question == "latency":
                latency[_LATENCY] = value
                pipe.send(None)
            else:
                pipe.send(counts.take())


def _environment(
    folder: Path,
    iso: Path,
    stack: ExitStack,
    counts: _Counts,
    latency: Mapping[str, float],
    signer: TokenSigner,
) -> dict[str, str]:
    store, objects = SnapshotStore(folder / "ebs"), ObjectService(ObjectStore(folder / "s3"), region=REGION)
    objects.add_bucket(BUCKET)
    publish_iso(objects, iso, region=REGION, scratch=folder)
    settings = AzureSettings(
        folder=folder / "azure",
        credentials=(FederatedCredential(CLIENT_ID, _ISSUER, _SUBJECT, AUDIENCE),),
        issuers={_ISSUER: signer.public_key},
        subscription=SUBSCRIPTION,
        tenant=TENANT,
        latency=latency,
        around_blobs=counts.before_blobs,
    )
    azure = stack.enter_context(AzureCloud(settings, driver=_NoMachines(), signer=signer).serve())
    direct = counts.before(EbsDirectService(store))
    return {
        "AWS_ENDPOINT_URL_S3": stack.enter_context(serve_application(objects)),
        "AWS_ENDPOINT_URL_EBS": stack.enter_context(serve_application(direct)),
        "AWS_ENDPOINT_URL_EC2": stack.enter_context(serve_application(ImageService(store))),
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": REGION,
        "REQUESTS_CA_BUNDLE": str(azure.ca_file),
        "AZURE_ARM": azure.base_url,
    }


class _Counts:
    """Counts the bytes of what's written, as it arrives: blocks of snapshots and pages of disks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent = 0

    def take(self) -> int:
        """Bytes since the last time."""
        with self._lock:
            sent, self._sent = self._sent, 0
            return sent

    def before(self, application: WSGIApplication) -> WSGIApplication:
        def counted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if environ["REQUEST_METHOD"] == "PUT":
                self._add(environ.get("CONTENT_LENGTH"))
            return application(environ, start_response)

        return counted

    def before_blobs(self, answer: Answering) -> Answering:
        def counted(method: str, target: str, headers: Mapping[str, str], body: BinaryIO) -> BlobAnswer:
            if method == "PUT":
                self._add(headers.get("Content-Length"))
            return answer(method, target, headers, body)

        return counted

    def _add(self, length: str | None) -> None:
        with self._lock:
            self._sent += int(length or 0)


class _NoMachines:
    """A driver of machines that nobody starts here."""

    def start(self, spec: MachineSpec) -> MachineHandle:
        message = f"the benchmark starts no machines, not {spec.name}"
        raise RuntimeError(message)
