"""Where AWS publishes the failback client's ISO, and its hash in a bucket of its own.

Source: AWS DRS user guide, "Performing a failback" (addresses); the accounts are those that AWS's own client expects.
Unconfirmed: that accounts of Regions newer than this table are the default one, and that the hash's file holds the
bare digest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from failback.clouds.aws.answers import status_of
from failback.clouds.aws.objects import S3Objects
from failback.errors import IsoNotPublished
from failback.model.run import PublishedIso

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from failback.ports import StoredObject

DEFAULT_OWNER = "088819544517"
OWNERS = {
    "af-south-1": "170899559748",
    "ap-east-1": "333459628630",
    "ap-south-2": "535091588089",
    "ap-southeast-3": "149902066789",
    "ap-southeast-4": "013647838552",
    "eu-central-2": "864922470268",
    "eu-south-1": "744893739060",
    "eu-south-2": "312204242388",
    "il-central-1": "050573790865",
    "me-central-1": "504144506188",
    "me-south-1": "772294069462",
    "us-gov-east-1": "296239100239",
    "us-gov-west-1": "296239100239",
}
_DIGEST = re.compile(r"[0-9a-f]{128}")
# A digest has 128 bytes; a file larger than this isn't one.
_LONGEST_HASH_FILE = 4096


def owner_of(region: str) -> str:
    """The account that AWS's buckets of that Region belong to; anybody else's bucket of that name is refused."""
    return OWNERS.get(region, DEFAULT_OWNER)


def iso_bucket(region: str) -> str:
    """The bucket with the ISO; `region` is where the recovery instances are."""
    return f"aws-elastic-disaster-recovery-{region}"


def hash_bucket(region: str) -> str:
    """The bucket with the ISO's hash, apart from it so that nobody can replace both by one mistake."""
    return f"aws-elastic-disaster-recovery-hashes-{region}"


def iso_object(version: str) -> str:
    """The ISO's key: `version` is `latest`, or the 40 hexadecimal digits of a pinned one."""
    return f"{version}/failback_livecd/aws-failback-livecd-64bit.iso"


def hash_object(version: str) -> str:
    """The key of the ISO's SHA-512."""
    return f"{iso_object(version)}.sha512"


def published_iso(s3: S3Client, *, region: str, version: str) -> PublishedIso:
    """The ISO as AWS publishes it now; raises IsoNotPublished where it or its hash isn't there."""
    owner, bucket, key = owner_of(region), iso_bucket(region), iso_object(version)
    found = _found(s3, bucket, key, owner)
    return PublishedIso(
        bucket=bucket,
        key=key,
        etag=found.etag,
        size=found.size,
        sha512=_digest(s3, hash_bucket(region), hash_object(version), owner),
        owner=owner,
    )


def _digest(s3: S3Client, bucket: str, key: str, owner: str) -> str:
    found = _found(s3, bucket, key, owner)
    if found.size <= _LONGEST_HASH_FILE:
        data = S3Objects(s3, bucket, owner=owner).read(key, 0, found.size, etag=found.etag)
        text = data.decode("ascii", "replace").strip().lower()
        if _DIGEST.fullmatch(text):
            return text
    message = (
        f"s3://{bucket}/{key} isn't a SHA-512 in hexadecimal, as it used to be: AWS has changed how it publishes the "
        "hash. Without it nothing is fetched; use an AMI of your own in the meantime (client_image.ami)."
    )
    raise IsoNotPublished(message)


def _found(s3: S3Client, bucket: str, key: str, owner: str) -> StoredObject:
    try:
        found = S3Objects(s3, bucket, owner=owner).find(key)
    except s3.exceptions.ClientError as error:
        # S3 says "forbidden" for an object that isn't there to whoever may not list the bucket.
        if status_of(error) != 403:
            raise
        message = (
            f"s3://{bucket}/{key} is refused: there is no such version, or the bucket isn't AWS's (account {owner}), "
            "or this role may not read it. Check client_image.iso_version, then the role's s3:GetObject there."
        )
        raise IsoNotPublished(message) from error
    if found is None:
        message = (
            f"s3://{bucket}/{key} isn't there: AWS publishes no such version in this Region, or DRS isn't offered "
            "there. Check client_image.iso_version (`latest`, or a version's 40 digits) and the Region."
        )
        raise IsoNotPublished(message)
    return found
