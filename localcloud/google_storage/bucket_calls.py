"""Calls on buckets: insert, list, get, delete.

Source: Cloud Storage JSON API reference v1, and "About Cloud Storage buckets" (names).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.google_identity.refusal import ApiRefusal, Json
from localcloud.google_storage.conditions import check_metageneration, read_condition
from localcloud.google_storage.exchange import Reply, StorageRequest
from localcloud.google_storage.listing import page_of
from localcloud.google_storage.record import BucketRecord
from localcloud.google_storage.resources import STORAGE_CLASSES, bucket_resource, refuse_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.azure.clock import Clock
    from localcloud.google_storage.store import Bucket, BucketStore

_NAME = re.compile(r"(?!goog)(?!.*google)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]")
_LOCATION = re.compile(r"US|EU|ASIA|[A-Z]+-[A-Z]+[0-9]+")
_FIELDS = frozenset({"name", "location", "storageClass", "labels", "iamConfiguration"})
_OWN = frozenset({"kind", "id", "selfLink", "projectNumber", "metageneration", "timeCreated", "updated", "etag"})
_ACCESS = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"}
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}"), re.compile(r"[a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class BucketCalls:
    """On buckets of the known projects, which are numbers by their ids."""

    store: BucketStore
    projects: Mapping[str, str]
    clock: Clock

    def insert(self, request: StorageRequest) -> Reply:
        """buckets.insert."""
        project = self._project(request)
        record = self.new_record(project, request.document())
        with self.store.lock:
            known = self.store.find(record.name)
            if known is not None:
                mine = known.record.project == project
                message = "Your previous request to create the named bucket succeeded and you already own it."
                other = "The requested bucket name is not available. The bucket namespace is shared by all users."
                raise ApiRefusal(409, "conflict", message if mine else other)
            self.store.create(record)
        return Reply(body=self._resource(record, request))

    def list(self, request: StorageRequest) -> Reply:
        """buckets.list."""
        project = self._project(request)
        prefix = request.query.get("prefix", "")
        found = {each.record.name: each.record for each in self.store.buckets() if each.record.project == project}
        names, token = page_of((name for name in found if name.startswith(prefix)), request)
        document: Json = {"kind": "storage#buckets"}
        if names:
            document["items"] = [self._resource(found[name], request) for name in names]
        return Reply(body=document | ({"nextPageToken": token} if token else {}))

    def get(self, request: StorageRequest, bucket: Bucket) -> Reply:
        """buckets.get."""
        check_metageneration(read_condition(request), 1)
        return Reply(body=self._resource(bucket.record, request))

    def delete(self, request: StorageRequest, bucket: Bucket) -> Reply:
        """buckets.delete; uploads that aren't finished don't hold it."""
        check_metageneration(read_condition(request), 1)
        with self.store.lock, bucket.lock:
            if next(bucket.names_from(""), None) is not None:
                raise ApiRefusal(409, "conflict", "The bucket you tried to delete is not empty.")
            self.store.delete(bucket.record.name)
        return Reply(204)

    def new_record(self, project: str, document: Json) -> BucketRecord:
        """A bucket as a document wants it; raises ApiRefusal."""
        for field in document:
            if field not in _FIELDS | _OWN:
                refuse_field(field, "of a bucket isn't known or isn't emulated")
        name = document.get("name")
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise ApiRefusal(400, "invalid", f"Invalid bucket name: '{name}'")
        location = str(document.get("location", "US")).upper()
        if _LOCATION.fullmatch(location) is None:
            raise ApiRefusal(400, "invalid", "The specified location constraint is not valid.")
        storage_class = document.get("storageClass", "STANDARD")
        if storage_class not in STORAGE_CLASSES:
            refuse_field("storageClass", "isn't a storage class")
        now = self.clock.now()
        return BucketRecord(
            name=name,
            project=project,
            created=now,
            generation=int(now.timestamp() * 1_000_000),
            location=location,
            storage_class=storage_class,
            labels=_labels(document.get("labels", {})),
            access=_access(document.get("iamConfiguration", {})),
        )

    def _project(self, request: StorageRequest) -> str:
        project = request.query.get("project")
        if not project:
            message = "Required parameter: project"
            raise ApiRefusal(400, "required", message, location=("parameter", "project"))
        if project not in self.projects:
            raise ApiRefusal(400, "invalid", f"Unknown project id: {project}")
        return project

    def _resource(self, record: BucketRecord, request: StorageRequest) -> Json:
        return bucket_resource(record, self.projects.get(record.project, "0"), request.base)


def _labels(given: object) -> dict[str, str]:
    if not isinstance(given, dict):
        refuse_field("labels", "isn't an object")
    for key, value in given.items():
        if _LABEL[0].fullmatch(key) is None or not isinstance(value, str) or _LABEL[1].fullmatch(value) is None:
            refuse_field(f"labels.{key}", "isn't a label")
    return dict(given)


def _access(given: object) -> Json:
    """Only policies of the whole bucket are emulated: no object has an access list of its own, none is public."""
    if not isinstance(given, dict) or any(_ACCESS.get(name) != value for name, value in given.items()):
        refuse_field("iamConfiguration", "may only enable uniform access and enforce the prevention of public one")
    return {**_ACCESS, **given}
