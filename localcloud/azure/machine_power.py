"""The running side of virtual machines: what a driver is told, power states, and the serial logs that stay behind."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.errors import MachineError
from localcloud.azure.driver import MachineDisk, MachineHandle, MachineIdentity, MachineNic, MachineSpec
from localcloud.azure.machine_rules import DISKS, nic_ids
from localcloud.azure.network import ADDRESSES, NICS
from localcloud.azure.refusals import ArmRefusal, Json
from localcloud.azure.sizes import size_named

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.azure.driver import MachineDriver
    from localcloud.azure.state import CloudState, Resource

RUNNING, STOPPED, DEALLOCATED = "running", "stopped", "deallocated"


@dataclass(slots=True)
class PowerRoom:
    """Starts and stops the machines of one cloud by its driver."""

    state: CloudState
    driver: MachineDriver
    tenant: str
    _handles: dict[str, MachineHandle] = field(default_factory=dict)
    # Held while a log moves from a handle to its file: whoever reads it sees it in one of the two places.
    _logs: threading.Lock = field(default_factory=threading.Lock)

    def power_of(self, machine: Resource) -> str:
        """The power state; a guest that powered itself off is stopped, and keeps its place."""
        if machine.hidden["power"] == RUNNING:
            handle = self._handles.get(machine.properties["vmId"])
            if handle is None or not handle.is_running:
                self.stop(machine, STOPPED)
        return str(machine.hidden["power"])

    def start(self, machine: Resource) -> None:
        """Turn it on; on already is fine. A driver's failure ends the operation."""
        if self.power_of(machine) == RUNNING:
            return
        try:
            self._handles[machine.properties["vmId"]] = self.driver.start(self._spec(machine))
        except MachineError as error:
            raise ArmRefusal(500, "VMStartFailed", f"VM '{machine.id.name}' couldn't be started: {error}") from error
        self._note(machine, RUNNING)

    def stop(self, machine: Resource, power: str) -> None:
        """Turn it off, keep what it wrote to its serial port, and leave it stopped or deallocated."""
        handle = self._handles.get(machine.properties["vmId"])
        if handle:
            handle.stop()
            with self._logs, self._log(machine).open("ab") as file:
                file.write(handle.console())
                del self._handles[machine.properties["vmId"]]
        self._note(machine, power)

    def refresh(self, machine: Resource) -> None:
        """Tell a running machine what its metadata says now."""
        handle = self._handles.get(machine.properties["vmId"])
        if handle:
            handle.refresh(self._spec(machine))

    def agent(self, machine: Resource) -> str | None:
        """What the guest's agent says; None if there's none, or it isn't ready."""
        handle = self._handles.get(machine.properties["vmId"])
        return handle.agent if handle else None

    def console(self, machine: Resource) -> bytes:
        """The serial log: of the starts before, and of this one so far."""
        with self._logs:
            path, handle = self._log(machine), self._handles.get(machine.properties["vmId"])
            before = path.read_bytes() if path.exists() else b""
            return before + (handle.console() if handle else b"")

    def stop_all(self) -> None:
        """Turn every machine off, as the cloud itself ends."""
        for machine in self.state.of_type("Microsoft.Compute/virtualMachines"):
            self.stop(machine, STOPPED if machine.hidden["power"] == RUNNING else machine.hidden["power"])

    def _note(self, machine: Resource, power: str) -> None:
        machine.hidden["power"] = power
        for disk in self.state.of_type(DISKS):
            if str(disk.document.get("managedBy")).lower() == str(machine.id).lower():
                disk.hidden["reserved"] = power == DEALLOCATED

    def _log(self, machine: Resource) -> Path:
        folder = self.state.folder / "machines"
        folder.mkdir(exist_ok=True)
        return folder / f"{machine.properties['vmId']}.serial.log"

    def _spec(self, machine: Resource) -> MachineSpec:
        properties, document = machine.properties, machine.document
        size = size_named(properties["hardwareProfile"]["vmSize"])
        storage = properties["storageProfile"]
        os_disk = self.state.referred(storage["osDisk"]["managedDisk"]["id"], DISKS, "osDisk")
        return MachineSpec(
            resource_id=str(machine.id),
            vm_id=properties["vmId"],
            name=machine.id.name,
            location=document["location"],
            size=size.name,
            cores=size.cores,
            memory_mib=size.memory_mib,
            firmware="uefi" if os_disk.properties.get("hyperVGeneration") == "V2" else "bios",
            controller=storage["diskControllerType"],
            os_type=storage["osDisk"]["osType"],
            os_disk=self._disk(storage["osDisk"]),
            data_disks=tuple(self._disk(each) for each in storage["dataDisks"]),
            nics=tuple(self._nic(each) for each in nic_ids(document)),
            identities=tuple(_identities(document.get("identity", {}), self.tenant)),
            user_data=properties.get("userData"),
            tags=dict(document["tags"]),
        )

    def _disk(self, attached: Json) -> MachineDisk:
        disk = self.state.referred(attached["managedDisk"]["id"], DISKS, "managedDisk.id")
        path = self.state.folder / disk.hidden["file"]
        return MachineDisk(str(disk.id), path, disk.hidden["size"], attached.get("lun"))

    def _nic(self, nic_id: str) -> MachineNic:
        nic = self.state.referred(nic_id, NICS, "networkInterfaces.id")
        values = nic.properties["ipConfigurations"][0]["properties"]
        public = None
        if "publicIPAddress" in values:
            address = self.state.referred(values["publicIPAddress"]["id"], ADDRESSES, "publicIPAddress.id")
            public = address.properties["ipAddress"]
        mac = nic.properties["macAddress"].replace("-", ":").lower()
        return MachineNic(str(nic.id), mac, values["privateIPAddress"], public)


def _identities(identity: Json, tenant: str) -> list[MachineIdentity]:
    found = []
    if "principalId" in identity:
        found.append(MachineIdentity(identity["principalId"], identity["principalId"], tenant))
    for resource_id, each in identity.get("userAssignedIdentities", {}).items():
        found.append(MachineIdentity(each["principalId"], each["clientId"], tenant, resource_id))
    return found
