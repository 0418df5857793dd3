"""The contract of RecoveryHosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from failback.errors import CloudRefused
from tests.contracts.aws.estate import ADDRESSES

if TYPE_CHECKING:
    from tests.contracts.aws.estate import Estate

OURS = {"drs-failback:run": "r", "drs-failback:server": "i-0000000a"}
CLIENT = "192.0.2.7/32"


def test_hosts_are_described_as_far_as_they_are_there(estate: Estate) -> None:
    left = estate.fail_over()
    found = estate.hosts.describe([left.id, "i-00000000000000fff"])
    assert set(found) == {left.id}
    host = found[left.id]
    assert (host.state, host.firmware, host.public_address) == ("running", "uefi", "")
    assert host.private_address.startswith(ADDRESSES)
    assert host.groups == (left.group,)
    assert ":instance-profile/" in host.profile
    assert estate.hosts.describe([]) == {}


@pytest.mark.parametrize(
    ("cidr", "first", "last", "admitted"),
    [
        pytest.param("192.0.2.0/24", 1500, 1500, True, id="wider"),
        pytest.param("192.0.2.7/32", 1024, 2048, True, id="more-ports"),
        pytest.param("192.0.2.8/32", 1500, 1500, False, id="another-address"),
        pytest.param("192.0.2.0/24", 1501, 1600, False, id="other-ports"),
    ],
)
def test_an_address_is_admitted_by_any_rule(
    estate: Estate, *, cidr: str, first: int, last: int, admitted: bool
) -> None:  # fmt: skip
    left, other = estate.fail_over(), estate.fail_over()
    assert not estate.hosts.admits([left.group], CLIENT)
    estate.open(left, cidr, first, last)
    assert estate.hosts.admits([left.group, other.group], CLIENT) is admitted
    assert not estate.hosts.admits([other.group], CLIENT)
    assert not estate.hosts.admits([], CLIENT)


def test_admitting_again_adopts_the_rule(estate: Estate) -> None:
    left = estate.fail_over()
    rule = estate.hosts.admit(left.group, CLIENT, tags=OURS)
    assert rule.startswith("sgr-")
    assert estate.hosts.admits([left.group], CLIENT)
    assert estate.hosts.admit(left.group, CLIENT, tags=OURS) == rule
    assert estate.hosts.admit(left.group, "192.0.2.8/32", tags=OURS) not in ("", rule)


def test_somebody_elses_rule_is_left_alone(estate: Estate) -> None:
    left = estate.fail_over()
    estate.open(left, CLIENT, 1500, 1500)
    assert estate.hosts.admit(left.group, CLIENT, tags=OURS) == ""


def test_a_group_has_to_be_there(estate: Estate) -> None:
    with pytest.raises((CloudRefused, ClientError)):
        estate.hosts.admit("sg-00000000000000fff", CLIENT, tags=OURS)


def test_groups_are_exchanged_and_back_again(estate: Estate) -> None:
    left, other = estate.fail_over(), estate.fail_over()
    for groups in ([other.group], [other.group], [left.group, other.group], [left.group]):
        estate.hosts.exchange_groups(left.id, groups)
        assert set(estate.hosts.describe([left.id])[left.id].groups) == set(groups)
    assert estate.hosts.describe([other.id])[other.id].groups == (other.group,)


def test_groups_of_what_is_not_there_are_not_exchanged(estate: Estate) -> None:
    left = estate.fail_over()
    with pytest.raises((CloudRefused, ClientError)):
        estate.hosts.exchange_groups("i-00000000000000fff", [left.group])
    with pytest.raises((CloudRefused, ClientError)):
        estate.hosts.exchange_groups(left.id, ["sg-00000000000000fff"])
    assert estate.hosts.describe([left.id])[left.id].groups == (left.group,)


def test_only_what_holds_a_group_is_exchanged_where_that_is_asked(estate: Estate) -> None:
    left, other = estate.fail_over(), estate.fail_over()
    estate.hosts.exchange_groups(left.id, [left.group, other.group], holding=other.group)
    assert estate.hosts.describe([left.id])[left.id].groups == (left.group,)
    estate.hosts.exchange_groups(left.id, [other.group], holding=left.group)
    assert estate.hosts.describe([left.id])[left.id].groups == (other.group,)
