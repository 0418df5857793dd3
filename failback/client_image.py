"""The client image as a whole: what there is of it already, which stage comes next, and who may work on it.

Everything is keyed by content, so that a second run finds the first one's work. One run at a time works on client
images: it holds a lease, which every stage renews; another run waits for it and then finds the work done.

Why so: docs/decisions/0006-images-are-keyed-by-content.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from failback.errors import LeaseLost
from failback.image.compose import BuildOptions
from failback.image_export import exported_image
from failback.iso_copy import stored_iso
from failback.model.run import ClientImagePlan, FoundArtefacts
from failback.model.stage import Progress, StageResult
from failback.naming import image_name
from failback.recipe import ami_key, image_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from failback.home_ports import HomeImages
    from failback.image.grub import GrubImages
    from failback.model.run import Ami, ImageWork, PublishedIso, RunState
    from failback.ports import Clock, MachineImages, ObjectStore, RunLog

LEASE = "client-image"
LEASE_TIME = timedelta(minutes=40)
"""Longer than the longest pause between two calls of a run's stages: a call of 10 minutes, lost, and its retries."""
WAIT_FOR_OTHERS = 15
"""Seconds until a run looks again whether another has finished its image."""


@dataclass(frozen=True, slots=True)
class ImageSearch:
    """Where to look for a client image; `published` asks AWS for its ISO of a version."""

    objects: ObjectStore
    machine_images: MachineImages
    home_images: HomeImages
    grub: GrubImages
    published: Callable[[str], PublishedIso]


def build_options(state: RunState) -> BuildOptions:
    """What the image is built for: to boot at the run's home, and in EC2, where its AMI lies."""
    return BuildOptions(clouds=(state.home.name, "aws"))


def find_client_image(
    state: RunState, search: ImageSearch, *, run_log: RunLog, clock: Clock
) -> StageResult[ClientImagePlan, None]:
    """What there is and what comes next; `pending` while another run is at work on client images."""
    plan = _look(state, search)
    if plan.next == "nothing":
        return StageResult(status="done", facts=plan)
    holder = _lease(run_log, state.run.id, clock.now())
    if holder != state.run.id:
        note = f"run {holder} is at work on the client image"
        return StageResult(status="pending", wait_seconds=WAIT_FOR_OTHERS, progress=Progress(done=0, total=1, note=note,
                           unit="steps"))  # fmt: skip
    # Whoever held the lease until now may have finished the work since the first look.
    plan = _look(state, search)
    if plan.next == "nothing":
        run_log.release(LEASE, state.run.id)
    return StageResult(status="done", facts=plan)


def keep_lease(state: RunState, *, run_log: RunLog, clock: Clock) -> None:
    """Renew the run's lease on image work; raises LeaseLost where another run has taken it over."""
    holder = _lease(run_log, state.run.id, clock.now())
    if holder != state.run.id:
        message = (
            f"run {holder} has taken over the work on the client image, since this run hadn't been heard of for "
            f"{LEASE_TIME.total_seconds() / 60:.0f} minutes; wait for that run, then start again"
        )
        raise LeaseLost(message)


def release_lease(state: RunState, *, run_log: RunLog) -> None:
    """The run is through with image work."""
    run_log.release(LEASE, state.run.id)


def _lease(run_log: RunLog, run: str, now: datetime) -> str:
    return run_log.lease(LEASE, run, now=now, until=now + LEASE_TIME)


def _look(state: RunState, search: ImageSearch) -> ClientImagePlan:
    """From home backwards: what's found nearest to home makes looking for the rest needless."""
    ami, published, key = _content(state, search)
    image_format = search.home_images.format()

    def plan(step: ImageWork, found: FoundArtefacts) -> ClientImagePlan:
        return ClientImagePlan(key=key, format=image_format, next=step, published=published, found=found)

    image = search.home_images.find(key)
    if image is not None:
        return plan("nothing" if image.tested else "boot_test", FoundArtefacts(image=image, ami=ami))
    export = exported_image(search.objects, key, image_format)
    if export is not None:
        return plan("import_image", FoundArtefacts(export=export, ami=ami))
    ami = ami or search.machine_images.find(image_name(key))
    if ami is not None or published is None:
        return plan("export_image", FoundArtefacts(ami=ami))
    iso = stored_iso(search.objects, published.sha512)
    return plan("build_image" if iso else "fetch_iso", FoundArtefacts(iso=iso))


def _content(state: RunState, search: ImageSearch) -> tuple[Ami | None, PublishedIso | None, str]:
    """What the image is made of: the customer's own AMI, or AWS's ISO; and the key of that content."""
    choice = state.client_image
    if choice.ami is not None:
        ami = search.machine_images.describe(choice.ami)
        return ami, None, ami_key(ami.snapshot)
    published = search.published(choice.iso_version)
    return None, published, image_key(published.sha512, search.grub, build_options(state))
