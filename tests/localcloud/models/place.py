"""Every emulated service of AWS behind boto3, with each answer written down as it comes; and things to call about."""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.ebs.direct import EbsDirectService
from localcloud.ebs.images import ImageService
from localcloud.ebs.store import SnapshotStore
from localcloud.federation import Federation
from localcloud.lambda_runner.role_sessions import RoleSessions
from localcloud.objects.service import ObjectService
from localcloud.objects.store import ObjectStore
from localcloud.serving import serve_application
from localcloud.sts import RoleTrust, SecurityTokenService
from localcloud.tokens import TokenSigner
from tests.localcloud.models.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Sdk: TypeAlias = Any
"""What boto3 and botocore make of models when they run."""

BUCKET = "models-of-s3"
OWNER = "123456789012"
ROLE = f"arn:aws:iam::{OWNER}:role/stage"
ISSUER, AUDIENCE, SUBJECT = "https://issuer.test", "drs-failback", "machine-1"
WEB = "sts-web"
"""The STS that machines at home talk to, beside the one of functions."""
BLOCK = b"\x07" * 524288


@dataclass
class Place:
    """Clients by service, and the answers to their last calls."""

    clients: dict[str, Sdk] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    signer: TokenSigner = field(default_factory=TokenSigner)
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def call(self, client: str, operation: str, arguments: Mapping[str, Any]) -> Answer:
        """Do it, whatever comes of it; a stream is read to its end."""
        sdk = self.clients[client]
        names = {api: name for name, api in sdk.meta.method_to_api_mapping.items()}
        before = len(self.answers)
        try:
            answer = getattr(sdk, names[operation])(**arguments)
        except ClientError:
            answer = {}
        for each in answer.values():
            if hasattr(each, "read"):
                each.read()
        assert len(self.answers) == before + 1, f"{operation} made {len(self.answers) - before} calls"
        return self.answers[-1]

    def unique(self, start: str) -> str:
        """A name that nothing has yet."""
        return f"{start}-{next(self.counter)}"

    def bucket(self) -> str:
        """A bucket of its own."""
        name = self.unique("bucket")
        self.clients["s3"].create_bucket(Bucket=name)
        return name

    def put(self, **more: Any) -> str:  # noqa: ANN401 - any argument
        """The key of an object of ten bytes."""
        key = self.unique("key")
        self.clients["s3"].put_object(Bucket=BUCKET, Key=key, Body=b"0123456789", **more)
        return key

    def upload(self, key: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any argument
        """An upload under way, as calls name it."""
        place = {"Bucket": BUCKET, "Key": key or self.unique("upload")}
        return {**place, "UploadId": self.clients["s3"].create_multipart_upload(**place, **more)["UploadId"]}

    def part(self, algorithm: str = "CRC32", *, key: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
        """An upload with one part, and that part."""
        upload = self.upload(key, ChecksumAlgorithm=algorithm)
        made = self.clients["s3"].upload_part(**upload, PartNumber=1, Body=b"part", ChecksumAlgorithm=algorithm)
        return upload, {"PartNumber": 1, "ETag": made["ETag"], f"Checksum{algorithm}": made[f"Checksum{algorithm}"]}

    def started(self, **more: Any) -> str:  # noqa: ANN401 - any argument
        """A snapshot that takes blocks."""
        return str(self.clients["ebs"].start_snapshot(VolumeSize=1, **more)["SnapshotId"])

    def snapshot(self, *blocks: int, **more: Any) -> str:  # noqa: ANN401 - any argument
        """A completed snapshot with those blocks."""
        name = self.started(**more)
        for index in blocks:
            self.clients["ebs"].put_snapshot_block(**block(name, index))
        self.clients["ebs"].complete_snapshot(SnapshotId=name, ChangedBlocksCount=len(blocks))
        return name

    def image(self, **more: Any) -> str:  # noqa: ANN401 - any argument
        """An AMI with everything that one can have here."""
        call = {**registration(self), "Name": self.unique("image"), **more}
        return str(self.clients["ec2"].register_image(**call)["ImageId"])

    def token(self) -> str:
        """What a machine at home shows to STS."""
        now = int(time.time())
        return self.signer.sign({"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 600})


def block(snapshot: str, index: int) -> dict[str, Any]:
    """A PutSnapshotBlock."""
    digest = base64.b64encode(hashlib.sha256(BLOCK).digest()).decode()
    return {
        "SnapshotId": snapshot,
        "BlockIndex": index,
        "BlockData": BLOCK,
        "DataLength": len(BLOCK),
        "Checksum": digest,
        "ChecksumAlgorithm": "SHA256",
    }


def registration(place: Place) -> dict[str, Any]:
    """The least RegisterImage."""
    disk = {"SnapshotId": place.snapshot()}
    return {
        "Name": place.unique("image"),
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": disk}],
    }


@contextmanager
def open_place(folder: Path) -> Iterator[Place]:
    """All services on loopback until the block ends."""
    place, sessions = Place(), RoleSessions()
    store = SnapshotStore(folder / "ebs")
    objects = ObjectService(ObjectStore(folder / "s3"))
    objects.add_bucket(BUCKET)
    web = SecurityTokenService(
        issuers={ISSUER: place.signer.public_key}, roles={ROLE: RoleTrust(ISSUER, AUDIENCE, SUBJECT)}
    )
    key = sessions.open(role=ROLE, function=f"arn:aws:lambda:us-east-1:{OWNER}:function:stage")
    services: dict[str, tuple[str, Any]] = {
        "s3": ("s3", objects),
        "ebs": ("ebs", EbsDirectService(store)),
        "ec2": ("ec2", ImageService(store)),
        "sts": ("sts", Federation(sessions)),
        WEB: ("sts", web),
    }
    session: Sdk = boto3.session.Session(key, "x", region_name="us-east-1")
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    with ExitStack() as stack:
        for name, (service, application) in services.items():
            url = stack.enter_context(serve_application(application))
            client: Sdk = session.client(service, endpoint_url=url, config=config)
            client.meta.events.register("before-parse", _noting(place))
            place.clients[name] = client
        yield place


def _noting(place: Place) -> Any:  # noqa: ANN401 - a handler of botocore's events
    def note(operation_model: Sdk, response_dict: Sdk, **_: object) -> None:
        headers = {name.lower(): value for name, value in response_dict["headers"].items()}
        body = response_dict["body"]
        given = body if isinstance(body, bytes) else None
        place.answers.append(Answer(operation_model, response_dict["status_code"], headers, given))

    return note
