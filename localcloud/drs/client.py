"""A stand-in for the failback client, in Python: what scripted machines run; it speaks to the door and to port 1500.

It writes a recovery instance's volumes to the files of local disks and ends when the server is launched.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localcloud.drs.client_calls import DoorCalls, Refusal
from localcloud.drs.disk_copy import DiskCopier, LocalDisk, TurnedOff, look_around
from localcloud.drs.plans import REPORTED_STEPS
from localcloud.drs.port_calls import Line, PortCalls
from localcloud.guests.client import ClientFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.guests.client import ClientTask

PAUSE = 2.0
"""Seconds between two looks for something to do, as the real machine's client has them."""


@dataclass(slots=True)
class FailbackClient:
    """One start of the client; `idle` waits between two looks, for at most `pause` seconds, until there may be work."""

    task: ClientTask
    door: DoorCalls
    replication_port: int
    pause: float = PAUSE
    idle: Callable[[float], object] | None = None
    _instance: str = field(default="")
    _disks: list[LocalDisk] = field(default_factory=list)
    _original: bool = False

    def run(self) -> bool:
        """True when the server was launched, False when the machine was turned off; raises ClientFailed."""
        self._instance = str(self.task.settings.recovery_instance)
        try:
            address = self._introduce()
            with PortCalls(self.replication_port, self.task.address, address) as port:
                self._connect(port)
                copier = DiskCopier(self.task, port, self._tell, self._wait, self._original)
                self._copy_all(copier)
                self._follow(copier)
        except TurnedOff:
            return False
        except Refusal as refusal:
            raise ClientFailed(str(refusal)) from refusal
        return True

    def _introduce(self) -> str:
        """The signed calls; gives the address to replicate from."""
        me = {"recoveryInstanceID": self._instance}
        items = self.door.signed("DescribeRecoveryInstances", {"filters": {"recoveryInstanceIDs": [self._instance]}})
        if not items["items"]:
            message = f"There is no recovery instance {self._instance}"
            raise Refusal(message)
        volumes = {each["internalDeviceName"]: each["bytes"] for each in _volumes(items)}
        devices, files = self.task.devices, self.task.files
        sizes = {devices[volume]: files[volume].stat().st_size for volume in files}
        local = [{"deviceName": name, "bytes": size} for name, size in sizes.items()]
        hardware = f"{self.task.spec.vm_id} {_mac(self.task)}" if self.task.spec.nics else str(uuid.uuid4())
        linked = self.door.signed(
            "AssociateFailbackClientToRecoveryInstanceForDrs", {**me, "disks": local, "hardware": hardware}
        )
        self._original = linked["originalServer"] == "true"
        self.door.signed("UpdateFailbackClientDeviceMappingForDrs", {**me, "mapping": self._mapping(sizes, volumes)})
        issued = self.door.signed("IssueAgentCertificateForDrs", me)
        self.door.certificate = issued["certificate"]
        return str(issued["address"])

    def _mapping(self, sizes: dict[str, int], volumes: dict[str, int]) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for each in self.task.settings.mapping:
            volume = each.recovery_device
            device = "EXCLUDE" if each.exclude else self.task.devices[volume]
            size = sizes.get(device, 0)
            found.append({"recoveryInstanceDeviceName": volume, "failbackClientDeviceName": device, "bytes": size})
            if not each.exclude:
                self._disks.append(LocalDisk(volume, volumes.get(volume, 0), self.task.files[volume], size))
        return found

    def _connect(self, port: PortCalls) -> None:
        """The five steps that the client reports."""
        certificate = self.door.certificate
        works: tuple[Callable[[], object], ...] = (
            lambda: port.ask("GET", "/hello"),
            self._download,
            lambda: None,
            lambda: port.ask("POST", "/pair", certificate=certificate),
            lambda: port.open_session(certificate),
        )
        for step, work in zip(REPORTED_STEPS, works, strict=True):
            look_around(self.task)
            try:
                work()
            except Line as broken:
                self._tell("UpdateAgentReplicationInfoForDrs", step=step, status="FAILED", rawError=str(broken))
                message = f"{step}: {broken}"
                raise Refusal(message) from broken
            self._tell("UpdateAgentReplicationInfoForDrs", step=step, status="SUCCEEDED", rawError="")
        self.task.say("replicating")

    def _download(self) -> None:
        data, digest = self.door.software()
        if hashlib.sha256(data).hexdigest() != digest:
            message = "the software's SHA-256 isn't the one that was told"
            raise Line(message)

    def _copy_all(self, copier: DiskCopier) -> None:
        """Every volume once, and what changed meanwhile."""
        for disk in self._disks:
            copier.copy(disk)
        while any([copier.copy(disk) for disk in self._disks]):
            pass
        self._tell("NotifyConsistencyAttainedForDrs")
        self.task.say("ready: replication is continuous")

    def _follow(self, copier: DiskCopier) -> None:
        """Copy what changes until the launch is asked for, then the last of it."""
        while True:
            self._tell("UpdateFailbackClientLastSeenForDrs")
            if self._tell("GetFailbackCommandForDrs")["command"] == "stop":
                self.task.say("stopped: the machine has to be booted again")
                self.task.stopping.wait()
                raise TurnedOff
            launched = self._tell("GetFailbackLaunchRequestedForDrs")["launchRequested"] == "true"
            worked = any([copier.copy(disk) for disk in self._disks])
            if launched:
                self._tell("UpdateAgentReplicationProcessStateForDrs", state="COMPLETED")
                self.task.say("completed")
                return
            if not worked:
                self._wait()
            look_around(self.task)

    def _wait(self) -> None:
        (self.idle or self.task.stopping.wait)(self.pause)

    def _tell(self, operation: str, **values: object) -> dict[str, str]:
        return self.door.certified(operation, {"recoveryInstanceID": self._instance, **values})


def _volumes(answer: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer["items"][0]["recoveryInstanceProperties"]["disks"]
    return found


def _mac(task: ClientTask) -> str:
    return task.spec.nics[0].mac_address
