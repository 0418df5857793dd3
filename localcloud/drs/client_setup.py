"""How a failback client sets out: link, mapping of volumes, certificate, and the steps that it reports."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from localcloud.drs.client_values import Values, objects, text, whole, word
from localcloud.drs.plans import LINK, MAPPING, REPORTED_STEPS
from localcloud.drs.records import GIB, ClientLink, DiskProgress
from localcloud.drs.refusal import conflict, invalid
from localcloud.drs.states import IN_PROGRESS

if TYPE_CHECKING:
    from localcloud.drs.events import FailbackEvents
    from localcloud.drs.jobs import Jobs
    from localcloud.drs.records import RecoveryInstance
    from localcloud.drs.world import World

EXCLUDE = "EXCLUDE"
_PORT = "1500"


class ClientSetup:
    """The client's calls up to replication; `issued` takes whose each certificate is."""

    def __init__(self, world: World, jobs: Jobs, events: FailbackEvents, issued: dict[str, str]) -> None:
        self._world, self._jobs, self._events, self._issued = world, jobs, events, issued

    def associate(self, values: Values) -> Values:
        """Link a client; a link that was there is its forerunner's and ends."""
        instance = self._world.find(text(values, "recoveryInstanceID"))
        local = {text(disk, "deviceName"): whole(disk, "bytes") for disk in objects(values, "disks")}
        if self._jobs.of(instance) is not None:
            raise conflict(instance.id, f"Recovery instance {instance.id} is being launched")
        now, original = self._world.clock(), instance.plan.original
        for name, volume in instance.volumes.items():
            if not any(_fits(volume.size, size, original=original) for size in local.values()):
                raise invalid(field="disks", message=f"has no disk that volume {name} of {volume.size} bytes fits on")
        link = ClientLink(
            client=secrets.token_hex(16),
            original=original,
            started=now,
            seen=now,
            local=local,
            hardware=text(values, "hardware"),
        )
        instance.link, instance.failback_job = link, None
        instance.agent_seen = now
        self._events.note(instance, IN_PROGRESS)
        self._end_step(instance, link, LINK)
        return {"failbackClientID": link.client, "originalServer": word(original)}

    def map(self, values: Values) -> Values:
        """Which local disk takes which volume."""
        instance, link = self._linked(values)
        mapping = {text(each, "recoveryInstanceDeviceName"): each for each in objects(values, "mapping")}
        if len(mapping) != len(values["mapping"]) or set(mapping) != set(instance.volumes):
            raise invalid(field="mapping", message=f"must name each of {', '.join(instance.volumes)} once")
        targets = [name for each in mapping.values() if (name := text(each, "failbackClientDeviceName")) != EXCLUDE]
        if len(set(targets)) != len(targets):
            raise invalid(field="mapping", message="names a disk of the client twice")
        disks = {}
        for device, each in mapping.items():
            if each["failbackClientDeviceName"] == EXCLUDE:
                continue
            size, wanted = link.local.get(each["failbackClientDeviceName"], 0), instance.volumes[device].size
            if not _fits(wanted, min(size, whole(each, "bytes")), original=link.original):
                raise invalid(
                    field="mapping",
                    message=f"gives volume {device} of {wanted} bytes a disk that's too small or isn't there",
                )
            disks[device] = DiskProgress(wanted)
        link.disks = disks
        self._end_step(instance, link, MAPPING)
        return {}

    def issue(self, values: Values) -> Values:
        """A certificate, and the address to replicate from."""
        instance, link = self._linked(values)
        if link.steps[MAPPING] != "SUCCEEDED":
            raise conflict(instance.id, "The volumes aren't mapped yet")
        private = instance.configuration.use_private
        address = instance.private_address if private else instance.public_address
        if address is None:
            kind = "private" if private else "public"
            raise invalid(
                field="recoveryInstanceID",
                message=f"names a recovery instance without a {kind} address, see usePrivateIP",
            )
        link.certificate = secrets.token_hex(32)
        self._issued[link.certificate] = instance.id
        return {"certificate": link.certificate, "address": address, "port": _PORT}

    def report_step(self, instance: RecoveryInstance, link: ClientLink, values: Values) -> Values:
        """One of the steps that only the client sees."""
        step, status = text(values, "step"), text(values, "status")
        if step not in REPORTED_STEPS or status not in {"SUCCEEDED", "FAILED"}:
            raise invalid(field="step", message="must be one that the client takes, with status SUCCEEDED or FAILED")
        if link.steps[step] == status:
            # Told again, since the answer was lost.
            return {}
        if link.steps[step] not in {"IN_PROGRESS", "FAILED"}:
            raise conflict(instance.id, f"Step {step} is {link.steps[step]}, it isn't its turn")
        if status == "FAILED":
            link.fail(step, text(values, "rawError") or "The client gave no reason")
        else:
            self._end_step(instance, link, step)
        return {}

    def _end_step(self, instance: RecoveryInstance, link: ClientLink, step: str) -> None:
        raw = instance.plan.fail_step.get(step)
        if raw is not None:
            link.fail(step, raw)
            raise conflict(instance.id, raw)
        link.done(step)

    def _linked(self, values: Values) -> tuple[RecoveryInstance, ClientLink]:
        instance = self._world.find(text(values, "recoveryInstanceID"))
        if instance.link is None or instance.link.steps[LINK] != "SUCCEEDED":
            raise conflict(instance.id, "No failback client is linked with the recovery instance")
        instance.link.seen = instance.agent_seen = self._world.clock()
        return instance, instance.link


def _fits(volume: int, disk: int, *, original: bool) -> bool:
    """The original's disks may lack what EBS rounded up to whole GiB."""
    return disk >= volume or (original and -(-disk // GIB) * GIB >= volume)
