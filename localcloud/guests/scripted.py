"""Scripted machines of the embedded homes: no processor, but a real one's reads of disks, requests and marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from localcloud.guests.boot_look import BootStopped, follow_boot
from localcloud.guests.guest import GuestDriver
from localcloud.guests.home_machine import cloud_of
from localcloud.guests.scripted_agent import ScriptedAgent, SwitchedOff
from localcloud.guests.scripted_calls import ScriptedCalls
from localcloud.guests.scripted_workload import PANIC, be_workload
from localcloud.workload.marker import read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from localcloud.guests.client import ClientTask
    from localcloud.guests.guest import Guest, Surroundings
    from localcloud.guests.home_machine import MachineSpec
    from localcloud.guests.scripted_workload import WorkloadBehaviour
    from localcloud.machines.spec import Forward
    from localcloud.tokens import TokenSigner

    Client = Callable[[ClientTask], bool]

Behaviour = Literal["works", "silent", "panics", "no-boot"]
_NO_DEVICE = "Booting from Hard Disk...\nBoot failed: not a bootable disk\n\nNo bootable device."


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """How a machine behaves: by `behaviour` if it boots a client's disk, by `workload` if it's a server's own.

    `delay` is seconds before each of the agent's marks. `silent`: on, and nothing on its console. `panics`: the
    kernel's words, no mark. `no-boot`: as if the disk had no boot code. All three stay on. `fails_at` is the mark in
    whose place the agent says that it failed. `client` is run in the client's place, in the machine's own thread: it
    gives True when the server was launched, False when it ended because the machine was turned off, and raises
    ClientFailed. Without one the client is done as soon as it runs.
    """

    behaviour: Behaviour = "works"
    fails_at: str = ""
    delay: float = 0.0
    client: Client | None = None
    workload: WorkloadBehaviour = "works"


class ScriptedDriver(GuestDriver):
    """Starts scripted machines; `plan` may be a function that gives each machine its own."""

    def __init__(
        self,
        folder: Path,
        *,
        plan: GuestPlan | Callable[[MachineSpec], GuestPlan] = GuestPlan(),
        forwards: Sequence[Forward] = (),
        surroundings: Surroundings = lambda _spec: (),
        signer: TokenSigner | None = None,
    ) -> None:
        super().__init__(folder, forwards=forwards, surroundings=surroundings, signer=signer)
        self._plan = plan

    def check(self, guest: Guest) -> None:
        """Nothing that a machine couldn't start with: what's wrong shows on its console."""

    def live(self, guest: Guest, metadata_url: str) -> None:
        """Boot as planned; what doesn't end by a power-off stays on until it's stopped."""
        plan = self._plan if isinstance(self._plan, GuestPlan) else self._plan(guest.spec)
        try:
            self._boot(guest, plan, metadata_url)
        except BootStopped as stopped:
            for line in str(stopped).splitlines():
                guest.write(line)
            guest.stopping.wait()
        except SwitchedOff:
            return

    def _boot(self, guest: Guest, plan: GuestPlan, metadata_url: str) -> None:
        record = read_record(guest.spec.os_disk.path)
        if record is not None:
            be_workload(guest, record, plan.workload)
            return
        if plan.behaviour == "silent":
            raise BootStopped
        if plan.behaviour == "no-boot":
            raise BootStopped(_NO_DEVICE)
        disk = follow_boot(guest.spec.os_disk.path, guest.spec.firmware)
        if plan.behaviour == "panics":
            raise BootStopped(PANIC)
        ScriptedAgent(
            guest, disk, ScriptedCalls(metadata_url, self.reach(guest.spec), cloud=cloud_of(guest.spec)), plan
        ).run()
