"""What no contract has: a disk's whole way to an AMI and back, the ISO as AWS publishes it, the identity token."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from failback.clouds.aws.client_iso import published_iso
from failback.clouds.aws.federation import web_identity_token
from failback.clouds.aws.objects import S3Objects
from tests.live.aws.account import Account, LiveBelongings, LiveImages, LiveSnapshots
from tests.live.variables import AWS_TOKEN, needed

if TYPE_CHECKING:
    from failback.ports import BlockReference

BLOCKS = {0: b"\xeb" * 524288, 7: b"\x07" * 524288, 2047: b"\xaa" * 524288}
AUDIENCE = "api://AzureADTokenExchange"


def test_a_disk_of_three_blocks_becomes_an_ami_and_goes(account: Account, bucket_name: str) -> None:
    snapshots, images = LiveSnapshots(account), LiveImages(account)
    snapshot = snapshots.start(size_gib=1, token="three", tags={})
    for index, data in BLOCKS.items():
        snapshots.put(snapshot, index, data)
    snapshots.complete(snapshot, blocks=len(BLOCKS))
    held: list[BlockReference] = list(snapshots.blocks(snapshot))
    assert {each.index: snapshots.get(snapshot, each) for each in held} == BLOCKS
    ami = images.register(f"drs-failback-{account.run}", snapshot=snapshot, size_gib=1, tags={})
    assert images.describe(ami.id) == ami
    belongings = LiveBelongings(account.ec2, account.s3, bucket_name)
    found = belongings.made_by(account.run)
    assert {"ami": ami.id, "snapshot": snapshot}.items() <= {each.kind: each.id for each in found}.items()
    for each in found:
        assert belongings.remove(each)
    assert images.find(ami.name) is None
    assert not [each for each in belongings.made_by(account.run) if each.id in {ami.id, snapshot}]


def test_the_iso_is_published_with_its_hash(account: Account) -> None:
    iso = published_iso(account.s3, region=account.region, version="latest")
    print(f"s3://{iso.bucket}/{iso.key} of {iso.owner}: {iso.size} bytes, ETag {iso.etag}, SHA-512 {iso.sha512}")
    source = S3Objects(account.s3, iso.bucket, owner=iso.owner)
    # Volume descriptors begin at sector 16 (ECMA-119, 6.2.1); each has this identifier in its second byte.
    assert source.read(iso.key, 16 * 2048 + 1, 5, etag=iso.etag) == b"CD001"


def test_aws_vouches_for_the_caller(account: Account) -> None:
    needed(AWS_TOKEN, "yes, where the account has outbound web identity federation enabled")
    payload = web_identity_token(account.sts, AUDIENCE).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    print({name: claims[name] for name in ("iss", "sub", "aud")})
    assert claims["aud"] == AUDIENCE
    assert claims["iss"].startswith("https://")
    assert claims["sub"].startswith("arn:aws")
    assert 0 < claims["exp"] - claims["iat"] <= 300
