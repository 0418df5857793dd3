"""What the domain asks of a home about machines that are taken over, put together anew, and handed over at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.model.guest import GuestOs
    from failback.model.original import Original
    from failback.model.recovery import Firmware
    from failback.model.run import HomeImage


@dataclass(frozen=True, slots=True)
class Attachment:
    """A disk by its name, at unit `lun` (a home that numbers none takes it as the order).

    `caching` is how it's attached, in the home's own word, as `find` has told it of the machine's own disks: a cache,
    or the name that the guest finds it by. Empty is no cache, and the disk's own name.
    """

    disk: str
    lun: int
    caching: str = ""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How a machine is to be put together: what it boots from, its data disks, what it's told, whether it runs.

    `boot` and the attachments name disks that are there. `user_data` is plain text, `identity` one of the home's,
    which it gets besides its own ones, or instead where a machine has but one. `like` is how a machine that was taken
    over stood before: everything that this doesn't say is as it is there, its own user data included where `user_data`
    is None. Without `like`, None is no user data, and a machine that isn't there is made, of size `size` (empty: the
    home's choice). `os` is what the boot disk holds, `firmware` what it boots by.
    """

    machine: str
    boot: str
    os: GuestOs
    firmware: Firmware
    running: bool
    tags: Mapping[str, str]
    data: tuple[Attachment, ...] = ()
    user_data: str | None = None
    identity: str = ""
    size: str = ""
    like: Original | None = None


@dataclass(frozen=True, slots=True)
class DiskCopy:
    """A copy to be made of a disk (`source` is its resource id), by way of a snapshot; both carry `tags`.

    Everything that can't be changed later is as it is with the source. With an empty `name` the snapshot is all that's
    made: the source itself will be written to, and this is the way back.
    """

    source: str
    name: str
    snapshot: str
    tags: Mapping[str, str]
    sku: str = ""


@dataclass(frozen=True, slots=True)
class ClientDisk:
    """A copy to be made of the client image, for a machine that runs `os` and boots by `firmware`.

    `like` is the machine, where it was taken over: the disk is made where that one is.
    """

    name: str
    image: HomeImage
    os: GuestOs
    firmware: Firmware
    tags: Mapping[str, str]
    like: Original | None = None


class HomeTakeovers(Protocol):
    """Machines as wholes. Nothing waits: called again with the same, everything goes on or finds its work done."""

    def find(self, name: str) -> Original | None:
        """The machine as it stands now, whoever made it; None if there's none."""
        ...

    def power_off(self, name: str) -> bool:
        """Turn it off, so that its disks can be exchanged; True once it is. One that isn't there is off."""
        ...

    def copy(self, copies: Sequence[DiskCopy]) -> bool:
        """Make snapshots, and disks of them; True once all are there. None is made of one that has another maker."""
        ...

    def client_disk(self, disk: ClientDisk) -> bool:
        """Make a disk that boots the client; True once it's there."""
        ...

    def arrange(self, wanted: Arrangement) -> bool:
        """Put a machine together so, step by step, off while it's changed; True once it stands (and runs) so.

        Raises CloudRefused where a disk is another machine's that isn't off, or another run's.
        """
        ...

    def restore(self, before: Original) -> bool:
        """Make a machine again what it was, its whole document and power; True once it is. Disks aren't removed."""
        ...

    def hand_over(self, name: str, *, run: str) -> bool:
        """Let a machine with its disks and interfaces be nobody's run's any more; True once none of it has our tag."""
        ...


@dataclass(frozen=True, slots=True)
class Signs:
    """What a home sees of a machine from outside: `agent` is what its guest agent says (None: nothing)."""

    running: bool
    address: str = ""
    agent: str | None = None
    console: str = ""


class HomeSigns(Protocol):
    """Signs of life."""

    def look(self, name: str) -> Signs:
        """What can be seen now."""
        ...


class Probes(Protocol):
    """Looks from where the stage runs."""

    def tcp(self, address: str) -> str:
        """Connect to "host:port"; empty on success, or else what went wrong."""
        ...

    def http(self, url: str) -> str:
        """Get a URL; empty where its status is below 400, or else what came."""
        ...


class Hooks(Protocol):
    """Functions of the customer's that a run calls."""

    def call(self, function: str, event: Mapping[str, object]) -> Mapping[str, object]:
        """Call one and wait for its answer (an object in JSON); raises CloudRefused with what it failed with."""
        ...
