"""What a machine is made with, from disks and an address that are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.clouds.google.labels import labels_of
from failback.clouds.google.machine_look import Account, Slot
from failback.model.agent import GOOGLE_ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.cloud import compute_v1 as compute

    from failback.clouds.google.place import GooglePlace

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""What a machine's service account is held to by the machine: nothing, so that its own rights decide."""
LOGGING = "serial-port-logging-enable"
NETWORK = "VIRTIO_NET"
"""The client's kernel may be too old for gVNIC."""


@dataclass(frozen=True, slots=True)
class NewMachine:
    """A machine to be made: `slots` are its disks, the one that it boots from first, `address` its private address.

    `user_data` is plain text (None: none at all), `identity` a service account's address (empty: none).
    """

    size: str
    slots: Sequence[Slot]
    address: str
    tags: Mapping[str, str]
    user_data: str | None = None
    identity: str = ""


def begin_machine(place: GooglePlace, name: str, machine: NewMachine) -> compute.Operation:
    """Begin to make it: it's half a minute until it runs, and the next calls look."""
    from google.cloud import compute_v1 as compute

    target = place.target
    interface = compute.NetworkInterface(
        subnetwork=target.subnetwork, network_i_p=machine.address, nic_type=NETWORK
    )  # fmt: skip
    body = compute.Instance(
        name=name,
        machine_type=f"{place.zone_path}/machineTypes/{machine.size}",
        disks=[attached(each) for each in machine.slots],
        network_interfaces=[interface],
        tags=compute.Tags(items=list(target.network_tags)),
        labels=labels_of(machine.tags),
        metadata=compute.Metadata(items=items(told(machine.user_data))),
        service_accounts=accounts(account(machine.identity)),
        shielded_instance_config=compute.ShieldedInstanceConfig(
            enable_secure_boot=False, enable_vtpm=False, enable_integrity_monitoring=False
        ),
    )
    return place.clients.instances.insert_unary(project=place.project, zone=place.zone, instance_resource=body)


def attached(slot: Slot) -> compute.AttachedDisk:
    """A disk as it's attached."""
    from google.cloud import compute_v1 as compute

    return compute.AttachedDisk(
        source=slot.disk, device_name=slot.device, boot=slot.boot, auto_delete=slot.auto_delete, mode=slot.mode,
        type_="PERSISTENT",
    )  # fmt: skip


def told(user_data: str | None) -> dict[str, str]:
    """The metadata that a client machine gets for its settings."""
    return {} if user_data is None else {GOOGLE_ATTRIBUTE: user_data, LOGGING: "true"}


def items(metadata: Mapping[str, str]) -> list[compute.Items]:
    """Metadata as the SDK has it."""
    from google.cloud import compute_v1 as compute

    return [compute.Items(key=key, value=value) for key, value in metadata.items()]


def account(identity: str) -> Account:
    """The service account of a machine that's to prove who it is; none without one."""
    return Account(identity, frozenset({SCOPE})) if identity else Account()


def accounts(held: Account) -> list[compute.ServiceAccount]:
    """A machine's service accounts as the SDK has them."""
    from google.cloud import compute_v1 as compute

    return [compute.ServiceAccount(email=held.email, scopes=sorted(held.scopes))] if held.email else []
