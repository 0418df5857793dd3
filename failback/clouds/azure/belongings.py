"""What a run has made in the target's resource group, found by its tag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.removal import remove_disk, remove_interface, remove_machine, remove_snapshot
from failback.model.run import Belonging
from failback.naming import RUN_TAG, SERVER_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from failback.clouds.azure.place import AzurePlace

CLOUD = "azure"
_REMOVE = {
    "machine": remove_machine,
    "interface": remove_interface,
    "disk": remove_disk,
    "snapshot": remove_snapshot,
}
_COMMANDS = {
    "machine": "az vm delete --ids {id} --yes --force-deletion true",
    "interface": "az network nic delete --ids {id}",
    "disk": "az disk revoke-access --ids {id}; az disk delete --ids {id} --yes",
    "snapshot": "az snapshot revoke-access --ids {id}; az snapshot delete --ids {id}",
}


@dataclass(frozen=True, slots=True)
class AzureBelongings:
    """A Belongings."""

    place: AzurePlace

    def made_by(self, run: str, *, server: str = "") -> Sequence[Belonging]:
        """Machines, interfaces, disks (the client image among them), snapshots: what's used comes after its user."""
        compute, network, group = self.place.compute, self.place.network, self.place.group
        lists: dict[str, Iterable[Any]] = {
            "machine": compute.virtual_machines.list(group),
            "interface": network.network_interfaces.list(group),
            "disk": compute.disks.list_by_resource_group(group),
            "snapshot": compute.snapshots.list_by_resource_group(group),
        }
        return [each for kind, items in lists.items() for each in _tagged(kind, items, run, server)]

    def remove(self, belonging: Belonging) -> bool:
        """Begin or continue the removal; a disk's access is ended before."""
        return _REMOVE[belonging.kind](self.place, belonging.name)

    def command(self, belonging: Belonging) -> str:
        return _COMMANDS[belonging.kind].format(id=belonging.id)


def _tagged(kind: str, items: Iterable[Any], run: str, server: str) -> Iterator[Belonging]:
    for item in items:
        tags = item.tags or {}
        if tags.get(RUN_TAG) == run and server in {"", tags.get(SERVER_TAG)}:
            yield Belonging(cloud=CLOUD, kind=kind, id=str(item.id), name=str(item.name))
