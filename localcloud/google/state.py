"""What the embedded Google holds: every resource's document, kept in one file so that a restart finds it again."""

from __future__ import annotations

import copy
import json
import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING

from localcloud.google.refusals import GoogleRefusal, Json, refuse_absent, refuse_unready, refuse_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from localcloud.azure.clock import Clock

STATE_FILE = "resources.json"
ROOT = "https://www.googleapis.com/compute/v1/"
"""How resources' URLs begin, wherever they're served."""
_ROOTS = (ROOT, "https://compute.googleapis.com/compute/v1/")
_PATH = re.compile(
    r"projects/(?P<project>[^/]+)/(?P<scope>global|(?:zones|regions)/[^/]+)/(?P<collection>\w+)/(?P<name>[^/]+)"
)
_UNFINISHED = {"CREATING", "PENDING", "PROVISIONING", "STAGING", "UPLOADING"}


@dataclass(frozen=True, slots=True)
class ResourceId:
    """A resource's place: project, `zones/Z`, `regions/R` or `global`, collection (`disks`) and name."""

    project: str
    scope: str
    collection: str
    name: str

    def __str__(self) -> str:
        return f"projects/{self.project}/{self.scope}/{self.collection}/{self.name}"

    @property
    def link(self) -> str:
        """The resource's URL."""
        return f"{ROOT}{self}"

    @classmethod
    def parse(cls, path: str) -> ResourceId | None:
        """The place that a path without host names; None if it names none."""
        match = _PATH.fullmatch(path)
        return cls(match["project"], match["scope"], match["collection"], match["name"]) if match else None


@dataclass(slots=True)
class Resource:
    """One resource: the document that GET answers, and what only the emulator knows of it (`hidden`).

    `held` counts the operations under way that let no other change begin.
    """

    id: ResourceId
    document: Json
    hidden: Json = field(default_factory=dict)
    held: int = 0

    def __str__(self) -> str:
        return str(self.id)

    @property
    def link(self) -> str:
        """The resource's URL."""
        return self.id.link


class CloudState:
    """All resources of one project by their ids, and the cloud's folder, clock and lock."""

    def __init__(self, folder: Path, clock: Clock, project: str) -> None:
        self.folder, self.clock, self.project = folder, clock, project
        self.lock = threading.RLock()
        self._resources: dict[str, Resource] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._load()

    def now(self) -> str:
        """This moment as Google writes it."""
        return google_time(self.clock.now())

    def new(self, resource_id: ResourceId, document: Json, *, kind: str, hidden: Json | None = None) -> Resource:
        """A resource of this id with what every one has; it isn't known yet. Refuses a name that's taken."""
        if str(resource_id) in self._resources:
            raise GoogleRefusal(409, "alreadyExists", f"The resource '{resource_id}' already exists")
        made: Json = {"kind": f"compute#{kind}", "id": new_number(), "creationTimestamp": self.now(),
                      "name": resource_id.name, "selfLink": resource_id.link}  # fmt: skip
        place, _, name = resource_id.scope.partition("/")
        if name:
            made[place.removesuffix("s")] = f"{ROOT}projects/{resource_id.project}/{resource_id.scope}"
        return Resource(resource_id, made | document | made, hidden or {})

    def find(self, resource_id: str | ResourceId) -> Resource | None:
        """The resource of this id or URL, if there is one."""
        return self._resources.get(str(resource_id).removeprefix(ROOT))

    def get(self, resource_id: ResourceId) -> Resource:
        """The resource of this id; refuses with Google's notFound."""
        return self.find(resource_id) or refuse_absent(str(resource_id))

    def referred(self, url: object, collection: str, field: str, *, scope: str = "global") -> Resource:
        """The resource that a body's field names by a URL or a part of one; it has to be in the collection and scope.

        Source: the messages' descriptions of such fields ("full or partial URL").
        """
        found = self.get(self.place(url, collection, field))
        if found.id.scope != scope:
            refuse_value(field, url, f"The resource has to be in {scope}.")
        return found

    def place(self, url: object, collection: str, field: str) -> ResourceId:
        """The id that a URL, or a part of one, means; refuses one that's malformed or of another collection."""
        path = str(url)
        for root in _ROOTS:
            path = path.removeprefix(root)
        if path.startswith(("zones/", "regions/", "global/")):
            path = f"projects/{self.project}/{path}"
        place = ResourceId.parse(path)
        if place is None or place.collection != collection:
            refuse_value(field, url, "The URL is malformed.")
        return place

    def add(self, resource: Resource) -> None:
        """Make a resource known."""
        self._resources[str(resource)] = resource

    def remove(self, resource: Resource) -> None:
        """Forget a resource; one that's gone already is fine."""
        if self._resources.get(str(resource)) is resource:
            del self._resources[str(resource)]

    def of(self, collection: str, scope: str = "") -> Iterator[Resource]:
        """The resources of a collection, by id; those of one scope only, if it's given."""
        for _, each in sorted(self._resources.items()):
            if each.id.collection == collection and scope in ("", each.id.scope):
                yield each

    def everything(self) -> dict[str, Json]:
        """A copy of every resource's document by its path."""
        return {name: copy.deepcopy(each.document) for name, each in sorted(self._resources.items())}

    def save(self) -> None:
        """Write all of it to the state file, whole or not at all."""
        records = [{"id": str(each), "document": each.document, "hidden": each.hidden}
                   for each in self._resources.values()]  # fmt: skip
        draft = self.folder / (STATE_FILE + ".draft")
        draft.write_text(json.dumps(records, indent=1), encoding="utf-8")
        draft.replace(self.folder / STATE_FILE)

    def _load(self) -> None:
        path = self.folder / STATE_FILE
        for record in json.loads(path.read_text(encoding="utf-8")) if path.exists() else []:
            place = ResourceId.parse(record["id"])
            assert place is not None, record["id"]
            # What was being made when the cloud ended never is.
            if record["document"].get("status") in _UNFINISHED and place.collection != "instances":
                record["document"]["status"] = "FAILED"
            self.add(Resource(place, record["document"], record["hidden"]))


def check_ready(resource: Resource) -> Resource:
    """Refuse a resource that an operation under way makes or changes, or that has failed."""
    if resource.held or resource.document.get("status") in {*_UNFINISHED, "FAILED", "DELETING"}:
        refuse_unready(str(resource))
    return resource


def new_number() -> str:
    """An id as Google gives them: 19 digits."""
    return str(secrets.randbelow(8 * 10**18) + 10**18)


def google_time(moment: datetime) -> str:
    """A moment in RFC 3339 with milliseconds and an offset."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
