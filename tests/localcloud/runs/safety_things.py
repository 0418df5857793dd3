"""Things at a home as recorded calls have them: whose they are, a machine's disks, a machine that's taken over.

Nothing here is of one cloud: safety_azure.py and safety_google.py say the same of both in these words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from failback.model.original import Original
    from failback.model.server import ServerPlan
    from localcloud.recording import RecordedCall
    from tests.localcloud.runs.safety_trace import Whose

Json = Any
MACHINE, DISK, SNAPSHOT = "machine", "disk", "snapshot"
Verb = Literal["make", "change", "remove", "start", "act"]


@dataclass(frozen=True, slots=True)
class Made:
    """Whose something is that was made in the recording; `handed_over`: it's the server's own by now."""

    run: str
    server: str
    handed_over: bool = False

    @property
    def whose(self) -> Whose:
        return self.run, self.server


@dataclass(frozen=True, slots=True)
class Held:
    """A disk in a machine: its id, and the name by which it's taken out; `goes`: it's removed with the machine."""

    disk: str
    boot: bool = False
    device: str = ""
    goes: bool = False


@dataclass(frozen=True, slots=True)
class Stand:
    """A machine's disks; what it boots from is empty where that isn't known, or where it's been taken out."""

    held: tuple[Held, ...] = ()

    @property
    def boot(self) -> str:
        return next((each.disk for each in self.held if each.boot), "")

    @property
    def data(self) -> frozenset[str]:
        return frozenset(each.disk for each in self.held if not each.boot)

    @property
    def disks(self) -> frozenset[str]:
        return self.data | {self.boot}


@dataclass(frozen=True, slots=True)
class Taken:
    """A machine that a run takes over: who does, what's planned, how it was, and all that was there of it."""

    whose: Whose
    plan: ServerPlan
    original: Original
    stand: Stand
    things: frozenset[str]

    @property
    def disks(self) -> frozenset[str]:
        return frozenset(each.id.lower() for each in self.original.disks)


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that changes something at home.

    `tags` are the runs' own by our names for them, None where nothing is said of tags; `storage` gives how a machine's
    disks stand afterwards; `source` is what a snapshot is of. `with_it` is handed over as soon as the thing is.
    """

    call: RecordedCall
    id: str
    kind: str
    verb: Verb
    tags: Mapping[str, str] | None = None
    storage: Callable[[Stand], Stand] | None = None
    source: str = ""
    with_it: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.id.rpartition("/")[2]

    @property
    def number(self) -> int:
        return self.call.number


class Reading(Protocol):
    """What one home's calls and documents say."""

    def asked(self, call: RecordedCall) -> Asked | None:
        """What a call asks for; None for one that only looks, or that's another cloud's."""

    def stand(self, original: Original) -> Stand:
        """The disks of a machine that was there before."""

    def things(self, original: Original) -> frozenset[str]:
        """The machine, its disks, and what else of it was there before."""
