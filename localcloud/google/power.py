"""The running side of instances: what a driver is told, their status, and the serial output that stays behind.

Source: the descriptions of Instance.status and SerialPortOutput in the SDK's messages.

Unconfirmed: that serial output goes on counting over a stop and a start.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.errors import MachineError
from localcloud.google.catalog import MACHINE_TYPES
from localcloud.google.disk_build import GIB, features_of
from localcloud.google.driver import MachineDisk, MachineHandle, MachineIdentity, MachineNic, MachineSpec
from localcloud.google.refusals import GoogleRefusal, Json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localcloud.google.driver import MachineDriver
    from localcloud.google.state import CloudState, Resource

RUNNING, TERMINATED, STOPPING = "RUNNING", "TERMINATED", "STOPPING"
RING = 1 << 20
"""Bytes of serial output that are kept."""


@dataclass(slots=True)
class PowerRoom:
    """Starts and stops the instances of one project by its driver; `accounts` are unique ids by e-mail address."""

    state: CloudState
    driver: MachineDriver
    accounts: Mapping[str, str]
    _handles: dict[str, MachineHandle] = field(default_factory=dict)
    # Held while output moves from a handle to its file: whoever reads it sees it in one of the two places.
    _logs: threading.Lock = field(default_factory=threading.Lock)

    def status_of(self, instance: Resource) -> str:
        """The status now; an instance whose guest powered itself off is terminated."""
        if instance.document["status"] == RUNNING:
            handle = self._handles.get(str(instance))
            if handle is None or not handle.is_running:
                self.stop(instance)
        return str(instance.document["status"])

    def start(self, instance: Resource) -> None:
        """Turn it on; a driver's failure ends the operation."""
        try:
            self._handles[str(instance)] = self.driver.start(self._spec(instance))
        except MachineError as error:
            message = f"Internal error: instance '{instance.id.name}' couldn't be started: {error}"
            raise GoogleRefusal(500, "internalError", message) from error
        instance.document.update({"status": RUNNING, "lastStartTimestamp": self.state.now()})

    def stop(self, instance: Resource) -> None:
        """Turn it off, and keep what it wrote to its serial port."""
        handle = self._handles.get(str(instance))
        if handle:
            handle.stop()
            with self._logs, self._log(instance).open("ab") as file:
                file.write(handle.console())
                del self._handles[str(instance)]
        instance.document.update({"status": TERMINATED, "lastStopTimestamp": self.state.now()})

    def refresh(self, instance: Resource) -> None:
        """Tell a running machine what its metadata says now."""
        handle = self._handles.get(str(instance))
        if handle:
            handle.refresh(self._spec(instance))

    def output(self, instance: Resource, start: int) -> tuple[int, bytes]:
        """Serial output from byte `start` on, or where what's kept begins; negative: so many bytes of the end."""
        with self._logs:
            path, handle = self._log(instance), self._handles.get(str(instance))
            text = (path.read_bytes() if path.exists() else b"") + (handle.console() if handle else b"")
        oldest = max(0, len(text) - RING)
        begin = max(oldest, len(text) + start if start < 0 else start)
        return begin, text[begin:]

    def stop_all(self) -> None:
        """Turn every machine off, as the cloud itself ends."""
        for instance in self.state.of("instances"):
            if instance.document["status"] != TERMINATED:
                self.stop(instance)

    def _log(self, instance: Resource) -> Path:
        folder = self.state.folder / "instances"
        folder.mkdir(exist_ok=True)
        return folder / f"{instance.document['id']}.serial.log"

    def _spec(self, instance: Resource) -> MachineSpec:
        document = instance.document
        kind = MACHINE_TYPES[document["machineType"].rpartition("/")[2]]
        boot, *data = sorted(document["disks"], key=lambda each: not each["boot"])
        uefi = "UEFI_COMPATIBLE" in features_of(self._disk(boot))
        return MachineSpec(
            resource_id=str(instance),
            vm_id=document["id"],
            name=instance.id.name,
            location=instance.id.scope.partition("/")[2],
            project=self.state.project,
            machine_type=kind.name,
            cores=kind.cpus,
            memory_mib=kind.memory_mib,
            firmware="uefi" if uefi else "bios",
            controller="NVMe" if kind.series.bus == "NVME" else "SCSI",
            secure_boot=document["shieldedInstanceConfig"]["enableSecureBoot"],
            os_disk=self._machine_disk(boot),
            data_disks=tuple(self._machine_disk(each) for each in data),
            nics=tuple(_nic(each) for each in document["networkInterfaces"]),
            identity=self._identity(document),
            attributes={each["key"]: each["value"] for each in document["metadata"].get("items", ())},
        )

    def _disk(self, attached: Json) -> Resource:
        found = self.state.find(attached["source"])
        assert found is not None, "an attached disk can't be deleted"
        return found

    def _machine_disk(self, attached: Json) -> MachineDisk:
        disk = self._disk(attached)
        size = int(disk.document["sizeGb"]) * GIB
        path = self.state.folder / disk.hidden["file"]
        return MachineDisk(str(disk), path, size, attached["deviceName"], attached["index"])

    def _identity(self, document: Json) -> MachineIdentity | None:
        for account in document.get("serviceAccounts", ()):
            return MachineIdentity(account["email"], self.accounts[account["email"]])
        return None


def _nic(nic: Json) -> MachineNic:
    address = nic["networkIP"]
    mac = ":".join(["42", "01", *(f"{int(part):02x}" for part in address.split("."))])
    public = next((each.get("natIP") for each in nic.get("accessConfigs", ())), None)
    return MachineNic(nic["name"], mac, address, public)
