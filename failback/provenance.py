"""What the servers at home were made of: from AWS's ISO by way of the AMI to the client image, and to each machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from failback.model.report import MadeAtHome, Provenance
from failback.model.run import Ami, BootTest, ClientImagePlan, ExportedImage, HomeImage, StoredIso
from failback.original_client import client_disk_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.model.facts import Facts
    from failback.model.record import StageEntry
    from failback.model.server import ServerPlan

M = TypeVar("M", bound="Facts")


def noted(stages: Sequence[StageEntry], stage: str, model: type[M]) -> M | None:
    """What a stage left, by what was noted of it; None where it isn't done, or was noted by another version."""
    facts = next((entry.facts for entry in stages if entry.stage == stage), None)
    try:
        return None if facts is None else model.model_validate(facts)
    except ValidationError:
        return None


def provenance(stages: Sequence[StageEntry]) -> Provenance | None:
    """What the image at home was made of, by the run's stages; None where the run didn't get to know it."""
    plan = noted(stages, "find_client_image", ClientImagePlan)
    if plan is None:
        return None
    tested = noted(stages, "boot_test", BootTest)
    return Provenance(
        key=plan.key,
        published=plan.published,
        iso=noted(stages, "fetch_iso", StoredIso) or plan.found.iso,
        ami=noted(stages, "build_image", Ami) or plan.found.ami,
        export=noted(stages, "export_image", ExportedImage) or plan.found.export,
        image=tested.image if tested else noted(stages, "import_image", HomeImage) or plan.found.image,
        mark=tested.mark if tested else "",
    )


def made_at_home(run: str, plan: ServerPlan, made_of: Provenance | None) -> MadeAtHome:
    """The machines and disks that a server's plan is for; whether they were made is its stages' to say."""
    disks = sorted(plan.disks, key=lambda disk: (not disk.boot, disk.lun))
    return MadeAtHome(
        image_key=made_of.key if made_of else "",
        image=made_of.image.id if made_of and made_of.image else "",
        client_machine=plan.machine,
        client_disk=client_disk_name(run, plan.id) if plan.way == "original" else f"{plan.machine}-disk",
        machine=plan.own_machine,
        disks=tuple(disk.name for disk in disks),
    )
