"""How a persistent disk begins: its document and its file, from nothing or as a copy of an image, snapshot or disk.

Source: the descriptions of Disk and AttachedDiskInitializeParams in the SDK's messages; cloud.google.com, "Persistent
Disk" (smallest and largest sizes).

Unconfirmed: that a disk without a size, from something smaller than 10 GB, gets 10.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.google.catalog import disk_type_of, link_to
from localcloud.google.labels import labelled
from localcloud.google.refusals import Json, refuse_value
from localcloud.google.schema import BodySchema, emulated
from localcloud.google.state import ResourceId, check_ready
from localcloud.sparse_files import copy_sparse, create_sparse

if TYPE_CHECKING:
    from localcloud.google.places import Quotas
    from localcloud.google.state import CloudState, Resource

GIB = 1 << 30
SMALLEST_GB, LARGEST_GB = 10, 65536
DEFAULT_GB = 500
"""What a disk gets that is made from nothing and says no size."""
DISK = BodySchema(
    "Disk",
    emulated("name", "description", "sizeGb", "type", "labels", "licenses", "architecture", "guestOsFeatures.type",
             "physicalBlockSizeBytes", "sourceImage", "sourceSnapshot", "sourceDisk"),
)  # fmt: skip
# The fields that name a source, the collection it's in, and whether it has to be in the disk's zone.
_SOURCES = {"sourceImage": ("images", False), "sourceSnapshot": ("snapshots", False), "sourceDisk": ("disks", True)}
# What a copy has from its source.
INHERITED = ("architecture", "licenses")


@dataclass(frozen=True, slots=True)
class Words:
    """How a request names what it's refused for: `resource.sizeGb`, or the same within an instance's disk."""

    root: str = "resource"
    size: str = "sizeGb"
    type: str = "type"

    def field(self, name: str) -> str:
        """A field by the request's words."""
        return f"{self.root}.{name}"


def new_disk(state: CloudState, quotas: Quotas, place: ResourceId, body: Json, *, words: Words = Words()) -> Resource:
    """The disk that the body asks for, with its file; it isn't known yet."""
    kind = "pd-standard"
    if body.get("type"):
        kind = disk_type_of(body["type"], state, place.scope, words.field(words.type))
    source_field, source = _source(state, place, body, words)
    size = _gigabytes(body, source, words)
    if body.get("physicalBlockSizeBytes", "4096") != "4096":
        refuse_value(words.field("physicalBlockSizeBytes"), body["physicalBlockSizeBytes"], "Only 4096 is emulated.")
    quotas.take("DISKS_TOTAL_GB" if kind == "pd-standard" else "SSD_TOTAL_GB", size)
    document: Json = {name: body[name] for name in ("description",) if name in body} | labelled(body)
    document |= {"sizeGb": str(size), "status": "CREATING", "physicalBlockSizeBytes": "4096",
                 "type": link_to(state.project, place.scope, "diskTypes", kind)}  # fmt: skip
    document |= _traits(body, source, words)
    if source:
        document |= {source_field: source.link, f"{source_field}Id": source.document["id"]}
    disk = state.new(place, document, kind="disk", hidden={"file": f"disks/{uuid.uuid4()}.raw"})
    path = state.folder / disk.hidden["file"]
    if source:
        copy_sparse(state.folder / source.hidden["file"], path, size=size * GIB)
    else:
        create_sparse(path, size * GIB)
    return disk


def features_of(resource: Resource) -> set[str]:
    """A disk's guest OS features."""
    return {each["type"] for each in resource.document.get("guestOsFeatures", ())}


def inherited(source: Resource) -> Json:
    """What a snapshot has of its disk, and a disk of what it's made from."""
    names = (*INHERITED, "guestOsFeatures")
    return {name: source.document[name] for name in names if source.document.get(name)}


def discard(state: CloudState, resource: Resource) -> None:
    """Take a disk, snapshot or image and its file away."""
    state.remove(resource)
    (state.folder / resource.hidden["file"]).unlink(missing_ok=True)


def _source(state: CloudState, place: ResourceId, body: Json, words: Words) -> tuple[str, Resource | None]:
    given = [name for name in _SOURCES if body.get(name)]
    if len(given) > 1:
        refuse_value(words.field(given[1]), body[given[1]], f"A disk with {given[0]} can't have another source.")
    if not given:
        return "", None
    collection, zonal = _SOURCES[given[0]]
    scope = place.scope if zonal else "global"
    source = state.referred(body[given[0]], collection, words.field(given[0]), scope=scope)
    return given[0], check_ready(source)


def _gigabytes(body: Json, source: Resource | None, words: Words) -> int:
    least = int(source.document.get("diskSizeGb") or source.document["sizeGb"]) if source else 0
    size = int(body.get("sizeGb") or (max(least, SMALLEST_GB) if source else DEFAULT_GB))
    field = words.field(words.size)
    if not SMALLEST_GB <= size <= LARGEST_GB:
        refuse_value(field, size, f"Disk size has to be from {SMALLEST_GB} GB to {LARGEST_GB} GB.")
    if source and size < least:
        what = {"images": "image", "snapshots": "snapshot", "disks": "disk"}[source.id.collection]
        refuse_value(field, size, f"Requested disk size cannot be smaller than the {what} size ({least} GB)")
    return size


def _traits(body: Json, source: Resource | None, words: Words) -> Json:
    """Features, architecture and licences: the source's, and what the body adds."""
    traits = inherited(source) if source else {}
    if body.get("architecture", traits.get("architecture")) != traits.get("architecture", body.get("architecture")):
        refuse_value(words.field("architecture"), body["architecture"], f"The source is {traits['architecture']}.")
    if body.get("architecture"):
        traits["architecture"] = body["architecture"]
    features = [each["type"] for each in (*traits.get("guestOsFeatures", ()), *body.get("guestOsFeatures", ()))]
    if features:
        traits["guestOsFeatures"] = [{"type": name} for name in dict.fromkeys(features)]
    licences = [*traits.get("licenses", ()), *body.get("licenses", ())]
    return traits | ({"licenses": list(dict.fromkeys(licences))} if licences else {})
