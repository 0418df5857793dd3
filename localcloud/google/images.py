"""Images: made of an archive in a bucket, which is really unpacked beside the calls; disks are copies of them.

Source: the descriptions of Image and RawDisk in the SDK's messages.
"""

from __future__ import annotations

import re
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from localcloud.google.archive import GIB, unpack
from localcloud.google.disk_build import discard
from localcloud.google.front import Method
from localcloud.google.labels import labelled, set_labels
from localcloud.google.refusals import (
    GoogleRefusal,
    Json,
    refuse_absent,
    refuse_missing,
    refuse_unemulated,
    refuse_value,
)
from localcloud.google.schema import BodySchema, emulated, take_name
from localcloud.google.state import ResourceId, check_ready

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from localcloud.google.front import Call
    from localcloud.google.operations import Operation, OperationBoard
    from localcloud.google.places import Quotas
    from localcloud.google.state import CloudState

_IMAGE = BodySchema(
    "Image",
    emulated("name", "description", "family", "labels", "licenses", "architecture", "guestOsFeatures.type",
             "rawDisk.{source,containerType}", "sourceType", "storageLocations", "diskSizeGb"),
)  # fmt: skip
_OBJECT = re.compile(r"https://storage\.googleapis\.com/(?P<bucket>[^/]+)/(?P<name>.+)")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of Cloud Storage: the file that holds it, and its CRC32C in base64."""

    path: Path
    crc32c: str


class ObjectReader(Protocol):
    """What images need of Cloud Storage."""

    def read_object(self, bucket: str, name: str) -> StoredObject | None:
        """The object; None if there's none, or no such bucket."""


@dataclass(slots=True)
class Unpacking:
    """One archive on its way to a disk's file, in a thread of its own."""

    archive: Path
    target: Path
    size: int = 0
    refusal: GoogleRefusal | None = None
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"unpacks {self.archive.name}", daemon=True)
        self._thread.start()

    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Return when it has ended."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self.size = unpack(self.archive, self.target)
        except GoogleRefusal as refusal:
            self.refusal = refusal
        except OSError as error:
            self.refusal = GoogleRefusal(500, "internalError", f"Internal error: {error}")


@dataclass(slots=True)
class Images:
    """The images of one project."""

    state: CloudState
    board: OperationBoard
    quotas: Quotas
    objects: ObjectReader
    collection: str = "images"
    scope: str = "global"
    kind: str = "image"
    _running: list[Unpacking] = field(default_factory=list)

    @property
    def methods(self) -> Mapping[str, Method]:
        """insert, delete, setLabels."""
        return {
            "insert": Method(self.insert),
            "delete": Method(self.delete),
            "setLabels": Method(lambda call: set_labels(self.state, self.board, call)),
        }

    def one(self, resource_id: ResourceId) -> Json:
        """The document."""
        return self.state.get(resource_id).document

    def every(self, scope: str) -> Iterable[Json]:
        """All of them."""
        return [each.document for each in self.state.of(self.collection)]

    def insert(self, call: Call) -> Operation:
        """Unpack the archive that the body names; an image that comes to nothing is gone."""
        body = _IMAGE.clean(call.body)
        place = ResourceId(call.id.project, "global", self.collection, take_name(body))
        source = self._source(body)
        self.quotas.take("IMAGES")
        kept = ("description", "family", "licenses", "architecture", "guestOsFeatures", "rawDisk", "storageLocations")
        document = {name: body[name] for name in kept if name in body} | labelled(body)
        document |= {"sourceType": "RAW", "status": "PENDING", "archiveSizeBytes": str(source.path.stat().st_size)}
        document["rawDisk"] = {"containerType": "TAR"} | document["rawDisk"]
        image = self.state.new(place, document, kind=self.kind, hidden={"file": f"images/{uuid.uuid4()}.raw"})
        self.state.add(image)
        work = Unpacking(source.path, self.state.folder / image.hidden["file"])
        self._running.append(work)

        def finish() -> None:
            self._running.remove(work)
            if work.refusal:
                raise work.refusal
            least = work.size // GIB
            if int(body.get("diskSizeGb", least)) != least:
                refuse_value("resource.diskSizeGb", body["diskSizeGb"], f"The archive's disk has {least} GB.")
            image.document.update({"status": "READY", "diskSizeGb": str(least)})

        return self.board.begin(
            "images.insert",
            image,
            finish,
            holds=(image,),
            undo=lambda: discard(self.state, image),
            ready=work.is_over,
        )

    def delete(self, call: Call) -> Operation:
        """Remove an image and its file; disks made of it stay."""
        image = self.state.get(call.id)
        if image.document["status"] != "FAILED":
            check_ready(image)
        return self.board.begin("images.delete", image, lambda: discard(self.state, image), holds=(image,))

    def wait(self) -> None:
        """Let everything that's being unpacked come to its end, as the cloud itself ends."""
        for work in list(self._running):
            work.wait()

    def _source(self, body: Json) -> StoredObject:
        if body.get("sourceType", "RAW") != "RAW":
            refuse_unemulated("resource.sourceType", f"images of {body['sourceType']}")
        field = "resource.rawDisk.source"
        url = body.get("rawDisk", {}).get("source") or refuse_missing(field)
        match = _OBJECT.fullmatch(url)
        if match is None:
            refuse_value(field, url, "The URL is malformed: it has to be https://storage.googleapis.com/BUCKET/OBJECT.")
        found = self.objects.read_object(match["bucket"], unquote(match["name"]))
        return found or refuse_absent(url)
