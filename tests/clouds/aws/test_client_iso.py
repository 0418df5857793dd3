"""AWS's ISO as it's published: in AWS's own buckets of the embedded S3, which belong to another account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from failback.clouds.aws.client_iso import hash_bucket, hash_object, iso_bucket, iso_object, owner_of, published_iso
from failback.clouds.aws.objects import S3Objects
from failback.errors import IsoNotPublished
from failback.model.run import PublishedIso
from localcloud.objects.service import ObjectService
from localcloud.objects.store import ObjectStore, put_file
from localcloud.serving import serve_application
from tests.clouds.aws.embedded import AWS_ACCOUNT, REGION, client_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clouds.aws.embedded import Sdk

SHA512 = "0f" * 64
PINNED = "ed7074e0" * 5


class Publish(Protocol):
    """Puts an ISO and its hash where AWS has them."""

    def __call__(self, digest: str = ..., *, iso: bytes = ..., owner: str = ...) -> None: ...


@pytest.fixture
def service(tmp_path: Path) -> ObjectService:
    return ObjectService(ObjectStore(tmp_path / "s3"), region=REGION)


@pytest.fixture
def s3(service: ObjectService) -> Iterator[Sdk]:
    with serve_application(service) as url:
        yield client_at("s3", url)


@pytest.fixture
def publish(service: ObjectService, tmp_path: Path) -> Publish:
    def publish(digest: str = f"{SHA512.upper()}\n", *, iso: bytes = b"the ISO", owner: str = AWS_ACCOUNT) -> None:
        names = ((iso_bucket(REGION), iso_object("latest"), iso), (hash_bucket(REGION), hash_object("latest"),
                 digest.encode()))  # fmt: skip
        for bucket, key, content in names:
            path = tmp_path / "published"
            path.write_bytes(content)
            put_file(service.add_bucket(bucket, owner=owner, public=True), key, path)

    return publish


def test_the_published_iso_is_found_and_pinned(s3: Sdk, publish: Publish) -> None:
    publish()
    published = published_iso(s3, region=REGION, version="latest")
    key = "latest/failback_livecd/aws-failback-livecd-64bit.iso"
    assert published == PublishedIso(
        bucket="aws-elastic-disaster-recovery-eu-west-1",
        key=key,
        etag=published.etag,
        size=7,
        sha512=SHA512,
        owner=AWS_ACCOUNT,
    )
    source = S3Objects(s3, published.bucket, owner=published.owner)
    assert source.read(published.key, 0, 7, etag=published.etag) == b"the ISO"


def test_what_is_not_published_is_named_with_advice(s3: Sdk, publish: Publish) -> None:
    publish()
    with pytest.raises(IsoNotPublished, match=f"{PINNED}.*iso_version"):
        published_iso(s3, region=REGION, version=PINNED)


def test_somebody_elses_bucket_is_refused(s3: Sdk, publish: Publish) -> None:
    publish(owner="666666666666")
    with pytest.raises(IsoNotPublished, match="isn't AWS's"):
        published_iso(s3, region=REGION, version="latest")


@pytest.mark.parametrize("text", ["", "0f", f"{SHA512}  client.iso", "0" * 5000], ids=["none", "short", "list", "long"])
def test_a_hash_of_another_form_is_refused(s3: Sdk, publish: Publish, text: str) -> None:
    publish(text)
    with pytest.raises(IsoNotPublished, match="SHA-512"):
        published_iso(s3, region=REGION, version="latest")


def test_opt_in_regions_have_owners_of_their_own() -> None:
    assert [owner_of(each) for each in ("eu-west-1", "eu-south-1", "us-gov-west-1")] == [
        "088819544517", "744893739060", "296239100239",
    ]  # fmt: skip
