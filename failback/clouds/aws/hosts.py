"""The EC2 instances behind recovery instances, and the rules of their security groups (model ec2 2016-11-15)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from failback.clouds.aws.answers import code_of, portions
from failback.errors import CloudRefused
from failback.model.recovery import Host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import (
        FilterTypeDef,
        InstanceTypeDef,
        IpPermissionTypeDef,
        SecurityGroupRuleTypeDef,
        TagTypeDef,
    )

    from failback.model.recovery import Firmware

    Network = IPv4Network | IPv6Network

PORT = 1500
"""Where the recovery instance's agent waits for a client."""

# EC2 takes 200 values for a filter.
_MOST_VALUES = 200
_TCP = frozenset({"tcp", "6"})
_ANY = "-1"
_DESCRIPTION = "A failback client's way to its recovery instance"
_DUPLICATE = "InvalidPermission.Duplicate"
_FIRMWARE: Mapping[str, Firmware] = {"legacy-bios": "bios", "uefi": "uefi", "uefi-preferred": "uefi"}


class Ec2Hosts:
    """RecoveryHosts. Only rules that name addresses count: whom a group or a prefix list lets in isn't seen."""

    def __init__(self, ec2: EC2Client) -> None:
        self._ec2 = ec2

    def describe(self, ids: Sequence[str]) -> Mapping[str, Host]:
        return {
            instance["InstanceId"]: _host(instance)
            for some in portions(ids, _MOST_VALUES)
            # By a filter: asked for by its id, one that isn't there would fail the call for all.
            for instance in self._instances([{"Name": "instance-id", "Values": some}])
        }

    def admits(self, groups: Sequence[str], cidr: str) -> bool:
        asked = ip_network(cidr)
        return any(
            _opens(rule) and _holds(_network(rule), asked)
            for some in portions(groups, _MOST_VALUES)
            for rule in self._rules(some)
        )

    def admit(self, group: str, cidr: str, *, tags: Mapping[str, str]) -> str:
        """Empty where the very same rule is there already and isn't ours: it's open, and not ours to close."""
        asked = ip_network(cidr)
        labels: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in tags.items()]
        try:
            made = self._ec2.authorize_security_group_ingress(
                GroupId=group,
                IpPermissions=[_permission(asked)],
                TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": labels}],
            )
        except self._ec2.exceptions.ClientError as error:
            if code_of(error) != _DUPLICATE:
                raise
            return self._adopted(group, asked, tags)
        return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def exchange_groups(self, instance: str, groups: Sequence[str], *, holding: str = "") -> None:
        """One call for each interface that has others.

        Refuses (CloudRefused) interfaces that differ: what each of them had couldn't be given back to it.
        """
        found = list(self._instances([{"Name": "instance-id", "Values": [instance]}]))
        if not found:
            message = (
                f"EC2 has no instance {instance}. Usually it was terminated; its security groups can't be changed."
            )
            raise CloudRefused(message)
        there = {
            interface["NetworkInterfaceId"]: frozenset(group["GroupId"] for group in interface["Groups"])
            for interface in found[0].get("NetworkInterfaces", ())
        }
        others = {name: given for name, given in there.items() if given != set(groups)}
        if holding:
            others = {name: given for name, given in others.items() if holding in given}
        elif len(set(others.values())) > 1:
            message = (
                f"The network interfaces of {instance} have different security groups: {_told(others)}. Exchanging "
                "them couldn't be undone. Give all of them the same ones, or choose another kind of fence."
            )
            raise CloudRefused(message)
        for name in others:
            self._ec2.modify_network_interface_attribute(NetworkInterfaceId=name, Groups=groups)

    def _adopted(self, group: str, asked: Network, tags: Mapping[str, str]) -> str:
        """The rule that's there, if it has all of our tags: made by an answer that was lost."""
        for rule in self._rules([group]):
            ours = {each["Key"]: each["Value"] for each in rule.get("Tags", ())}
            same = rule.get("FromPort") == rule.get("ToPort") == PORT and _network(rule) == asked
            if same and _opens(rule) and tags.items() <= ours.items():
                return rule["SecurityGroupRuleId"]
        return ""

    def _instances(self, filters: list[FilterTypeDef]) -> Iterator[InstanceTypeDef]:
        for page in self._ec2.get_paginator("describe_instances").paginate(Filters=filters):
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]

    def _rules(self, groups: Sequence[str]) -> Iterator[SecurityGroupRuleTypeDef]:
        pages = self._ec2.get_paginator("describe_security_group_rules").paginate(
            Filters=[{"Name": "group-id", "Values": groups}]
        )
        for page in pages:
            yield from page["SecurityGroupRules"]


def _told(interfaces: Mapping[str, frozenset[str]]) -> str:
    return "; ".join(f"{name} has {', '.join(sorted(groups))}" for name, groups in interfaces.items())


def _host(instance: InstanceTypeDef) -> Host:
    return Host(
        id=instance["InstanceId"],
        state=instance["State"]["Name"],
        firmware=_FIRMWARE.get(instance.get("CurrentInstanceBootMode", "")),
        private_address=instance.get("PrivateIpAddress", ""),
        public_address=instance.get("PublicIpAddress", ""),
        groups=tuple(group["GroupId"] for group in instance.get("SecurityGroups", ())),
        profile=instance.get("IamInstanceProfile", {}).get("Arn", ""),
    )


def _permission(asked: Network) -> IpPermissionTypeDef:
    ports: IpPermissionTypeDef = {"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT}
    if isinstance(asked, IPv6Network):
        return {**ports, "Ipv6Ranges": [{"CidrIpv6": str(asked), "Description": _DESCRIPTION}]}
    return {**ports, "IpRanges": [{"CidrIp": str(asked), "Description": _DESCRIPTION}]}


def _opens(rule: SecurityGroupRuleTypeDef) -> bool:
    """Whether a rule opens port 1500 to those it's for."""
    if rule.get("IsEgress"):
        return False
    if rule.get("IpProtocol") == _ANY:
        return True
    return rule.get("IpProtocol") in _TCP and rule.get("FromPort", -1) <= PORT <= rule.get("ToPort", -1)


def _network(rule: SecurityGroupRuleTypeDef) -> Network | None:
    text = rule.get("CidrIpv4") or rule.get("CidrIpv6")
    return ip_network(text, strict=False) if text else None


def _holds(wide: Network | None, narrow: Network) -> bool:
    if isinstance(wide, IPv4Network) and isinstance(narrow, IPv4Network):
        return narrow.subnet_of(wide)
    return isinstance(wide, IPv6Network) and isinstance(narrow, IPv6Network) and narrow.subnet_of(wide)
