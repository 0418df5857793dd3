"""A server's own system as a script: what localcloud/workload says on a real machine, up to the login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from localcloud.guests.boot_look import BootStopped, no_device
from localcloud.workload.layout import NO_NONCE, PROMPT, UP

if TYPE_CHECKING:
    from localcloud.guests.guest import Guest
    from localcloud.workload.layout import Record

WorkloadBehaviour = Literal["works", "silent", "panics"]
"""`works`: it says its nonce, shows a login, and its agent is ready. `silent`: on, and not a word. `panics`: no more
than the kernel's words. All three stay on."""
AGENT_READY = "Ready"
"""What the cloud's agent says of a machine that's up."""
PANIC = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
TIMES = 3
_KERNEL = (
    "Loading The workload",
    "[    0.000000] Linux version 6.1.0 (a scripted machine's)",
    "[    1.000000] Run /init as init process",
)


def be_workload(guest: Guest, record: Record, behaviour: WorkloadBehaviour) -> None:
    """Be that system until the machine is turned off; raises BootStopped where the boot ends before."""
    if record.firmware != guest.spec.firmware:
        raise BootStopped(no_device(guest.spec.firmware))
    if behaviour == "silent":
        raise BootStopped
    for line in _KERNEL:
        guest.write(line)
    if behaviour == "panics":
        raise BootStopped(PANIC)
    for _ in range(TIMES):
        guest.write(f"{UP}{record.nonce or NO_NONCE}")
    guest.write(PROMPT)
    guest.agent = AGENT_READY
    guest.stopping.wait()
