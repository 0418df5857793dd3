"""The transfer benchmark's jobs on a managed disk: a whole import, and its pages alone by ours and by the SDK."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.transfer_clouds import AUDIENCE, BUCKET, CLIENT_ID, SUBSCRIPTION, TENANT
from benchmarks.transfer_work import Json, Stopwatch, to_the_end
from failback.clouds.aws.objects import S3Objects
from failback.clouds.aws.session import client
from failback.clouds.azure.connection import AzureHome, connect
from failback.clouds.azure.disk_access import write_access
from failback.clouds.azure.images import ATTEMPTS, MOST, START
from failback.clouds.azure.pages import PageWriter, page_runs
from failback.exported_content import ExportedContent
from failback.home_ports import WayIn
from failback.image_import import import_image
from failback.model.run import ExportedImage
from failback.model.target import AzureTarget
from failback.ports import StoredObject
from failback.transfer import AdaptiveGate, run_all
from lambdas.connections import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def bring_home(watch: Stopwatch, export: Json, key: str, arm: str, token: str) -> Json:
    """The exported VHD as a managed disk, as the stage does it."""
    exported, objects = ExportedImage.model_validate(export), S3Objects(client("s3"), BUCKET)
    images = _home(arm, token).images
    with watch.running():
        content = ExportedContent(objects, exported)
        to_the_end(lambda cursor: import_image(key, content, images=images, cursor=cursor, tags={}))
    return {}


def pages_ours(watch: Stopwatch, export: Json, path: str, name: str, length: int, arm: str, token: str) -> Json:
    """The VHD's first `length` bytes from a local file onto a disk, by our writer."""
    exported = ExportedImage.model_validate(export)
    whole = length == exported.size
    with _disk(_home(arm, token), name, exported.size, whole=whole) as url, _FileObjects(Path(path)) as objects:
        content = ExportedContent(objects, exported)
        with watch.running(), PageWriter(url, connections=MOST) as pages:

            def write(piece: tuple[int, int]) -> None:
                data = content.read(*piece)
                for start, end in page_runs(data):
                    pages.write(piece[0] + start, data[start:end])

            pieces = takewhile(lambda piece: piece[0] < length, content.ranges())
            run_all(pieces, write, gate=AdaptiveGate(START, most=MOST), attempts=ATTEMPTS)
    return {}


def pages_sdk(watch: Stopwatch, path: str, name: str, length: int, arm: str, token: str, concurrency: int) -> Json:
    """The same by the SDK's upload of a page blob; its creation is left out, as a disk's signature refuses it."""
    from azure.storage.blob import BlobClient, BlobType

    size = Path(path).stat().st_size
    with (
        _disk(_home(arm, token), name, size, whole=length == size) as url,
        Path(path).open("rb") as file,
        BlobClient.from_blob_url(url) as blob,
    ):
        # The disk's blob is there already.
        blob._client.page_blob.create = lambda **_: {"etag": None}
        with watch.running():
            blob.upload_blob(
                file, blob_type=BlobType.PAGEBLOB, length=length, overwrite=True, max_concurrency=concurrency
            )
    return {}


class _FileObjects:
    """An ObjectStore of one object, a local file, read by many threads."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _FileObjects:
        self._file = self._path.open("rb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def find(self, key: str) -> StoredObject:
        return StoredObject(key, self._path.stat().st_size, "")

    def read(self, key: str, offset: int, length: int, *, etag: str = "") -> bytes:
        return os.pread(self._file.fileno(), length, offset)

    def write(self, key: str, data: bytes, *, tags: Mapping[str, str]) -> None: ...

    def remove(self, key: str) -> None: ...


def _home(arm: str, token: str) -> AzureHome:
    target = AzureTarget(
        name="office", home="azure", tenant_id=TENANT, client_id=CLIENT_ID, subscription_id=SUBSCRIPTION,
        resource_group="home", location="westeurope",
        subnet_id=f"/subscriptions/{SUBSCRIPTION}/resourceGroups/home/providers/Microsoft.Network/virtualNetworks/net"
        "/subnets/servers",
    )  # fmt: skip
    assert target.credential.kind == "federation"
    assert target.credential.audience == AUDIENCE
    way_in = WayIn(lambda audience: token, lambda arn: "", {"arm": arm, "authority": arm}, SystemClock())
    return connect(target, way_in)


@contextmanager
def _disk(home: AzureHome, name: str, size: int, *, whole: bool) -> Iterator[str]:
    """A new disk that awaits its upload: the URL to write to. One that's written as a whole has to become a disk."""
    properties = {"osType": "Linux", "hyperVGeneration": "V1", "networkAccessPolicy": "AllowAll",
                  "creationData": {"createOption": "Upload", "uploadSizeBytes": size}}  # fmt: skip
    body: Any = {"location": home.place.target.location, "sku": {"name": "StandardSSD_LRS"}, "properties": properties}
    home.place.compute.disks.begin_create_or_update(home.place.group, name, body).result()
    with ExitStack() as stack:
        url, keep_open = stack.enter_context(write_access(home.place, name, again=False))
        yield url
        if not whole:
            keep_open()
