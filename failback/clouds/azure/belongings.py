"""What a run has made in the target's resource group, found by its tag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.removal import remove_disk, remove_interface, remove_machine, remove_snapshot
from failback.model.ending import Belonging
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
        return [each for of, each in self._made_by(run) if server in {"", of}]

    def of_run(self, run: str) -> Sequence[Belonging]:
        return [each for of, each in self._made_by(run) if not of]

    def _made_by(self, run: str) -> Iterator[tuple[str, Belonging]]:
        """Everything, with the server that it was made for."""
        compute, network, group = self.place.compute, self.place.network, self.place.group
        lists: dict[str, Iterable[Any]] = {
            "machine": compute.virtual_machines.list(group),
            "interface": network.network_interfaces.list(group),
            "disk": compute.disks.list_by_resource_group(group),
            "snapshot": compute.snapshots.list_by_resource_group(group),
        }
        for kind, items in lists.items():
            yield from _tagged(kind, items, run)

    def remove(self, belonging: Belonging) -> bool:
        """Begin or continue the removal; a disk's access is ended before."""
        return _REMOVE[belonging.kind](self.place, belonging.name)

    def command(self, belonging: Belonging) -> str:
        return _COMMANDS[belonging.kind].format(id=belonging.id)


def _tagged(kind: str, items: Iterable[Any], run: str) -> Iterator[tuple[str, Belonging]]:
    for item in items:
        tags = item.tags or {}
        if tags.get(RUN_TAG) == run:
            thing = Belonging(cloud=CLOUD, kind=kind, id=str(item.id), name=str(item.name))
            yield tags.get(SERVER_TAG, ""), thing
