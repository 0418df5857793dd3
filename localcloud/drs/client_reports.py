"""What a failback client reports while it replicates, and what it asks for meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcloud.drs.client_values import Values, text, whole, word
from localcloud.drs.refusal import conflict, invalid
from localcloud.drs.states import COMPLETED

if TYPE_CHECKING:
    from localcloud.drs.events import FailbackEvents
    from localcloud.drs.jobs import Jobs
    from localcloud.drs.records import ClientLink, RecoveryInstance
    from localcloud.drs.world import World


class ClientReports:
    """The client's calls from the first byte to the launch."""

    def __init__(self, world: World, jobs: Jobs, events: FailbackEvents) -> None:
        self._world, self._jobs, self._events = world, jobs, events

    def progress(self, instance: RecoveryInstance, link: ClientLink, values: Values) -> Values:
        """How far a volume has come; answers with the bandwidth's limit."""
        disk = link.disks.get(text(values, "deviceName"))
        if disk is None:
            raise invalid(field="deviceName", message="isn't a mapped volume")
        names = ("replicatedStorageBytes", "rescannedStorageBytes", "backloggedStorageBytes")
        told = [whole(values, name) for name in names]
        if max(told) > disk.total:
            raise invalid(field="replicatedStorageBytes", message=f"is beyond the volume's {disk.total} bytes")
        disk.replicated, disk.rescanned, disk.backlogged = told
        now = self._world.clock()
        link.first_byte = link.first_byte or (now if disk.replicated or disk.rescanned else None)
        if link.attained is not None and not any(each.backlogged for each in link.disks.values()):
            link.consistent = now
        return {"throttle": str(instance.configuration.bandwidth)}

    def attained(self, instance: RecoveryInstance, link: ClientLink, _values: Values) -> Values:
        """Every volume is through, and what changed meanwhile."""
        if not all(status == "SUCCEEDED" for status in link.steps.values()):
            raise conflict(instance.id, "Not every initiation step has succeeded")
        now = self._world.clock()
        link.first_byte, link.attained, link.consistent = link.first_byte or now, link.attained or now, now
        return {}

    def launch_requested(self, instance: RecoveryInstance, _link: ClientLink, _values: Values) -> Values:
        """Whether it's to launch the server now."""
        return {"launchRequested": word(self._jobs.taken_up(instance))}

    def process_state(self, instance: RecoveryInstance, link: ClientLink, values: Values) -> Values:
        """The launch is done."""
        if text(values, "state") != "COMPLETED":
            raise invalid(field="state", message="must be COMPLETED")
        if link.outcome != "completed":
            if self._jobs.of(instance) is None:
                raise conflict(instance.id, "No launch was requested")
            link.outcome = "completed"
            self._jobs.settle(instance)
            self._events.note(instance, COMPLETED)
        return {}
