"""Client images in Google Cloud: each an image of the project, made of an archive in the target's bucket.

Source: the SDK's message Image (google-cloud-compute 1.57), "Create custom images" of Compute Engine (an archive of
disk.raw, compressed).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from failback.clouds.google.disks import ARCHITECTURE, features, features_of
from failback.clouds.google.labels import label_key, label_value, labels_of
from failback.clouds.google.operations import check_operation, request_id, settled
from failback.clouds.google.refusals import concerns_value
from failback.clouds.google.removal import remove_image
from failback.clouds.google.upload import IMAGE_LABEL, Slice, Upload
from failback.errors import CloudBusy, ImportFailed
from failback.home_ports import ImageImport
from failback.model.run import HomeImage
from failback.naming import IMAGE_TAG, PREFIX, RUN_TAG, image_name
from failback.transfer import jittered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.cloud import compute_v1 as compute
    from pydantic import JsonValue

    from failback.clouds.google.place import GooglePlace
    from failback.home_ports import ImageContent
    from failback.ports import Clock

TESTED_LABEL = label_key(f"{PREFIX}:tested")
"""Set after a boot test: when, and the agent's mark."""
WAIT = 10
"""Seconds until an image that's being made is looked at again: half a minute to three minutes in all."""


@dataclass(frozen=True, slots=True)
class GoogleImages:
    """A HomeImages."""

    place: GooglePlace
    clock: Clock
    slice: Slice = field(default_factory=Slice)
    backoff: Callable[[int], float] = jittered

    def format(self) -> Literal["gce"]:
        return "gce"

    def find(self, key: str) -> HomeImage | None:
        image = self.place.image(image_name(key))
        return self._home_image(image, key) if image and _is_ours(image, key) and _status(image) == "READY" else None

    def advance(
        self, key: str, content: ImageContent, *, cursor: Mapping[str, JsonValue], tags: Mapping[str, str]
    ) -> ImageImport:
        """Send a slice, put parts together, or have the image made.

        The cursor has the offset to go on from (`next`), which object is whole (`whole`, its generation) and what
        Compute has under way (`operation`).
        """
        upload = Upload(self.place, key, self.clock, self.slice, self.backoff)
        image = self.place.image(image_name(key))
        if image is not None:
            return self._there(image, upload, cursor, content.size)
        step, size = dict(cursor), content.size
        if "operation" in step:
            return self._under_way(upload, step, size)
        reached = step.get("next", 0)
        first = reached if isinstance(reached, int) else 0
        if first < size:
            reached = upload.send(content, first, tags)
            return ImageImport(None, {"next": reached}, reached, size)
        if "whole" not in step:
            whole = upload.assemble(size, tags)
            if whole is None:
                return ImageImport(None, {}, 0, size)
            return ImageImport(None, {"next": size, **({"whole": whole} if whole else {})}, size, size)
        return self._begun(upload, step, size, tags)

    def note_test(self, image: HomeImage, mark: str) -> HomeImage:
        from google.api_core.exceptions import PreconditionFailed
        from google.cloud import compute_v1 as compute

        found = self.place.image(image.name)
        if found is None:
            message = f"The image {image.name} isn't in the project {self.place.project} any more. Start the run again."
            raise ImportFailed(message)
        when = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        labels = {**found.labels, TESTED_LABEL: label_value(f"{when} {mark}")}
        body = compute.GlobalSetLabelsRequest(labels=labels, label_fingerprint=found.label_fingerprint)
        images = self.place.clients.images
        try:
            settled(
                self.place,
                images.set_labels_unary(
                    project=self.place.project, resource=image.name, global_set_labels_request_resource=body
                ),
            )
        except PreconditionFailed as error:
            message = f"The image {image.name} is being labelled by something else at this moment"
            raise CloudBusy(message) from error
        return image.model_copy(update={"tested": True})

    def _there(self, image: compute.Image, upload: Upload, cursor: Mapping[str, JsonValue], size: int) -> ImageImport:
        """How an image stands that's there, whole or not."""
        if not _is_ours(image, upload.key):
            message = (
                f"There's an image {image.name} in the way that is no client image with that key (label {IMAGE_LABEL})."
                " Rename or remove it, and start again."
            )
            raise ImportFailed(message)
        status = _status(image)
        if status == "READY":
            upload.remove_all()
            return ImageImport(self._home_image(image, upload.key), {}, size, size)
        if status == "FAILED":
            if "operation" in cursor:
                self._ended(str(cursor["operation"]))
            remove_image(self.place, image.name)
            return _over(upload, size)
        # Compute reads the whole object: its parts go while it does.
        upload.remove_parts()
        return _later(cursor, size)

    def _under_way(self, upload: Upload, step: Mapping[str, JsonValue], size: int) -> ImageImport:
        """How the making of an image stands that isn't to be seen yet; it's begun over if nothing is left of it."""
        if self._ended(str(step["operation"])) and self.place.image(image_name(upload.key)) is None:
            return _over(upload, size)
        return _later(step, size)

    def _begun(self, upload: Upload, step: Mapping[str, JsonValue], size: int, tags: Mapping[str, str]) -> ImageImport:
        """Have the image made of the whole object."""
        from google.api_core.exceptions import Conflict

        whole = str(step["whole"])
        if not upload.is_whole(whole):
            return ImageImport(None, {}, 0, size)
        request: Any = {
            "project": self.place.project,
            "image_resource": self._body(upload, tags),
            # Another run may try again what failed for this one.
            "request_id": request_id("image", upload.key, whole, tags.get(RUN_TAG, "")),
        }
        try:
            operation = self.place.clients.images.insert_unary(request=request)
        except Conflict:
            return _later(step, size)
        return _later({**step, "operation": operation.name}, size)

    def _body(self, upload: Upload, tags: Mapping[str, str]) -> compute.Image:
        """The image as it's to be made."""
        from google.cloud import compute_v1 as compute

        return compute.Image(
            name=image_name(upload.key),
            labels=labels_of({**tags, IMAGE_TAG: upload.key}),
            raw_disk=compute.RawDisk(source=upload.source, container_type="TAR"),
            guest_os_features=_features(),
            architecture=ARCHITECTURE,
            storage_locations=[self.place.region],
        )

    def _ended(self, name: str) -> bool:
        """Whether the making of an image has ended; raises what it failed with."""
        from google.api_core.exceptions import BadRequest

        operation = self.place.clients.global_operations.get(project=self.place.project, operation=name)
        try:
            if operation.done:
                check_operation(operation)
        except BadRequest as error:
            if not concerns_value(error):
                raise
            message = (
                f"Google makes no image of the upload: {error.message} Usually the exported image is damaged; remove "
                "it from the image bucket, and start again."
            )
            raise ImportFailed(message) from error
        return bool(operation.done)

    def _home_image(self, image: compute.Image, key: str) -> HomeImage:
        path = f"{self.place.project_path}/global/images/{image.name}"
        return HomeImage(id=path, name=image.name, key=key, tested=TESTED_LABEL in image.labels)


def _features() -> list[compute.GuestOsFeature]:
    """What every disk has that's made of the image: what a Linux disk has that a BIOS boots, and nothing more.

    Unconfirmed: that a disk's own features are added to its image's, and that none can be taken away. It's to boot by
    UEFI only where the disk says so, so one image does for both, and for Windows too.
    """
    return features(features_of("linux", "bios"))


def _is_ours(image: compute.Image, key: str) -> bool:
    return bool(image.labels.get(IMAGE_LABEL) == label_value(key))


def _status(image: compute.Image) -> str:
    """READY, PENDING, FAILED or DELETING."""
    return str(image.status)


def _over(upload: Upload, size: int) -> ImageImport:
    """Begin over with another upload: of the same object Compute would make the image once only."""
    upload.remove_all()
    return ImageImport(None, {}, 0, size, wait_seconds=WAIT)


def _later(step: Mapping[str, JsonValue], size: int) -> ImageImport:
    return ImageImport(None, dict(step), size, size, wait_seconds=WAIT)
