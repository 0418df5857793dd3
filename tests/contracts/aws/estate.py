"""What a failover has left in AWS, twice: DRS's emulator with moto's EC2 behind boto3, and in memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.clouds.aws.hosts import Ec2Hosts
from failback.clouds.aws.recovery import DrsRecovery
from failback.model.recovery import FailbackConfiguration, Host, RecoveryInstance, SourceServer, Volume
from localcloud.drs.records import ClientLink, NewInstance
from localcloud.drs.service import DrsService
from localcloud.moto_seams.interfaces import seam_interfaces
from localcloud.moto_seams.pins import Swaps
from localcloud.serving import serve_application
from tests.clouds.aws.embedded import client_at
from tests.clouds.aws.tables import REGION
from tests.memory.clock import NOON
from tests.memory.hosts import MemoryHosts, Rule
from tests.memory.recovery import MemoryRecovery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from failback.recovery_ports import RecoveryHosts, RecoveryService

GIB = 1 << 30
ADDRESSES = "169.254.64."
VOLUMES = {"/dev/xvda": 8 * GIB, "/dev/xvdb": 3 * GIB}
TAGS = {"Name": "web", "owner": "shop"}


@dataclass(frozen=True)
class Left:
    """One recovery instance: its ids, its ARN, and the security group it's in."""

    id: str
    source: str
    arn: str
    group: str


@dataclass(frozen=True)
class Estate:
    """Both ports; `fail_over` leaves an instance, `begin` links a client with it, `open` adds anybody's rule."""

    recovery: RecoveryService
    hosts: RecoveryHosts
    fail_over: Callable[[], Left]
    begin: Callable[[Left], None]
    open: Callable[[Left, str, int, int], object]


def in_memory() -> Estate:
    """All of it in memory."""
    recovery, hosts = MemoryRecovery(), MemoryHosts()

    def fail_over() -> Left:
        number = len(recovery.known) + 1
        left = Left(
            id=f"i-{number:017x}",
            source=f"s-{number:017x}",
            arn=f"arn:aws:drs:{REGION}:123456789012:recovery-instance/i-{number:017x}",
            group=f"sg-{number:017x}",
        )
        recovery.add(
            _instance(left),
            source=SourceServer(
                id=left.source, architecture="x86_64", hostname="web", replication_state="DISCONNECTED"
            ),
            configuration=FailbackConfiguration(name="web", private_ip=False, protocol="IPV4"),
        )
        hosts.add(
            Host(
                id=left.id,
                state="running",
                firmware="uefi",
                private_address=f"{ADDRESSES}{number + 3}",
                groups=(left.group,),
                profile="arn:aws:iam::123456789012:instance-profile/recovery",
            )
        )
        return left

    return Estate(
        recovery=recovery,
        hosts=hosts,
        fail_over=fail_over,
        begin=lambda left: recovery.change(left.id, failback_state="FAILBACK_IN_PROGRESS", client="c" * 32),
        open=lambda left, cidr, first, last: hosts.open(Rule(left.group, cidr, first=first, last=last)),
    )


def _instance(left: Left) -> RecoveryInstance:
    return RecoveryInstance(
        id=left.id,
        arn=left.arn,
        source_server=left.source,
        ec2_state="RUNNING",
        hostname="web",
        os="Ubuntu 22.04.4 LTS",
        cpus=2,
        ram_bytes=4 * GIB,
        volumes=tuple(
            Volume(device=name, bytes=size, volume=f"vol-{size:017x}") for name, size in VOLUMES.items()
        ),
        tags=TAGS,
        agent_seen=NOON,
    )  # fmt: skip


@contextmanager
def emulated(folder: Path) -> Iterator[Estate]:
    """DRS's emulator served on loopback; moto has to be there. Its EC2 has the seam of the embedded clouds."""
    import boto3

    drs, ec2 = DrsService(folder, region=REGION), boto3.client("ec2", REGION)

    def fail_over() -> Left:
        wanted = NewInstance(VOLUMES, name="web", boot_mode="uefi", tags=TAGS)
        made = drs.world.add_recovery_instance(wanted)
        return Left(id=made.id, source=made.source, arn=made.arn, group=made.security_group)

    def begin(left: Left) -> None:
        now = drs.world.clock()
        with drs.world.lock:
            drs.world.find(left.id).link = ClientLink("c" * 32, original=False, started=now, seen=now, local=VOLUMES)

    def open_rule(left: Left, cidr: str, first: int, last: int) -> None:
        ranges = [{"CidrIp": cidr}]
        permission = {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "IpRanges": ranges}
        ec2.authorize_security_group_ingress(GroupId=left.group, IpPermissions=[permission])  # type: ignore[list-item]

    with serve_application(drs) as url, Swaps() as swaps:
        seam_interfaces(swaps)
        recovery = DrsRecovery(client_at("drs", url))
        yield Estate(recovery=recovery, hosts=Ec2Hosts(ec2), fail_over=fail_over, begin=begin, open=open_rule)
