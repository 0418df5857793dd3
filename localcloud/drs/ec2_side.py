"""Recovery instances as EC2 knows them: made in moto's own state, and asked of it each time anew.

moto answers DescribeInstances from its objects' attributes, so the boot modes it doesn't know are set there.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import TYPE_CHECKING, Any

from localcloud.accounts import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.drs.records import NewInstance

Inside = Any
"""Something of moto's own: what it is says no type that could be checked here."""

NETWORK = IPv4Network("169.254.64.0/20")
"""The recovery instances' VPC; 169.254.65.0/24 of it is left for public addresses."""
PUBLIC = IPv4Network("169.254.65.0/24")
PROFILE = "AWSElasticDisasterRecoveryRecoveryInstanceRole"
"""The instance profile that DRS gives its recovery instances, and that profile's role."""
REPLICATION_PORT = 1500
GIB = 1 << 30
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}],
}


class Ec2Side:
    """One region's instances; everything shared is made with the first of them."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._made: dict[str, Inside] = {}
        self._free = _addresses()
        self._taken: set[str] = set()
        self._shared: tuple[str, str, str] | None = None

    def launch(self, wanted: NewInstance, sizes: dict[str, int]) -> Inside:
        """Start an instance; `sizes` are its volumes' bytes by the guest's device names."""
        if self._shared is None:
            self._shared = self._make_shared()
        vpc, subnet, image = self._shared
        ec2, address = self._ec2(), wanted.private_address or self._next_address()
        self._taken.add(address)
        number = len(self._made) + 1
        group = ec2.create_security_group(f"drs-recovery-{number}", f"Recovery instance of {wanted.name}", vpc)
        reservation = ec2.run_instances(
            image,
            1,
            None,
            [],
            instance_type=wanted.instance_type,
            is_instance_type_default=False,
            subnet_id=subnet,
            private_ip=address,
            security_group_ids=[group.id],
            associate_public_ip=False,
            region_name=self._region,
            block_device_mappings=_mappings(list(sizes.values())),
            tags={"instance": {"Name": wanted.name, **wanted.tags}},
        )
        instance = reservation.instances[0]
        instance.boot_mode = instance.current_instance_boot_mode = wanted.boot_mode
        instance.nics[0].public_ip = wanted.public_address
        ec2.associate_iam_instance_profile(instance.id, iam_instance_profile_name=PROFILE)
        self._made[instance.id] = instance
        return instance

    def state(self, instance: str) -> str:
        """As DRS tells it: RUNNING, STOPPED, TERMINATED ..., NOT_FOUND for one that EC2 doesn't know."""
        found = self._made.get(instance)
        return str(found._state.name).upper() if found is not None else "NOT_FOUND"

    def admits(self, instance: str, source: str) -> bool:
        """Whether a rule of its security groups, as they are now, lets that address reach port 1500."""
        found = self._made.get(instance)
        groups = found.nics[0].group_set if found is not None else ()
        return any(_allows(rule, IPv4Address(source)) for group in groups for rule in group.ingress_rules)

    def volume_ids(self, instance: Inside) -> list[str]:
        """EBS's ids, in the order of the volumes."""
        return [device.volume_id for _, device in sorted(instance.block_device_mapping.items())]

    def _ec2(self) -> Inside:
        from moto.ec2.models import ec2_backends

        return ec2_backends[ACCOUNT][self._region]

    def _make_shared(self) -> tuple[str, str, str]:
        """VPC, subnet and image."""
        from moto.iam.models import iam_backends

        ec2, iam = self._ec2(), iam_backends[ACCOUNT]["aws"]
        vpc = ec2.create_vpc(str(NETWORK))
        subnet = ec2.create_subnet(vpc.id, str(NETWORK), availability_zone=f"{self._region}a")
        image = ec2.register_image("drs-converted", "What DRS started the recovery instances from")
        iam.create_role(PROFILE, json.dumps(_TRUST), "/service-role/", None, "", [], "3600")
        iam.create_instance_profile(PROFILE, "/service-role/", [PROFILE])
        return vpc.id, subnet.id, image.id

    def _next_address(self) -> str:
        return next(address for address in self._free if address not in self._taken)


def _addresses() -> Iterator[str]:
    """In order; the ends of each /24 are left out, EC2 keeps the first four of a subnet."""
    for address in NETWORK.hosts():
        if 4 <= address.packed[3] <= 254 and address not in PUBLIC:
            yield str(address)


def _mappings(sizes: list[int]) -> list[dict[str, Inside]]:
    """As RunInstances has them: whole GiB, the boot volume first."""
    names = ["/dev/sda1", *(f"/dev/sdb{chr(ord('a') + number)}" for number in range(len(sizes) - 1))]
    return [
        {"DeviceName": name, "Ebs": {"VolumeSize": max(1, -(-size // GIB)), "DeleteOnTermination": True}}
        for name, size in zip(names, sizes, strict=True)
    ]


def _allows(rule: Inside, source: IPv4Address) -> bool:
    if rule.ip_protocol not in {"tcp", "6", "-1"}:
        return False
    in_ports = rule.ip_protocol == "-1" or int(rule.from_port) <= REPLICATION_PORT <= int(rule.to_port)
    network = (rule.ip_range or {}).get("CidrIp")
    return in_ports and network is not None and source in ip_network(network)
