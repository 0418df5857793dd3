"""What EC2's answers mean: boot modes, and rules of other kinds and of IPv6."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from failback.clouds.aws.hosts import Ec2Hosts
from failback.errors import CloudRefused
from failback.model.recovery import Host
from tests.clouds.aws.embedded import Sdk, client_at

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = "sg-0123456789abcdef0"
OPEN = {"IsEgress": False, "IpProtocol": "tcp", "FromPort": 1500, "ToPort": 1500, "CidrIpv4": "192.0.2.0/24"}


@pytest.fixture
def ec2() -> Sdk:
    return client_at("ec2", "http://127.0.0.1:9", attempts=1)


@pytest.fixture
def asked(ec2: Sdk) -> Iterator[Stubber]:
    with Stubber(ec2) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("mode", "firmware"),
    [
        pytest.param({"CurrentInstanceBootMode": "legacy-bios"}, "bios", id="bios"),
        pytest.param({"CurrentInstanceBootMode": "uefi"}, "uefi", id="uefi"),
        pytest.param({"BootMode": "uefi"}, None, id="not-said"),
    ],
)
def test_firmware_is_what_an_instance_booted_by(
    ec2: Sdk, asked: Stubber, *, mode: dict[str, str], firmware: str | None
) -> None:
    instance = {"InstanceId": "i-1", "State": {"Name": "terminated"}, **mode}
    given = {"Filters": [{"Name": "instance-id", "Values": ["i-1"]}]}
    asked.add_response("describe_instances", {"Reservations": [{"Instances": [instance]}]}, given)
    expected = Host.model_validate({"id": "i-1", "state": "terminated", "firmware": firmware})
    assert Ec2Hosts(ec2).describe(["i-1"]) == {"i-1": expected}


def test_all_pages_and_portions_are_read(ec2: Sdk, asked: Stubber) -> None:
    ids = [f"i-{number}" for number in range(201)]
    found = [{"Instances": [{"InstanceId": name, "State": {"Name": "running"}}]} for name in ids]
    given = {"Filters": [{"Name": "instance-id", "Values": ids[:200]}]}
    asked.add_response("describe_instances", {"Reservations": found[:100], "NextToken": "t"}, given)
    asked.add_response("describe_instances", {"Reservations": found[100:200]}, {**given, "NextToken": "t"})
    asked.add_response(
        "describe_instances",
        {"Reservations": found[200:]},
        {"Filters": [{"Name": "instance-id", "Values": ids[200:]}]},
    )
    assert list(Ec2Hosts(ec2).describe(ids)) == ids


@pytest.mark.parametrize(
    ("rule", "cidr", "admitted"),
    [
        pytest.param(OPEN, "192.0.2.7/32", True, id="tcp"),
        pytest.param({**OPEN, "IpProtocol": "-1", "FromPort": -1, "ToPort": -1}, "192.0.2.7/32", True, id="any"),
        pytest.param({**OPEN, "IpProtocol": "udp"}, "192.0.2.7/32", False, id="udp"),
        pytest.param({**OPEN, "IsEgress": True}, "192.0.2.7/32", False, id="outwards"),
        pytest.param({**OPEN, "CidrIpv4": "192.0.2.7/32"}, "192.0.2.0/24", False, id="narrower"),
        pytest.param({**OPEN, "CidrIpv4": "", "PrefixListId": "pl-1"}, "192.0.2.7/32", False, id="prefix-list"),
        pytest.param({**OPEN, "CidrIpv4": "", "CidrIpv6": "2001:db8::/32"}, "2001:db8::1/128", True, id="ipv6"),
        pytest.param({**OPEN, "CidrIpv4": "", "CidrIpv6": "::/0"}, "192.0.2.7/32", False, id="the-other-protocol"),
    ],
)
def test_which_rule_admits_whom(
    ec2: Sdk, asked: Stubber, *, rule: dict[str, object], cidr: str, admitted: bool
) -> None:  # fmt: skip
    given = {"Filters": [{"Name": "group-id", "Values": [GROUP]}]}
    asked.add_response("describe_security_group_rules", {"SecurityGroupRules": [], "NextToken": "t"}, given)
    asked.add_response("describe_security_group_rules", {"SecurityGroupRules": [rule]}, {**given, "NextToken": "t"})
    assert Ec2Hosts(ec2).admits([GROUP], cidr) is admitted


def test_a_rule_is_made_for_one_port_and_address_with_its_tags(ec2: Sdk, asked: Stubber) -> None:
    made = {"SecurityGroupRules": [{"SecurityGroupRuleId": "sgr-1"}]}
    for cidr, ranges in {
        "192.0.2.7/32": {"IpRanges": [{"CidrIp": "192.0.2.7/32"}]},
        "2001:db8::1/128": {"Ipv6Ranges": [{"CidrIpv6": "2001:db8::1/128"}]},
    }.items():
        (told,) = ranges.values()
        told[0]["Description"] = "A failback client's way to its recovery instance"
        given = {
            "GroupId": GROUP,
            "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 1500, "ToPort": 1500, **ranges}],
            "TagSpecifications": [{"ResourceType": "security-group-rule", "Tags": [{"Key": "a", "Value": "b"}]}],
        }
        asked.add_response("authorize_security_group_ingress", made, given)
        assert Ec2Hosts(ec2).admit(GROUP, cidr, tags={"a": "b"}) == "sgr-1"


def test_a_wider_rule_of_ours_is_not_the_one_that_is_adopted(ec2: Sdk, asked: Stubber) -> None:
    tags = [{"Key": "a", "Value": "b"}, {"Key": "more", "Value": "x"}]
    same = {**OPEN, "CidrIpv4": "192.0.2.7/32", "Tags": tags}
    rules = [
        {**same, "SecurityGroupRuleId": "sgr-ports", "FromPort": 0, "ToPort": 2000},
        {**same, "SecurityGroupRuleId": "sgr-udp", "IpProtocol": "udp"},
        {**same, "SecurityGroupRuleId": "sgr-same"},
    ]
    asked.add_client_error("authorize_security_group_ingress", "InvalidPermission.Duplicate")
    asked.add_response("describe_security_group_rules", {"SecurityGroupRules": rules})
    assert Ec2Hosts(ec2).admit(GROUP, "192.0.2.7/32", tags={"a": "b"}) == "sgr-same"


def test_another_refusal_is_told(ec2: Sdk, asked: Stubber) -> None:
    asked.add_client_error("authorize_security_group_ingress", "RulesPerSecurityGroupLimitExceeded")
    with pytest.raises(ClientError, match="RulesPerSecurityGroup"):
        Ec2Hosts(ec2).admit(GROUP, "192.0.2.7/32", tags={})


def with_interfaces(asked: Stubber, **groups: list[str]) -> None:
    interfaces = [
        {"NetworkInterfaceId": name, "Groups": [{"GroupId": each} for each in there]} for name, there in groups.items()
    ]
    instance = {"InstanceId": "i-1", "State": {"Name": "running"}, "NetworkInterfaces": interfaces}
    given = {"Filters": [{"Name": "instance-id", "Values": ["i-1"]}]}
    asked.add_response("describe_instances", {"Reservations": [{"Instances": [instance]}]}, given)


def test_all_interfaces_that_have_other_groups_get_the_new_ones(ec2: Sdk, asked: Stubber) -> None:
    with_interfaces(asked, eni1=["sg-1", "sg-2"], eni2=["sg-2"], eni3=["sg-2", "sg-1"])
    for name in ("eni1", "eni3"):
        asked.add_response(
            "modify_network_interface_attribute", {}, {"NetworkInterfaceId": name, "Groups": ["sg-2"]}
        )  # fmt: skip
    Ec2Hosts(ec2).exchange_groups("i-1", ["sg-2"])


def test_interfaces_that_differ_are_left_as_they_are(ec2: Sdk, asked: Stubber) -> None:
    with_interfaces(asked, eni1=["sg-1"], eni2=["sg-3"], eni3=["sg-2"])
    with pytest.raises(CloudRefused, match=r"eni1 has sg-1; eni2 has sg-3\. Exchanging"):
        Ec2Hosts(ec2).exchange_groups("i-1", ["sg-2"])


def test_only_interfaces_that_hold_a_group_get_others(ec2: Sdk, asked: Stubber) -> None:
    with_interfaces(asked, eni1=["sg-1"], eni2=["sg-3"], eni3=["sg-2", "sg-4"], eni4=["sg-2"])
    asked.add_response("modify_network_interface_attribute", {}, {"NetworkInterfaceId": "eni3", "Groups": ["sg-2"]})
    Ec2Hosts(ec2).exchange_groups("i-1", ["sg-2"], holding="sg-4")
