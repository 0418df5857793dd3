"""The embedded parts of AWS that images go through (S3, EBS direct, AMIs), served on loopback, behind real boto3.

What EC2 does besides is moto's, as in the embedded clouds.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
from botocore.config import Config

from localcloud.accounts import Accounts
from localcloud.ebs.direct import EbsDirectService
from localcloud.ebs.images import ImageService
from localcloud.ebs.store import SnapshotStore
from localcloud.gateway.call import read_call
from localcloud.moto_seams.install import moto_application
from localcloud.objects.service import ObjectService
from localcloud.objects.store import ObjectStore
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Sdk: TypeAlias = Any
"""A client of boto3, made from a model at run time."""

REGION = "eu-west-1"
BUCKET = "images-1"
AWS_ACCOUNT = "088819544517"
OTHER_KEY, OTHER_ACCOUNT = "AKIAOTHER", "210987654321"


@dataclass(frozen=True)
class EmbeddedParts:
    """The parts themselves, and clients of the usual account; the bucket BUCKET is there."""

    objects: ObjectService
    store: SnapshotStore
    images: ImageService
    s3: Sdk
    ebs: Sdk
    ec2: Sdk


def client_at(service: str, url: str, *, key: str = "AKIATEST", attempts: int = 3) -> Sdk:
    make: Sdk = boto3.client
    config = Config(max_pool_connections=64, retries={"mode": "standard", "total_max_attempts": attempts})
    return make(
        service, REGION, endpoint_url=url, aws_access_key_id=key, aws_secret_access_key="x", config=config
    )  # fmt: skip


@contextmanager
def embedded_parts(folder: Path) -> Iterator[EmbeddedParts]:
    """Served until the block ends."""
    accounts = Accounts(others={OTHER_KEY: OTHER_ACCOUNT, "AKIAAWS": AWS_ACCOUNT})
    objects = ObjectService(ObjectStore(folder / "s3"), accounts=accounts, region=REGION)
    store = SnapshotStore(folder / "ebs")
    images = ImageService(store, accounts=accounts)
    objects.add_bucket(BUCKET)
    with (
        serve_application(objects) as s3,
        serve_application(EbsDirectService(store, accounts=accounts)) as ebs,
        serve_application(_ec2(images)) as ec2,
    ):
        yield EmbeddedParts(
            objects, store, images, client_at("s3", s3), client_at("ebs", ebs), client_at("ec2", ec2)
        )  # fmt: skip


def _ec2(images: ImageService) -> WSGIApplication:
    rest = moto_application()

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        call = read_call(environ)
        return (images if images.handles(call.action, call.parameters) else rest)(environ, start_response)

    return answer
