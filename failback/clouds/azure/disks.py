"""A machine's disks: the copy of the client image that it boots from, and blank data disks.

Unconfirmed: that Azure takes a kind of system and a generation on an empty disk, and boots from it later. Its models
have both for every disk, "applicable to OS disks only"; only disks made from something are shown with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failback.clouds.azure.variants import GENERATIONS, OS_TYPES, make_disk
from failback.naming import PREFIX, RUN_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.clouds.azure.place import AzurePlace
    from failback.home_ports import DataDisk, MachineToBuild

MACHINE_TAG = f"{PREFIX}:machine"
"""On a data disk: the machine that it was made for. Its name alone may be any."""


def boot_disk_name(machine: str) -> str:
    """What the disk is called that a machine boots the client from."""
    return f"{machine}-disk"


def begin_boot_disk(place: AzurePlace, machine: MachineToBuild) -> Any:  # noqa: ANN401 - the SDK's poller
    """Begin to copy the client image for a machine."""
    return make_disk(
        place,
        machine.image.id,
        name=boot_disk_name(machine.name),
        os_type=OS_TYPES[machine.os],
        generation=GENERATIONS[machine.firmware],
        tags=machine.tags,
    )


def begin_blank_disk(place: AzurePlace, machine: MachineToBuild, disk: DataDisk) -> Any:  # noqa: ANN401 - as above
    """Begin to make one of a machine's data disks."""
    body: Any = {
        "location": place.target.location,
        "tags": {**machine.tags, MACHINE_TAG: machine.name},
        "sku": {"name": disk.sku or place.target.disk_sku},
        "properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": disk.size_gib, **_destiny(disk)},
    }
    return place.compute.disks.begin_create_or_update(place.group, disk.name, body)


def attached(disk: DataDisk, disk_id: str) -> Mapping[str, Any]:
    """A data disk as a machine's document has it. Without a cache, what the client has written is on the disk."""
    return {
        "lun": disk.lun,
        "createOption": "Attach",
        "caching": "None",
        "deleteOption": "Detach",
        "managedDisk": {"id": disk_id},
    }


def data_disks_of(place: AzurePlace, machine: str) -> list[str]:
    """The names of the data disks that runs have made for a machine, whether it's there or not."""
    listed = place.compute.disks.list_by_resource_group(place.group)
    tagged = [(str(disk.name), disk.tags or {}) for disk in listed]
    return [name for name, tags in tagged if tags.get(MACHINE_TAG) == machine and RUN_TAG in tags]


def _destiny(disk: DataDisk) -> Mapping[str, str]:
    """What has to stand in a disk from its creation on, for a machine to boot from it one day."""
    os_type = {"osType": OS_TYPES[disk.os]} if disk.os else {}
    return os_type | ({"hyperVGeneration": GENERATIONS[disk.firmware]} if disk.firmware else {})
