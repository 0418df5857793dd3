"""How a machine is to stand: what an arrangement asks for, or how it stood before, as its document has it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.machine_look import identity, slot
from failback.naming import PREFIX, RUN_TAG, TAKEN_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.clouds.azure.machine_look import Machine
    from failback.model.original import Original
    from failback.takeover_ports import Arrangement

_SENT = ("name", "caching", "deleteOption", "writeAcceleratorEnabled")


@dataclass(frozen=True, slots=True)
class Stand:
    """What's brought about: `boot` and `data` as a document has them, user data in base64 (empty: none)."""

    boot: Mapping[str, Any]
    data: tuple[Mapping[str, Any], ...]
    user_data: str
    identity: Mapping[str, Any]
    tags: Mapping[str, str]
    running: bool

    @property
    def disks(self) -> list[str]:
        """The ids of all its disks."""
        return [str(each["managedDisk"]["id"]) for each in (self.boot, *self.data)]


def stand_wanted(wanted: Arrangement, present: Machine, ids: Mapping[str, str]) -> Stand:
    """What an arrangement asks of a machine that's there; `ids` are the disks' by their names."""
    base: Mapping[str, Any] = wanted.like.document if wanted.like else present.document
    storage = base["properties"]["storageProfile"]
    own = {each["lun"]: each for each in storage.get("dataDisks") or []} if wanted.like else {}
    assigned = identity(base) if wanted.like else {"own": identity(base)["own"], "assigned": []}
    given = {wanted.identity.lower()} if wanted.identity else set()
    user_data = str(base["properties"].get("userData") or "") if wanted.like else ""
    return Stand(
        boot={**_sent(storage["osDisk"]), **_attached(wanted.boot, ids)},
        data=tuple(
            {**_kept(own.get(each.lun)), "lun": each.lun, "createOption": "Attach", "caching": each.caching or "None",
             **_attached(each.disk, ids)}
            for each in sorted(wanted.data, key=lambda each: each.lun)
        ),
        user_data=user_data if wanted.user_data is None else encoded(wanted.user_data),
        identity={**assigned, "assigned": sorted({*assigned["assigned"], *given})},
        tags=_tags_wanted(wanted, present),
        running=wanted.running,
    )  # fmt: skip


def stand_before(before: Original, present: Machine) -> Stand:
    """How a machine stood. Tags that aren't ours are what they are by now."""
    properties = before.document["properties"]
    assert isinstance(properties, dict)
    storage: Any = properties["storageProfile"]
    return Stand(
        boot=_with_id(storage["osDisk"]),
        # A disk that was made with the machine can only be attached now.
        data=tuple({**_with_id(each), "lun": each["lun"], "createOption": "Attach"}
                   for each in storage.get("dataDisks") or []),
        user_data=str(properties.get("userData") or ""),
        identity=identity(before.document),
        tags={**without_ours(present.tags), **ours(tags_before(before))},
        running=before.running,
    )  # fmt: skip


def encoded(user_data: str) -> str:
    """User data as Azure keeps it."""
    return base64.b64encode(user_data.encode()).decode()


def without_ours(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags without ours."""
    return {name: value for name, value in tags.items() if not name.startswith(f"{PREFIX}:")}


def ours(tags: Mapping[str, str]) -> dict[str, str]:
    """Our tags only."""
    return {name: value for name, value in tags.items() if name.startswith(f"{PREFIX}:")}


def tags_before(before: Original) -> dict[str, str]:
    """The tags that a machine had."""
    tags = before.document.get("tags") or {}
    assert isinstance(tags, dict)
    return {name: str(value) for name, value in tags.items()}


def boots_so(machine: Machine, stand: Stand) -> bool:
    """Whether the machine boots from the disk that it's to boot from; what isn't asked for is the disk's own."""
    found, wanted = slot(machine.properties["storageProfile"]["osDisk"]), slot(stand.boot)
    return all(found.get(name) == value for name, value in wanted.items())


def data_of(machine: Machine) -> list[Mapping[str, Any]]:
    """The machine's data disks as its document has them."""
    return list(machine.properties["storageProfile"].get("dataDisks") or [])


def same_data(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two lists have the same disks at the same places."""
    return places(first) == places(second)


def places(disks: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """Disks by LUN; names follow from the disks themselves."""
    return {each["lun"]: {**slot(each), "name": ""} for each in disks}


def kept_data(machine: Machine, stand: Stand) -> list[Mapping[str, Any]]:
    """The data disks that stay where they are, as they're sent back."""
    wanted = places(stand.data)
    return [
        {**_with_id(each), "lun": each["lun"], "createOption": each.get("createOption") or "Attach"}
        for each in data_of(machine)
        if places([each])[each["lun"]] == wanted.get(each["lun"])
    ]


def without_disk(machine: Machine, disk_id: str) -> list[Mapping[str, Any]]:
    """The data disks as they're sent back, but for one."""
    return [
        {**_with_id(each), "lun": each["lun"], "createOption": each.get("createOption") or "Attach"}
        for each in data_of(machine)
        if slot(each)["id"] != disk_id.lower()
    ]


def _tags_wanted(wanted: Arrangement, present: Machine) -> dict[str, str]:
    if wanted.like is None:
        return {**present.tags, **wanted.tags}
    return {**without_ours(present.tags), **ours(tags_before(wanted.like)), TAKEN_TAG: wanted.tags[RUN_TAG]}


def _attached(disk: str, ids: Mapping[str, str]) -> dict[str, Any]:
    # Whatever a machine's removal takes along, it isn't a disk of the run's.
    return {"name": ids[disk].rpartition("/")[2], "deleteOption": "Detach", "managedDisk": {"id": ids[disk]}}


def _kept(attached: Mapping[str, Any] | None) -> dict[str, Any]:
    accelerated = bool(attached and attached.get("writeAcceleratorEnabled"))
    return {"writeAcceleratorEnabled": True} if accelerated else {}


def _sent(attached: Mapping[str, Any]) -> dict[str, Any]:
    """What may be said of an attached disk: sizes and kinds are the disk's own."""
    return {name: attached[name] for name in _SENT if attached.get(name) is not None}


def _with_id(attached: Mapping[str, Any]) -> dict[str, Any]:
    return {**_sent(attached), "managedDisk": {"id": attached["managedDisk"]["id"]}}
