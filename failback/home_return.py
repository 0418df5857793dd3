"""Giving a server back at home: the machine that was taken over is what it was again, then what the run made goes.

A server that may serve at home already stays there, whatever becomes of the rest: only a person's word removes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from failback.model.decision import WHOLE_RUN, wave_scope
from failback.model.ending import Belonging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from failback.clearing import Clearing, Cloud
    from failback.model.decision import Decision
    from failback.model.original import Original, OriginalDisk
    from failback.model.recovery import RecoveryInstance
    from failback.model.server import ServerRecord
    from failback.takeover_ports import HomeTakeovers

SERVES = (
    "the server was started here: it may serve already, with data that its recovery instance doesn't have. Remove it "
    "only when you're sure that nobody needs that; the decision to give it back and to discard does so, too"
)
UNSEEN = (
    "the server was started here, and DRS doesn't say whether its failback is completed. Look it up in DRS's console; "
    "remove it only when you're sure that nobody needs what it holds"
)
SNAPSHOT = "snapshot"
"""The kind of belonging that it is."""
OVERWRITTEN = (
    "the original's own disks were written to, as was asked for, and only the snapshots hold what was on them before: "
    "make disks of them if that's needed, or remove them"
)
NOT_RESTORED = "it may be attached to a machine that couldn't be put back as it was: put that back first"


@dataclass(frozen=True, slots=True)
class HomeSide:
    """What giving servers back takes of the home; getting in may fail by itself, each time."""

    belongings: Cloud
    takeovers: Callable[[], HomeTakeovers]


def why_kept(record: ServerRecord, instance: RecoveryInstance | None, decisions: Iterable[Decision]) -> str:
    """Why a server's things at home stay; empty where they don't.

    Until the server itself was started, nobody can have used it. `instance` is what DRS says, None where it doesn't.
    """
    if record.milestones.started is None or _is_discarded(record, decisions):
        return ""
    if instance is None:
        return UNSEEN
    return SERVES if instance.failback_state == "FAILBACK_COMPLETED" else ""


def _is_discarded(record: ServerRecord, decisions: Iterable[Decision]) -> bool:
    """Whether the last word of a person on the server was to give it back, whatever it holds."""
    scopes = {record.id, WHOLE_RUN, *([wave_scope(record.plan.wave)] if record.plan else [])}
    said = [each for each in decisions if each.subject in {"commit", "hold"} and each.scope in scopes]
    return bool(said) and said[-1].verdict == "give_back" and said[-1].discard


def return_home(
    server: str, original: Original | None, home: HomeSide, clearing: Clearing, *, kept: str, overwritten: bool = False
) -> bool:
    """Begin or continue; True once nothing is left to be done here.

    A machine that can't be put back keeps what it may be made of; both are told. Where the original's own disks were
    written to, their snapshots stay: nothing else holds what was on them.
    """
    before = len(clearing.waiting)
    if original is not None and not _put_back(original, home, clearing, kept=kept):
        if len(clearing.waiting) > before:
            return False
        kept = kept or NOT_RESTORED
    spare = {SNAPSHOT: OVERWRITTEN} if overwritten else {}
    clearing.clear(home.belongings, server=server, keep=kept, spare=spare)
    return len(clearing.waiting) == before


def _put_back(original: Original, home: HomeSide, clearing: Clearing, *, kept: str) -> bool:
    """Whether the machine is what it was before the run."""
    thing = Belonging(cloud=home.belongings[0], kind="original", id=original.id, name=original.name)
    command = restore_command(original, clearing.run)
    if kept:
        clearing.leave(thing, kept, command)
        return False
    if not clearing.in_time:
        clearing.waiting.append(thing)
        return False
    restored = clearing.undo(thing, partial(_restore, home, original), command)
    if restored is False:
        clearing.waiting.append(thing)
    return bool(restored)


def _restore(home: HomeSide, original: Original) -> bool:
    return home.takeovers().restore(original)


def restore_command(original: Original, run: str) -> str:
    """What a person goes by who puts a machine back: its disks in order, and where the rest of it is written down."""
    boot, *data = original.disks
    disks = "".join(f", {_at_its_unit(each)}" for each in data)
    power = "start it" if original.running else "leave it off"
    return (
        f"turn {original.name} off, let it boot from {boot.name}{disks}, put back what 'failback report {run} --format "
        f"json' has as its before-image (record.before.original.document), and {power}"
    )


def _at_its_unit(disk: OriginalDisk) -> str:
    """With how it was attached, which is the home's own word."""
    return f"{disk.name} at unit {disk.lun}" + (f" ({disk.caching})" if disk.caching else "")
