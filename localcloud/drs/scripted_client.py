"""The client of scripted machines: woken by the emulator when there is work, so that it needn't look often."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from localcloud.drs.client import PAUSE, FailbackClient
from localcloud.drs.client_calls import DoorCalls

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from localcloud.drs.service import DrsService
    from localcloud.guests.client import ClientTask

# A machine that's turned off ends within that many seconds.
_STOP_LOOK = 0.1


def scripted_client(
    drs: DrsService, *, door_url: str, replication_port: int, pause: float = PAUSE
) -> Callable[[ClientTask], bool]:
    """What a GuestPlan takes as its `client`, for any recovery instance of that DRS."""

    def run(task: ClientTask) -> bool:
        door = DoorCalls(door_url, task.settings.region or drs.world.region, task.credentials)
        found = drs.world.get(str(task.settings.recovery_instance))
        idle = _waiting(found.bell, task.stopping) if found is not None else None
        return FailbackClient(task, door, replication_port, pause, idle).run()

    return run


def _waiting(bell: threading.Event, stopping: threading.Event) -> Callable[[float], None]:
    def wait(seconds: float) -> None:
        end = time.monotonic() + seconds
        while not stopping.is_set() and (left := end - time.monotonic()) > 0:
            if bell.wait(min(left, _STOP_LOOK)):
                bell.clear()
                return

    return wait
