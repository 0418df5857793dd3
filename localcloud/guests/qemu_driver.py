"""Real machines of the embedded homes: QEMU on the very files of its disks, which keep what the guest writes."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from localcloud.guests.guest import GuestDriver
from localcloud.guests.home_machine import qemu_machine
from localcloud.guests.surroundings import metadata_forward
from localcloud.machines.firmware import check_packages, find_uefi
from localcloud.machines.qemu import LOOK_EVERY, Machine
from localcloud.machines.spec import check_spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from localcloud.guests.guest import Guest, Surroundings
    from localcloud.machines.spec import Forward
    from localcloud.tokens import TokenSigner

# Emulated machines that two cores carry at once without each other's time-outs being in danger.
MOST = 2


class QemuDriver(GuestDriver):
    """Starts QEMU.

    At most `most` machines compute at once. A further one is on but waits for a place, as its console says: a start
    that fails for want of room would be an error that the cloud behind a run doesn't have.
    """

    def __init__(
        self,
        folder: Path,
        *,
        forwards: Sequence[Forward] = (),
        surroundings: Surroundings = lambda _spec: (),
        most: int = MOST,
        signer: TokenSigner | None = None,
    ) -> None:
        super().__init__(folder, forwards=forwards, surroundings=surroundings, signer=signer)
        self._most = most
        self._places = threading.Semaphore(most)

    def check(self, guest: Guest) -> None:
        """Refuse disks, LUNs or addresses that can't be, and programs that aren't installed."""
        check_packages()
        if guest.spec.firmware == "uefi":
            find_uefi()
        check_spec(qemu_machine(guest.spec, self.reach(guest.spec)))

    def live(self, guest: Guest, metadata_url: str) -> None:
        """Run QEMU until the guest powers itself off or is stopped."""
        with self._place(guest) as mine:
            if not mine:
                return
            spec = qemu_machine(guest.spec, (metadata_forward(metadata_url), *self.reach(guest.spec)))
            with Machine(spec, folder=guest.folder) as machine:
                while machine.is_running and not guest.stopping.wait(LOOK_EVERY):
                    pass
                if machine.errors and not guest.console_file.stat().st_size:
                    guest.say(machine.errors)

    @contextmanager
    def _place(self, guest: Guest) -> Iterator[bool]:
        """A place among those that compute; False if the machine was stopped before there was one."""
        mine = self._places.acquire(blocking=False)
        if not mine:
            guest.say(f"The embedded cloud lets {self._most} machines compute at once; this one waits.")
        while not mine and not guest.stopping.is_set():
            mine = self._places.acquire(timeout=LOOK_EVERY)
        try:
            yield mine
        finally:
            if mine:
                self._places.release()
