"""A machine at home that a run takes over without having made it, as it was before the first change."""

from __future__ import annotations

from pydantic import Field, JsonValue

from failback.model.facts import Facts
from failback.model.guest import GuestOs
from failback.model.recovery import Firmware


class OriginalDisk(Facts):
    """A disk of it: name, resource id, size in GiB and kind; at unit `lun`, or what it boots from (None).

    `caching` is how it's attached, in the home's own word: its cache, or the name that the guest finds it by.
    """

    name: str
    id: str
    size_gib: int
    lun: int | None = None
    sku: str = ""
    caching: str = ""


class Original(Facts):
    """The machine: its private address, its disks (the one it boots from first), whether it runs, its zone (if any).

    `obstacles` says, each in a sentence for a person, what keeps it from booting the client itself; `barriers` what
    keeps replicated disks from ever being put into it. `document` is all that the home said of it: what's put back.
    """

    name: str
    id: str
    os: GuestOs
    firmware: Firmware
    running: bool
    address: str
    size: str
    zone: str = ""
    disks: tuple[OriginalDisk, ...]
    obstacles: tuple[str, ...] = ()
    barriers: tuple[str, ...] = ()
    document: dict[str, JsonValue] = Field(default_factory=dict)
