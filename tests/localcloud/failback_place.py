"""A recovery instance in the embedded DRS that the net of the home's machines may reach, and whoever asks about it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from moto import mock_aws

from localcloud.drs.keys import keys_of_sessions
from localcloud.drs.records import NewInstance
from localcloud.drs.service import DrsService
from localcloud.serving import serve_application

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from localcloud.drs.records import RecoveryInstance
    from localcloud.sts_sessions import GivenSessions

REGION = "us-east-1"
HOME_NET, HOME_ADDRESS = "10.20.0.0/24", "10.20.0.4"
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class FailbackPlace:
    """`door` is DRS's for clients, `port` the listener of all recovery instances; `others` are there besides."""

    drs: DrsService
    instance: RecoveryInstance
    others: tuple[RecoveryInstance, ...]
    api: Any
    door: str
    port: int

    def described(self) -> dict[str, Any]:
        """The recovery instance as DRS tells of it."""
        wanted = {"recoveryInstanceIDs": [self.instance.id]}
        found: dict[str, Any] = self.api.describe_recovery_instances(filters=wanted)["items"][0]
        return found

    def state(self) -> str:
        """Of its failback."""
        return str(self.described()["failback"]["state"])

    def write(self, device: str, offset: int, data: bytes) -> None:
        """A write of the workload in AWS."""
        self.drs.world.volume(self.instance.id, device).write(offset, data)

    def content(self, device: str) -> bytes:
        """What the volume holds."""
        return self.drs.world.volume(self.instance.id, device).path.read_bytes()

    def launch(self) -> None:
        """Ask for the launch."""
        self.api.start_failback_launch(recoveryInstanceIDs=[self.instance.id])


@contextmanager
def open_place(
    folder: Path, volumes: Mapping[str, int | Path], *, given: GivenSessions, others: int = 0
) -> Iterator[FailbackPlace]:
    """All of it on 127.0.0.1 until the block ends; `given` knows the good keys, `others` stand beside."""
    with ExitStack() as stack:
        stack.enter_context(mock_aws())
        drs = DrsService(folder, region=REGION, key_sources=(keys_of_sessions(given),))
        beside = tuple(drs.world.add_recovery_instance(NewInstance({"/dev/xvda": MIB})) for _ in range(others))
        instance = drs.world.add_recovery_instance(NewInstance(volumes))
        rule = {"IpProtocol": "tcp", "FromPort": 1500, "ToPort": 1500, "IpRanges": [{"CidrIp": HOME_NET}]}
        aws: Any = boto3.session.Session("x", "x", region_name=REGION)
        aws.client("ec2").authorize_security_group_ingress(GroupId=instance.security_group, IpPermissions=[rule])
        api = aws.client("drs", endpoint_url=stack.enter_context(serve_application(drs)))
        api.update_failback_replication_configuration(recoveryInstanceID=instance.id, usePrivateIP=True)
        door, port = stack.enter_context(drs.serve()), stack.enter_context(drs.replication.serve())
        yield FailbackPlace(drs, instance, beside, api, door, port)
