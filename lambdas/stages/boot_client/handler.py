"""Boot client: a server's machine and disks at home, booted from the client image, with its way to AWS open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.client_machine import ClientWork, boot_client
from failback.doorway import stage_doorway
from lambdas.connections import Connections, connect

if TYPE_CHECKING:
    from failback.model.run import RunState
    from failback.model.stage import StageResult
    from failback.model.way_home import ClientCursor, ClientMachine


def boot(state: RunState, around: Connections) -> StageResult[ClientMachine, ClientCursor]:
    """The stage's work."""
    home = around.home(state)
    work = ClientWork(
        recovery=around.recovery,
        hosts=around.hosts,
        servers=around.servers,
        images=home.images,
        machines=home.machines,
        takeovers=home.takeovers,
        settings=around.settings,
    )
    return boot_client(state, work)


handler = stage_doorway("boot_client", boot, connect, stoppable=True)
