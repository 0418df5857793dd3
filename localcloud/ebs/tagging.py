"""Tags of snapshots and images: CreateTags, DeleteTags, DescribeTags.

Source: EC2 user guide, tag restrictions (50 a resource, keys of 1 to 128 and values of 0 to 256 characters).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.ebs.filters import page, select
from localcloud.ebs.refusal import Ec2Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from localcloud.ebs.record import ImageRecord, SnapshotRecord
    from localcloud.ebs.store import SnapshotStore

MOST_TAGS = 50
_LONGEST_KEY, _LONGEST_VALUE = 128, 256

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Row:
    resource: str
    key: str
    value: str

    @property
    def type(self) -> str:
        return "image" if self.resource.startswith("ami-") else "snapshot"


class TagBook:
    """The three calls; `keep_image` takes an image whose tags have changed."""

    def __init__(
        self, store: SnapshotStore, images: Mapping[str, ImageRecord], keep_image: Callable[[ImageRecord], None]
    ) -> None:
        self._store, self._images, self._keep_image = store, images, keep_image

    def create(self, caller: str, values: Values) -> Values:
        """Add tags or change their values, on all the resources or on none."""
        fresh = checked_tags(values["Tags"])
        changed = []
        for record in self._resources(caller, values):
            tags = {**record.tags, **fresh}
            if len(tags) > MOST_TAGS:
                raise Ec2Refusal(400, "TagLimitExceeded", f"The maximum number of tags for a resource is {MOST_TAGS}")
            changed.append((record, tags))
        for record, tags in changed:
            self._keep(record, tags)
        return {}

    def delete(self, caller: str, values: Values) -> Values:
        """Remove tags: all where none are named, those of a value where one is given."""
        wanted = values.get("Tags")
        for record in self._resources(caller, values):
            kept = {} if wanted is None else {k: v for k, v in record.tags.items() if not _named(k, v, wanted)}
            self._keep(record, kept)
        return {}

    def describe(self, caller: str, values: Values) -> Values:
        """The tags of the caller's images and snapshots."""
        records: list[ImageRecord | SnapshotRecord] = [*self._images.values(), *self._store.records.values()]
        owned = [each for each in records if each.owner == caller]
        rows = [_Row(each.id, key, value) for each in owned for key, value in each.tags.items()]
        rows = select(rows, values.get("Filters", ()), _FIELDS, lambda row: {row.key: row.value})
        shown, token = page(rows, values, lambda row: f"{row.resource} {row.key}")
        tags = [
            {"Key": row.key, "Value": row.value, "ResourceId": row.resource, "ResourceType": row.type} for row in shown
        ]
        return {"Tags": tags, "NextToken": token}

    def _resources(self, caller: str, values: Values) -> list[ImageRecord | SnapshotRecord]:
        found: list[ImageRecord | SnapshotRecord] = []
        for name in values["Resources"]:
            record: ImageRecord | SnapshotRecord | None = self._images.get(name) or self._store.find(name)
            if record is None or record.owner != caller:
                raise _unknown(name)
            found.append(record)
        return found

    def _keep(self, record: ImageRecord | SnapshotRecord, tags: dict[str, str]) -> None:
        if record.id in self._images:
            self._keep_image(self._images[record.id].model_copy(update={"tags": tags}))
        else:
            self._store.change(record.id, tags=tags)


def checked_tags(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags as a mapping; refuses what EC2 refuses of keys, values and numbers."""
    given = [(tag.get("Key", ""), tag.get("Value", "")) for tag in tags]
    if len(given) > MOST_TAGS:
        raise Ec2Refusal(400, "TagLimitExceeded", f"The maximum number of tags for a resource is {MOST_TAGS}")
    for key, value in given:
        if not 1 <= len(key) <= _LONGEST_KEY or key.lower().startswith("aws:"):
            raise Ec2Refusal(
                400, "InvalidParameterValue", f"Tag keys have 1 to {_LONGEST_KEY} characters, not aws: first"
            )
        if len(value) > _LONGEST_VALUE:
            raise Ec2Refusal(400, "InvalidParameterValue", f"Tag values have at most {_LONGEST_VALUE} characters")
    if len({key for key, _ in given}) != len(given):
        raise Ec2Refusal(400, "InvalidParameterValue", "Duplicate tag key specified.")
    return dict(given)


def _named(key: str, value: str, wanted: Iterable[Mapping[str, str]]) -> bool:
    return any(tag.get("Key") == key and tag.get("Value", value) == value for tag in wanted)


def _unknown(name: str) -> Ec2Refusal:
    if name.startswith("ami-"):
        return Ec2Refusal(400, "InvalidAMIID.NotFound", f"The image id '[{name}]' does not exist")
    if name.startswith("snap-"):
        return Ec2Refusal(400, "InvalidSnapshot.NotFound", f"The snapshot '{name}' does not exist.")
    message = f"'{name}' isn't an image or a snapshot: tag it in a call of its own"
    return Ec2Refusal(400, "InvalidID", message)


_FIELDS: Mapping[str, Callable[[_Row], Iterable[str]]] = {
    "key": lambda row: [row.key],
    "resource-id": lambda row: [row.resource],
    "resource-type": lambda row: [row.type],
    "value": lambda row: [row.value],
}
