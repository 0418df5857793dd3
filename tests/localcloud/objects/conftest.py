"""The object service behind real boto3 clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import boto3
import pytest
from botocore.config import Config

from localcloud.accounts import Accounts
from localcloud.objects.service import ObjectService
from localcloud.objects.store import ObjectStore
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Clients of boto3 are made from models at run time, they've no types of their own.
Dynamic = Any


AWS_ACCOUNT = "088819544517"
BUCKET = "images-1"


class ClientOf(Protocol):
    """Makes a client of an account."""

    def __call__(self, key: str = ..., **config: Dynamic) -> Dynamic: ...


@pytest.fixture
def service(tmp_path: Path) -> ObjectService:
    accounts = Accounts(others={"AKIAAWS": AWS_ACCOUNT})
    return ObjectService(ObjectStore(tmp_path / "s3"), accounts=accounts)


@pytest.fixture
def url(service: ObjectService) -> Iterator[str]:
    with serve_application(service) as url:
        yield url


@pytest.fixture
def client_of(url: str) -> ClientOf:
    def make(key: str = "AKIAMINE", **config: Dynamic) -> Dynamic:
        settings = Config(retries={"total_max_attempts": 1}, parameter_validation=False, **config)
        endpoint = "http://s3.localhost" if "proxies" in config else url
        return boto3.client(
            "s3", "us-east-1", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key="x", config=settings
        )

    return make


@pytest.fixture
def s3(client_of: ClientOf) -> Dynamic:
    client = client_of()
    client.create_bucket(Bucket=BUCKET)
    return client
