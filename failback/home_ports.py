"""What the domain asks of a home: where client images go to, and machines boot from them; no SDK's types here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import JsonValue

    from failback.errors import FailbackError
    from failback.model.recovery import Firmware
    from failback.model.run import HomeImage
    from failback.model.server import GuestOs
    from failback.ports import Belongings, Clock
    from failback.takeover_ports import HomeSigns, HomeTakeovers


class ImageContent(Protocol):
    """A client image to be brought home: a disk with its footer or other dress, as the home takes it."""

    @property
    def size(self) -> int:
        """Bytes, footer included."""
        ...

    def ranges(self, first: int = 0) -> Iterator[tuple[int, int]]:
        """(offset, length) of what may hold data, in order, from `first` on, 4 MiB each at most; the rest is zeros."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """That range; may be called by many threads at once."""
        ...


@dataclass(frozen=True, slots=True)
class ImageImport:
    """A step of bringing an image home: `image` once it's there, else where to go on; `sent` of `total` bytes."""

    image: HomeImage | None
    cursor: Mapping[str, JsonValue]
    sent: int
    total: int
    wait_seconds: int = 0


class HomeImages(Protocol):
    """Client images at home. Called again with the same arguments, everything goes on or finds its work done."""

    def format(self) -> Literal["vhd", "gce"]:
        """What a home takes."""
        ...

    def find(self, key: str) -> HomeImage | None:
        """The whole image with that key; one that's still being imported isn't there yet."""
        ...

    def advance(
        self, key: str, content: ImageContent, *, cursor: Mapping[str, JsonValue], tags: Mapping[str, str]
    ) -> ImageImport:
        """Import, a bounded slice: an empty `cursor` begins. No signature is kept; only CloudBusy leaves it open."""
        ...

    def note_test(self, image: HomeImage, mark: str) -> HomeImage:
        """Keep with the image that a machine has booted from it, and what its agent said."""
        ...


MachineState = Literal["absent", "building", "running", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class DataDisk:
    """A blank disk to be made and attached at unit `lun`: `size_gib`, of the kind `sku` (empty: the target's own).

    Where a home numbers no units, `lun` is the order alone, and the guest finds the disk by `name`. `os` and `firmware`
    are given for the disk that a machine will boot from one day: a home can't change them later.
    """

    name: str
    size_gib: int
    lun: int
    sku: str = ""
    os: GuestOs | None = None
    firmware: Firmware | None = None


@dataclass(frozen=True, slots=True)
class MachineToBuild:
    """A machine named so, booted from a copy of `image` by BIOS or UEFI, told `user_data` (plain text).

    `os` is what its client disk is said to hold: a home exchanges boot disks of one kind only. `identity` is the
    one that it gets, in the home's word for one (a resource id, an e-mail address), `size` its size; empty ones are
    none, and the home's choice.
    """

    name: str
    image: HomeImage
    firmware: Firmware
    user_data: str
    tags: Mapping[str, str]
    disks: tuple[DataDisk, ...] = ()
    os: GuestOs = "linux"
    identity: str = ""
    size: str = ""


@dataclass(frozen=True, slots=True)
class MachineNeeds:
    """What a machine needs of its size: processors, GiB of memory, disks besides the boot disk; `size` is a wish."""

    firmware: Firmware
    disks: int
    cpus: int = 1
    memory_gib: float = 8.0
    size: str = ""


class HomeMachines(Protocol):
    """Machines at home. Nothing waits: each call begins or continues what it can and says how things stand."""

    def offer(self, needs: MachineNeeds) -> str:
        """The size that suits best; raises CloudRefused that says why none does."""
        ...

    def address(self, name: str, *, tags: Mapping[str, str]) -> str:
        """The private address of the machine's interface, which is made if it isn't there; empty while it's made."""
        ...

    def build(self, machine: MachineToBuild) -> MachineState:
        """Make the machine, its disks and its interface, step by step with each call, and start it."""
        ...

    def tell(self, name: str, user_data: str) -> None:
        """Give a machine that's there other settings (plain text); they're to be read in it at once."""
        ...

    def state(self, name: str) -> MachineState:
        """How it stands; `stopped` also where the guest has turned itself off."""
        ...

    def console(self, name: str) -> str:
        """What it has written to its serial port; empty while there's nothing yet."""
        ...

    def remove(self, name: str) -> bool:
        """Remove the machine with its disks and interface, as far as they're ours; True once all of it is gone."""
        ...


@dataclass(frozen=True, slots=True)
class WayIn:
    """What a home's adapter needs to get in: an identity token from AWS, or a stored secret; and where the home is.

    `token` takes an audience and gives a fresh web identity token of the stage's own role; `secret` takes a secret's
    ARN. `endpoints` are URLs by names that the home's adapter knows, empty or missing for the real cloud; `slice_mib`
    bounds what one call brings home.
    """

    token: Callable[[str], str]
    secret: Callable[[str], str]
    endpoints: Mapping[str, str]
    clock: Clock
    slice_mib: int | None = None


class Home(Protocol):
    """Everything of one home; `failback.clouds.<home>.connection.connect(target, way_in)` gives it."""

    @property
    def images(self) -> HomeImages: ...

    @property
    def machines(self) -> HomeMachines: ...

    @property
    def takeovers(self) -> HomeTakeovers: ...

    @property
    def signs(self) -> HomeSigns: ...

    @property
    def belongings(self) -> Belongings: ...

    @property
    def foreign(self) -> tuple[type[Exception], ...]:
        """The SDK's errors, which `translate` puts into our own vocabulary."""
        ...

    def translate(self, error: Exception) -> FailbackError: ...
