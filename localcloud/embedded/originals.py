"""Servers at home that were failed over: the machine, its interface and its disks, as they were left behind.

Their disks hold what the recovery instance's volumes held at the failover. What was written there since then, they
don't have: with ClientPlan(original=True) DRS sends them that and no more.
"""

from __future__ import annotations

import base64
import os
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcloud.azure.machine_rules import DISKS
from localcloud.azure.machines import TYPE as MACHINES
from localcloud.azure.network import ADDRESSES, NETWORKS, NICS
from localcloud.embedded.clouds import HOME_GROUP, HOME_LOCATION, HOME_NETWORK, HOME_SUBNET, SERVER_IDENTITY
from localcloud.workload.layout import RECORD_OFFSET, SIGNATURE, SIGNATURE_OFFSET, Record
from localcloud.workload.marker import read_record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localcloud.azure.administrator import Administrator
    from localcloud.azure.refusals import Json
    from localcloud.drs.records import RecoveryInstance
    from localcloud.drs.volume import Volume
    from localcloud.embedded.clouds import EmbeddedClouds

GIB = 1 << 30
OLDER_NONCE = "before-the-failover"
"""What such a server says of itself, where its record was written anew since then."""
USER_DATA = "#cloud-config\n# the server's own\n"
FIRST_LUN, APART = 1, 3
"""LUNs as years leave them, not in a row: the first data disk's, and how far it is to the next one's."""


@dataclass(frozen=True, slots=True)
class OriginalServer:
    """What was made: resource ids; `disks` by the recovery instance's devices, the one that it boots from first."""

    name: str
    id: str
    nic: str
    address: str
    disks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the machine is to be. Without `running` it's deallocated. With an `identity` it has one of the servers' own,
    beside which any other has to be asked for by name.
    """

    size: str = "Standard_D2s_v5"
    running: bool = True
    identity: bool = True
    user_data: str = USER_DATA
    tags: Mapping[str, str] = field(default_factory=lambda: {"owner": "web team", "cost centre": "4711"})


def add_original(
    clouds: EmbeddedClouds,
    instance: RecoveryInstance,
    *,
    name: str = "",
    wishes: Wishes = Wishes(),
) -> OriginalServer:
    """The machine at home that this recovery instance comes from, named as the server unless `name` says otherwise.

    Made as a person would have made it, by ARM; boots by the recovery instance's firmware. Its volumes have to be at
    rest meanwhile. Raises LocalCloudError.
    """
    by, name = clouds.azure.administrator, name or instance.made_of.name
    uefi = instance.made_of.boot_mode == "uefi"
    disks = {
        device: _disk(by, f"{name}-{number}", volume, system="V2" if uefi else "V1", boots=number == 0)
        for number, (device, volume) in enumerate(instance.volumes.items())
    }
    address = by.put(by.id_of(HOME_GROUP, ADDRESSES, f"{name}-ip"), _address())["properties"]["ipAddress"]
    nic = by.id_of(HOME_GROUP, NICS, f"{name}-nic")
    by.put(nic, _nic(by, f"{name}-ip"))
    machine = by.id_of(HOME_GROUP, MACHINES, name)
    by.put(machine, _machine(clouds, wishes, list(disks.values()), nic))
    if not wishes.running:
        by.act(machine, "deallocate")
    return OriginalServer(name, machine, nic, address, disks)


def _disk(by: Administrator, name: str, volume: Volume, *, system: str, boots: bool) -> str:
    """A disk with what the volume held at the failover; gives its id."""
    disk = by.id_of(HOME_GROUP, DISKS, name)
    properties: Json = {"creationData": {"createOption": "Empty"}, "diskSizeGB": -(-volume.size // GIB)}
    if boots:
        properties |= {"osType": "Linux", "hyperVGeneration": system}
    sku = {"name": "Premium_LRS" if boots else "StandardSSD_LRS"}
    by.put(disk, {"location": HOME_LOCATION, "tags": {"made": "by hand"}, "sku": sku, "properties": properties})
    _age(by.fill_disk(disk, volume.path), volume, seed=name)
    return disk


def _age(file: Path, volume: Volume, *, seed: str) -> None:
    """Put something older wherever the volume was written to since the failover; a workload's disk stays one."""
    _, changed = volume.changes(0, original=True)
    noise, record = random.Random(seed), read_record(volume)
    with file.open("r+b") as disk:
        for offset, length in changed:
            os.pwrite(disk.fileno(), noise.randbytes(length), offset)
        if record is None:
            return
        older = Record(record.firmware, OLDER_NONCE).to_bytes()
        for at, data in ((SIGNATURE_OFFSET, SIGNATURE), (RECORD_OFFSET, older)):
            if any(offset <= at < offset + length for offset, length in changed):
                os.pwrite(disk.fileno(), data, at)


def _address() -> Json:
    return {
        "location": HOME_LOCATION,
        "sku": {"name": "Standard"},
        "properties": {"publicIPAllocationMethod": "Static"},
    }


def _nic(by: Administrator, address: str) -> Json:
    network = by.id_of(HOME_GROUP, NETWORKS, HOME_NETWORK.name)
    values = {
        "subnet": {"id": f"{network}/subnets/{HOME_SUBNET}"},
        "publicIPAddress": {"id": by.id_of(HOME_GROUP, ADDRESSES, address)},
    }
    return {
        "location": HOME_LOCATION,
        "tags": {"made": "by hand"},
        "properties": {"ipConfigurations": [{"name": "ip", "properties": values}]},
    }


def _machine(clouds: EmbeddedClouds, wishes: Wishes, disks: list[str], nic: str) -> Json:
    boot, *data = disks
    storage = {
        "osDisk": {
            "createOption": "Attach",
            "osType": "Linux",
            "caching": "ReadWrite",
            "managedDisk": {"id": boot},
        },
        "dataDisks": [
            {"createOption": "Attach", "lun": FIRST_LUN + number * APART, "caching": "ReadOnly",
             "managedDisk": {"id": each}}
            for number, each in enumerate(data)
        ],
    }  # fmt: skip
    body: Json = {
        "location": HOME_LOCATION,
        "tags": dict(wishes.tags),
        "properties": {
            "hardwareProfile": {"vmSize": wishes.size},
            "storageProfile": storage,
            "networkProfile": {"networkInterfaces": [{"id": nic}]},
            "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
            "userData": base64.b64encode(wishes.user_data.encode()).decode("ascii"),
        },
    }
    if wishes.identity:
        mine = SERVER_IDENTITY.resource_id(clouds.azure_settings.subscription)
        body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": {mine: {}}}
    return body
