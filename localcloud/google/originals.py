"""Servers at home that were failed over: the instance and its disks, as they were left behind.

Their disks hold what the recovery instance's volumes held at the failover. What was written there since then, they
don't have: with ClientPlan(original=True) DRS sends them that and no more.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcloud.google.disk_build import GIB, SMALLEST_GB
from localcloud.workload.layout import RECORD_OFFSET, SIGNATURE, SIGNATURE_OFFSET, Record
from localcloud.workload.marker import read_record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localcloud.drs.records import RecoveryInstance
    from localcloud.drs.volume import Volume
    from localcloud.google.cloud import GoogleCompute
    from localcloud.google.refusals import Json

OLDER_NONCE = "before-the-failover"
"""What such a server says of itself, where its record was written anew since then."""
STARTUP_SCRIPT = "#!/bin/sh\n# the server's own\n"
_FEATURES = ("VIRTIO_SCSI_MULTIQUEUE", "MULTI_IP_SUBNET")


@dataclass(frozen=True, slots=True)
class OriginalServer:
    """What was made, by paths; `disks` by the recovery instance's devices, the one that it boots from first."""

    name: str
    path: str
    address: str
    disks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the instance is to be. Without `running` it's stopped. `account` is its service account's address, if any."""

    machine_type: str = "n2-standard-2"
    running: bool = True
    account: str = ""
    metadata: Mapping[str, str] = field(default_factory=lambda: {"startup-script": STARTUP_SCRIPT})
    labels: Mapping[str, str] = field(default_factory=lambda: {"owner": "web-team", "cost-centre": "4711"})
    tags: tuple[str, ...] = ("web",)


def add_original(
    compute: GoogleCompute, instance: RecoveryInstance, *, name: str = "", zone: str = "", wishes: Wishes = Wishes()
) -> OriginalServer:
    """The instance at home that this recovery instance comes from, named as the server unless `name` says otherwise.

    In the first zone unless `zone` says another; boots by the recovery instance's firmware. Its volumes have to be at
    rest meanwhile. Raises LocalCloudError.
    """
    name, scope = name or instance.made_of.name, f"zones/{zone or compute.settings.zones[0]}"
    uefi = instance.made_of.boot_mode == "uefi"
    disks = {
        device: _disk(compute, scope, f"{name}-{number}", volume, boots=number == 0, uefi=uefi)
        for number, (device, volume) in enumerate(instance.volumes.items())
    }
    body = _instance(compute, scope, name, list(disks.values()), wishes)
    made = compute.administrator.insert(scope, "instances", body)
    path = f"projects/{compute.settings.project}/{scope}/instances/{name}"
    if not wishes.running:
        compute.administrator.act("POST", f"{path}/stop")
    return OriginalServer(name, path, made["networkInterfaces"][0]["networkIP"], disks)


def _disk(compute: GoogleCompute, scope: str, name: str, volume: Volume, *, boots: bool, uefi: bool) -> str:
    """A disk with what the volume held at the failover; gives its path."""
    kind = "pd-ssd" if boots else "pd-balanced"
    body: Json = {"name": name, "sizeGb": max(SMALLEST_GB, -(-volume.size // GIB)), "labels": {"made": "by-hand"},
                  "type": f"{scope}/diskTypes/{kind}"}  # fmt: skip
    if boots:
        features = (*_FEATURES, *(("UEFI_COMPATIBLE",) if uefi else ()))
        body |= {"guestOsFeatures": [{"type": each} for each in features], "architecture": "X86_64"}
    compute.administrator.insert(scope, "disks", body)
    path = f"projects/{compute.settings.project}/{scope}/disks/{name}"
    _age(compute.administrator.fill_disk(path, volume.path), volume, seed=name)
    return path


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


def _instance(compute: GoogleCompute, scope: str, name: str, disks: list[str], wishes: Wishes) -> Json:
    """Device names as people give them: what the disk is for, where anything is given at all."""
    settings = compute.settings
    network = settings.networks[0]
    (subnetwork, *_) = network.subnetworks
    project = network.project or settings.project
    attached = [
        {"source": path, "boot": number == 0, "deviceName": "boot" if number == 0 else f"data-{number}",
         "autoDelete": number == 0}
        for number, path in enumerate(disks)
    ]  # fmt: skip
    nic = {"subnetwork": f"projects/{project}/regions/{settings.region}/subnetworks/{subnetwork}"}
    body: Json = {
        "name": name,
        "machineType": f"{scope}/machineTypes/{wishes.machine_type}",
        "disks": attached,
        "networkInterfaces": [nic],
        "labels": dict(wishes.labels),
        "tags": {"items": list(wishes.tags)},
        "metadata": {"items": [{"key": key, "value": value} for key, value in wishes.metadata.items()]},
        "scheduling": {"onHostMaintenance": "MIGRATE", "automaticRestart": True},
    }
    if wishes.account:
        scopes = ["https://www.googleapis.com/auth/cloud-platform"]
        body["serviceAccounts"] = [{"email": wishes.account, "scopes": scopes}]
    return body
