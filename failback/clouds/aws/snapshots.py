"""EBS snapshots by the EBS direct APIs (botocore's service model ebs 2019-11-02).

Unconfirmed: that completing a snapshot again is refused with the reason INVALID_SNAPSHOT_ID.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, cast

from failback.clouds.aws.answers import whole_body
from failback.errors import DataCorrupt
from failback.ports import BlockReference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.response import StreamingBody
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

    from failback.ports import SnapshotState

# Minutes until a snapshot that isn't completed becomes an error by itself: a slow upload of 64 GiB takes two hours.
TIMEOUT_MINUTES = 240
# References that one call lists; the service's upper bound.
PAGE = 10_000
_WRONG_STATE = "INVALID_SNAPSHOT_ID"


class EbsSnapshots:
    """A SnapshotStore. Retries are the clients' own: throttling and lost answers, since every call may be repeated."""

    def __init__(self, ebs: EBSClient, ec2: EC2Client) -> None:
        self._ebs, self._ec2 = ebs, ec2

    def start(self, *, size_gib: int, token: str, tags: Mapping[str, str]) -> str:
        answer = self._ebs.start_snapshot(
            VolumeSize=size_gib,
            ClientToken=token,
            Timeout=TIMEOUT_MINUTES,
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        return answer["SnapshotId"]

    def put(self, snapshot: str, index: int, data: bytes) -> None:
        self._ebs.put_snapshot_block(
            SnapshotId=snapshot,
            BlockIndex=index,
            BlockData=data,
            DataLength=len(data),
            Checksum=_checksum(data),
            ChecksumAlgorithm="SHA256",
        )

    def complete(self, snapshot: str, *, blocks: int) -> None:
        try:
            self._ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=blocks)
        except self._ebs.exceptions.ValidationException as error:
            # It was completed by a call whose answer was lost; whether it's sound, its state tells.
            if error.response.get("Reason") != _WRONG_STATE:
                raise

    def state(self, snapshot: str) -> SnapshotState:
        (found,) = self._ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
        return cast("SnapshotState", found["State"])

    def blocks(self, snapshot: str, *, first: int = 0) -> Iterator[BlockReference]:
        position, token = first, ""
        while True:
            more = {"NextToken": token} if token else {"StartingBlockIndex": position}
            page = self._ebs.list_snapshot_blocks(SnapshotId=snapshot, MaxResults=PAGE, **more)
            for block in page["Blocks"]:
                yield BlockReference(index=block["BlockIndex"], token=block["BlockToken"])
            token = page.get("NextToken", "")
            if not token:
                return

    def get(self, snapshot: str, block: BlockReference) -> bytes:
        promised = ""

        def ask() -> StreamingBody:
            nonlocal promised
            answer = self._ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=block.index, BlockToken=block.token)
            promised = answer["Checksum"]
            return answer["BlockData"]

        data = whole_body(ask)
        if _checksum(data) != promised:
            message = f"{snapshot}: block {block.index} arrived damaged; try again"
            raise DataCorrupt(message)
        return data


def _checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")
