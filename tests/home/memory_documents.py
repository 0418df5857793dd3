"""What a machine in memory is made up of, in plain values: its document, and the one that an arrangement asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from failback.errors import CloudRefused, OriginalChanged
from failback.naming import PREFIX, RUN_TAG, SERVER_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.takeover_ports import Arrangement
    from tests.home.memory_machines import MemoryMachine

Document = dict[str, Any]
TAKEN_TAG = f"{PREFIX}:taken-by"
"""On a machine that was there before the run: it isn't the run's, so it has no tag by which it could be removed."""


def wanted_document(wanted: Arrangement, present: Document) -> Document:
    """The document that the machine is to have."""
    own: Document = copied(wanted.like.document) if wanted.like else {**present, "user_data": None, "identities": []}
    tags = {TAKEN_TAG: wanted.tags[RUN_TAG]} if wanted.like else dict(wanted.tags)
    identity = [wanted.identity] if wanted.identity and wanted.identity not in own["identities"] else []
    return {
        **own, "boot": wanted.boot, "os": wanted.os, "firmware": wanted.firmware, "tags": own["tags"] | tags,
        "data": [attachment(each.disk, each.lun, each.caching) for each in wanted.data],
        "user_data": own["user_data"] if wanted.user_data is None else wanted.user_data,
        "identities": own["identities"] + identity,
    }  # fmt: skip


def built_document(held: MemoryMachine, boot: str) -> Document:
    """The document of a machine that MemoryHomeMachines has built, which boots from the disk `boot`."""
    machine = held.machine
    return {
        "id": f"machine/{machine.name}", "tags": dict(machine.tags), "size": held.size, "os": machine.os,
        "firmware": machine.firmware, "boot": boot, "caching": "", "user_data": machine.user_data,
        "identities": [machine.identity] if machine.identity else [],
        "data": [attachment(each.name, each.lun) for each in machine.disks],
    }  # fmt: skip


def attachment(disk: str, lun: int, caching: str = "") -> Document:
    return {"disk": disk, "lun": lun, "caching": caching}


def disks_in(document: Document) -> list[str]:
    return [document["boot"], *(each["disk"] for each in document["data"])]


def copied(value: Any) -> Any:  # noqa: ANN401 - what JSON has
    if isinstance(value, dict):
        return {name: copied(each) for name, each in value.items()}
    return [copied(each) for each in value] if isinstance(value, list) else value


def without_ours(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if not name.startswith(f"{PREFIX}:")}


def check_maker(name: str, found: Mapping[str, str], tags: Mapping[str, str]) -> None:
    if any(found.get(tag) != tags.get(tag) for tag in (RUN_TAG, SERVER_TAG)):
        refuse(f"There's a {name} already, and something else made it. Rename it, or choose another name.")


def changed(what: str) -> NoReturn:
    message = f"{what} isn't there any more, or isn't what it was."
    raise OriginalChanged(message)


def refuse(message: str) -> NoReturn:
    raise CloudRefused(message)
