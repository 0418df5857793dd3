"""What a run has made in the target's project and bucket, found by its label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from failback.clouds.google.labels import RUN_LABEL, SERVER_LABEL, carries, labels_in
from failback.clouds.google.place import last_part
from failback.clouds.google.removal import (
    remove_address,
    remove_disk,
    remove_image,
    remove_machine,
    remove_object,
    remove_snapshot,
)
from failback.clouds.google.upload import FOLDER, storage_options
from failback.model.ending import Belonging

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.place import GooglePlace

CLOUD = "google"
_REMOVE = {
    "machine": remove_machine,
    "address": remove_address,
    "disk": remove_disk,
    "snapshot": remove_snapshot,
    "image": remove_image,
    "object": remove_object,
}
_COMMANDS = {
    "machine": "gcloud compute instances delete {name} --project {project} --zone {zone} --quiet",
    "address": "gcloud compute addresses delete {name} --project {project} --region {region} --quiet",
    "disk": "gcloud compute disks delete {name} --project {project} --zone {zone} --quiet",
    "snapshot": "gcloud compute snapshots delete {name} --project {project} --quiet",
    "image": "gcloud compute images delete {name} --project {project} --quiet",
    "object": "gcloud storage rm {id} --project {project}",
}


@dataclass(frozen=True, slots=True)
class GoogleBelongings:
    """A Belongings."""

    place: GooglePlace

    def made_by(self, run: str, *, server: str = "") -> Sequence[Belonging]:
        """Machines, addresses, disks, snapshots, images, objects: what's used comes after its user."""
        return [each for each, labels in self._everything() if carries(labels, run, server)]

    def of_run(self, run: str) -> Sequence[Belonging]:
        return [each for each, labels in self._everything() if carries(labels, run) and SERVER_LABEL not in labels]

    def remove(self, belonging: Belonging) -> bool:
        return _REMOVE[belonging.kind](self.place, belonging.name)

    def command(self, belonging: Belonging) -> str:
        target = self.place.target
        return _COMMANDS[belonging.kind].format(
            name=belonging.name, id=belonging.id, project=target.project, zone=target.zone, region=target.region
        )

    def _everything(self) -> Iterator[tuple[Belonging, Mapping[str, str]]]:
        """Everything in the target, anybody's, with its labels."""
        place, clients = self.place, self.place.clients
        zone: Any = {"project": place.project, "zone": place.zone}
        project: Any = {"project": place.project}
        machines = {each.name: dict(each.labels) for each in clients.instances.list(request=zone)}
        for name, labels in machines.items():
            yield _belonging("machine", f"{place.zone_path}/instances/{name}", name), labels
        region: Any = {"project": place.project, "region": place.region}
        for address in clients.addresses.list(request=region):
            path = f"{place.region_path}/addresses/{address.name}"
            yield _belonging("address", path, address.name), _labels_of(address, machines)
        for disk in clients.disks.list(request=zone):
            yield _belonging("disk", f"{place.zone_path}/disks/{disk.name}", disk.name), dict(disk.labels)
        for snapshot in clients.snapshots.list(request=project):
            path = f"{place.project_path}/global/snapshots/{snapshot.name}"
            yield _belonging("snapshot", path, snapshot.name), dict(snapshot.labels)
        for image in clients.images.list(request=project):
            path = f"{place.project_path}/global/images/{image.name}"
            yield _belonging("image", path, image.name), dict(image.labels)
        bucket = place.target.bucket
        for blob in clients.storage.list_blobs(bucket, prefix=FOLDER, **storage_options()):
            yield _belonging("object", f"gs://{bucket}/{blob.name}", blob.name), blob.metadata or {}


def _labels_of(address: compute.Address, machines: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    """Whose an address is that a run has reserved: the run's, unless a machine uses it that isn't, or isn't any more.

    `machines` are the labels of the target's machines by name.
    """
    made = labels_in(address.description)
    users = [machines.get(last_part(user), {}) for user in address.users]
    return made if all(user.get(RUN_LABEL) == made.get(RUN_LABEL) for user in users) else {}


def _belonging(kind: str, path: str, name: str) -> Belonging:
    return Belonging(cloud=CLOUD, kind=kind, id=path, name=name)
