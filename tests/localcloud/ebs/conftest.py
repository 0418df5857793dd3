"""The snapshot services behind real boto3 clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from localcloud.accounts import Accounts
from localcloud.ebs.direct import EbsDirectService
from localcloud.ebs.images import ImageService
from localcloud.ebs.store import SnapshotStore
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Clients of boto3 are made from models at run time, they've no types of their own.
Dynamic = Any


OTHER_ACCOUNT = "210987654321"


@dataclass
class Clock:
    """A clock that's set by hand."""

    moment: datetime = field(default_factory=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **amount: float) -> None:
        self.moment += timedelta(**amount)


@dataclass
class Cloud:
    """Two clients of the usual account and how another account gets one."""

    store: SnapshotStore
    clock: Clock
    ebs_url: str
    ec2_url: str
    images: ImageService

    def client(self, service: str, key: str = "AKIAMINE") -> Dynamic:
        url = self.ebs_url if service == "ebs" else self.ec2_url
        retries = Config(retries={"total_max_attempts": 1}, parameter_validation=False, max_pool_connections=20)
        connect: Dynamic = boto3.client
        return connect(
            service, "us-east-1", endpoint_url=url, aws_access_key_id=key, aws_secret_access_key="x", config=retries
        )


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    clock = Clock()
    store = SnapshotStore(tmp_path, clock=clock)
    accounts = Accounts(others={"AKIAOTHER": OTHER_ACCOUNT})
    images = ImageService(store, accounts=accounts)
    with (
        serve_application(EbsDirectService(store, accounts=accounts)) as ebs,
        serve_application(images) as ec2,
    ):
        yield Cloud(store, clock, ebs, ec2, images)


@pytest.fixture
def ebs(cloud: Cloud) -> Dynamic:
    return cloud.client("ebs")


@pytest.fixture
def ec2(cloud: Cloud) -> Dynamic:
    return cloud.client("ec2")
