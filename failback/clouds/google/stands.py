"""How a machine is to stand: what an arrangement asks for, or how it stood before, as its document has it.

Compute Engine has no units. A guest finds a disk by its device name (`/dev/disk/by-id/google-NAME`), so what the home
calls an attachment's `caching` is the device name here; without one the disk's own name is taken, which is what a
client's settings name. `lun` gives the order in which disks are attached, and with it their indexes: an original's
disk has its index for a LUN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.clouds.google.labels import label_value, labels_of
from failback.clouds.google.machine_body import LOGGING, account, told
from failback.clouds.google.machine_look import Account, Slot, account_of, metadata_of, path_of, slots_of
from failback.clouds.google.owners import TAKEN_LABEL, ours, without_ours
from failback.model.agent import GOOGLE_ATTRIBUTE
from failback.naming import RUN_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.clouds.google.machine_look import Machine
    from failback.model.original import Original
    from failback.takeover_ports import Arrangement, Attachment

_TOLD = (GOOGLE_ATTRIBUTE, LOGGING)


@dataclass(frozen=True, slots=True)
class Stand:
    """What's brought about: `slots` in order, what it boots from first; `machine_type` is a path (empty: any)."""

    slots: tuple[Slot, ...]
    metadata: Mapping[str, str]
    account: Account
    labels: Mapping[str, str]
    running: bool
    machine_type: str = ""

    @property
    def taken(self) -> bool:
        """Whether the machine isn't the run's own."""
        return TAKEN_LABEL in self.labels


def stand_wanted(wanted: Arrangement, present: Machine, paths: Mapping[str, str]) -> Stand:
    """What an arrangement asks of a machine that's there; `paths` are the disks' by their names."""
    own = wanted.like.document if wanted.like else {}
    kept = {name: value for name, value in metadata_of(own).items() if name in _TOLD}
    others = {name: value for name, value in present.metadata.items() if name not in _TOLD}
    return Stand(
        slots=slots_wanted(wanted, paths),
        metadata={**others, **kept, **told(wanted.user_data)},
        account=account(wanted.identity) if wanted.identity else account_of(own),
        labels=_labels_wanted(wanted, present),
        running=wanted.running,
        machine_type=path_of(str(own.get("machineType") or "")),
    )


def slots_wanted(wanted: Arrangement, paths: Mapping[str, str]) -> tuple[Slot, ...]:
    """The disks of an arrangement as they're attached: none goes with the machine but what always did."""
    own = slots_of(wanted.like.document) if wanted.like else []
    data = [_slot(each, paths, own) for each in sorted(wanted.data, key=lambda each: each.lun)]
    device = next((each.device for each in own if each.boot), wanted.boot)
    if device in {each.device for each in data}:
        # The original's own boot disk, attached as data while the client overwrites it, keeps that name.
        device = wanted.boot
    boot = Slot(paths[wanted.boot], device, boot=True)
    return (_as_before(boot, own), *data)


def stand_before(before: Original, present: Machine) -> Stand:
    """How a machine stood. Labels that aren't ours are what they are by now."""
    document = before.document
    labels = document.get("labels") or {}
    assert isinstance(labels, dict)
    return Stand(
        slots=tuple(slots_of(document)),
        metadata=metadata_of(document),
        account=account_of(document),
        labels={**without_ours(present.labels), **ours({name: str(value) for name, value in labels.items()})},
        running=before.running,
        machine_type=path_of(str(document.get("machineType") or "")),
    )


def _slot(attachment: Attachment, paths: Mapping[str, str], own: list[Slot]) -> Slot:
    return _as_before(Slot(paths[attachment.disk], attachment.caching or attachment.disk), own)


def _as_before(slot: Slot, own: list[Slot]) -> Slot:
    """The machine's own slot where this is one, or else it as it is: a disk of the run's never goes with a machine."""
    same = ((each.disk, each.device, each.boot) == (slot.disk, slot.device, slot.boot) for each in own)
    return next((each for each, is_same in zip(own, same, strict=True) if is_same), slot)


def _labels_wanted(wanted: Arrangement, present: Machine) -> dict[str, str]:
    if wanted.like is None:
        return {**present.labels, **labels_of(wanted.tags)}
    before = wanted.like.document.get("labels") or {}
    assert isinstance(before, dict)
    own = ours({name: str(value) for name, value in before.items()})
    return {**without_ours(present.labels), **own, TAKEN_LABEL: label_value(wanted.tags[RUN_TAG])}
