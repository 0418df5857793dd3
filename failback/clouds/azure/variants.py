"""Disks made from the client image: its copies, each with the OS type and generation that its machine needs.

Unconfirmed: that a copy takes another generation than its source has. Terraform's documentation of azurerm_managed_disk
says that hyper_v_generation applies to create options Import and Copy; Azure's own pages say nothing of it.

Why so: docs/decisions/0007-variants-are-copies.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from failback.errors import ImportFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.clouds.azure.place import AzurePlace
    from failback.model.recovery import Firmware
    from failback.model.server import GuestOs

OsType = Literal["Linux", "Windows"]
Generation = Literal["V1", "V2"]
"""V1 is started by a BIOS, V2 by UEFI."""
GENERATIONS: dict[Firmware, Generation] = {"bios": "V1", "uefi": "V2"}
OS_TYPES: dict[GuestOs, OsType] = {"linux": "Linux", "windows": "Windows"}
"""Our words in Azure's."""


def make_disk(
    place: AzurePlace,
    image: str,
    *,
    name: str,
    os_type: OsType,
    generation: Generation,
    tags: Mapping[str, str],
    zones: Sequence[str] = (),
) -> Any:  # noqa: ANN401 - the SDK's poller
    """Begin a copy of the disk with the id `image`; raises ImportFailed where Azure takes no such copy of it.

    `zones` are those of its machine. What the disk is for stands in it from its creation on, since it can't be changed
    later.
    """
    from azure.core.exceptions import HttpResponseError

    body: Any = {
        "location": place.target.location,
        "tags": dict(tags),
        "sku": {"name": place.target.disk_sku},
        "properties": {
            "osType": os_type,
            "hyperVGeneration": generation,
            "creationData": {"createOption": "Copy", "sourceResourceId": image},
        },
        **({"zones": list(zones)} if zones else {}),
    }
    try:
        return place.compute.disks.begin_create_or_update(place.group, name, body)
    except HttpResponseError as error:
        if error.status_code != 400:
            raise
        message = (
            f"Azure makes no {os_type} disk of generation {generation} from {image}: {error.message} If it's the "
            "generation that it doesn't take, copies keep their source's there: a second upload of the image with "
            f"hyperVGeneration {generation} is the way out (`failback image build`, then `az disk create --upload-type "
            f"Upload --hyper-v-generation {generation}` and the upload)."
        )
        raise ImportFailed(message) from error
