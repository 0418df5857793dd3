"""Takes a run's tags off a machine with all that belongs to it: then no clean-up finds any of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.arranging import went
from failback.clouds.azure.machine_look import look_at
from failback.clouds.azure.place import SETTLE_SECONDS, group_and_name
from failback.clouds.azure.stands import without_ours
from failback.naming import RUN_TAG, TAKEN_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from failback.clouds.azure.machine_look import Machine
    from failback.clouds.azure.place import AzurePlace


def take_tags_off(place: AzurePlace, name: str, *, run: str) -> bool:
    """The machine first: what's attached to one that isn't the run's can't be removed. True once none is left."""
    machine = look_at(place, name)
    if machine is None:
        return True
    if machine.changing:
        return False
    if run in _runs(machine.tags) and not went(partial(_machine, place, machine), SETTLE_SECONDS):
        return False
    return all(went(begin, SETTLE_SECONDS) for begin in _parts(place, machine, run))


def _parts(place: AzurePlace, machine: Machine, run: str) -> Iterator[Callable[[], Any]]:
    storage = machine.properties["storageProfile"]
    for attached in (storage["osDisk"], *(storage.get("dataDisks") or [])):
        disk = place.disk_by_id(str(attached["managedDisk"]["id"]))
        if disk is not None and run in _runs(disk.tags):
            yield partial(_disk, place, str(disk.id), dict(disk.tags or {}))
    for held in (machine.properties.get("networkProfile") or {}).get("networkInterfaces") or []:
        interface = place.interface_by_id(str(held["id"]))
        if interface is not None and run in _runs(interface.tags):
            yield partial(_interface, place, str(interface.id), dict(interface.tags or {}))


def _runs(tags: Mapping[str, str] | None) -> set[str | None]:
    return {(tags or {}).get(RUN_TAG), (tags or {}).get(TAKEN_TAG)}


def _machine(place: AzurePlace, machine: Machine) -> Any:  # noqa: ANN401 - the SDK's poller
    body: Any = {"tags": without_ours(machine.tags)}
    return place.compute.virtual_machines.begin_update(place.group, str(machine.document["name"]), body)


def _disk(place: AzurePlace, disk_id: str, tags: Mapping[str, str]) -> Any:  # noqa: ANN401 - as above
    body: Any = {"tags": without_ours(tags)}
    group, name = group_and_name(disk_id)
    return place.compute.disks.begin_update(group, name, body)


def _interface(place: AzurePlace, interface_id: str, tags: Mapping[str, str]) -> Any:  # noqa: ANN401 - as above
    body: Any = {"tags": without_ours(tags)}
    group, name = group_and_name(interface_id)
    place.network.network_interfaces.update_tags(group, name, body)
    return _Done()


class _Done:
    """An operation that has ended with its answer."""

    def wait(self, _seconds: float) -> None:
        """There's nothing to wait for."""

    def done(self) -> bool:
        return True

    def result(self) -> None:
        """Nothing more than that it went well."""
