"""The contract of RecoveryService."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from failback.errors import CloudRefused
from failback.model.recovery import FailbackConfiguration
from tests.contracts.aws.estate import GIB, TAGS, VOLUMES

if TYPE_CHECKING:
    from tests.contracts.aws.estate import Estate

NOBODY = "i-00000000000000fff"
REFUSED = (CloudRefused, ClientError)


def test_what_a_failover_left_is_described(estate: Estate) -> None:
    first, second = estate.fail_over(), estate.fail_over()
    found = estate.recovery.instances([first.id, NOBODY, second.id, first.id])
    assert set(found) == {first.id, second.id}
    one = found[first.id]
    assert (one.id, one.arn, one.source_server) == (first.id, first.arn, first.source)
    assert (one.ec2_state, one.is_drill, one.origin) == ("RUNNING", False, "ON_PREMISES")
    assert (one.hostname, one.os, one.cpus, one.ram_bytes) == ("web", "Ubuntu 22.04.4 LTS", 2, 4 * GIB)
    assert {each.device: each.bytes for each in one.volumes} == VOLUMES
    assert all(each.volume.startswith("vol-") for each in one.volumes)
    assert one.tags == TAGS
    assert (one.failback_state, one.client, one.client_seen) == ("FAILBACK_NOT_STARTED", "", None)
    assert one.agent_seen is not None
    assert (one.steps, one.disks, one.lag) == ((), (), None)


def test_nobody_is_described_where_nobody_is_asked_for(estate: Estate) -> None:
    estate.fail_over()
    assert estate.recovery.instances([]) == {}
    assert estate.recovery.sources([]) == {}


def test_source_servers_tell_their_architecture(estate: Estate) -> None:
    left = estate.fail_over()
    found = estate.recovery.sources([left.source, "s-00000000000000fff"])
    assert {name: each.architecture for name, each in found.items()} == {left.source: "x86_64"}


def test_nothing_protects_a_source_server_while_it_is_failed_over(estate: Estate) -> None:
    left = estate.fail_over()
    assert estate.recovery.sources([left.source])[left.source].replication_state == "DISCONNECTED"


def test_a_configuration_is_set_and_set_back(estate: Estate) -> None:
    left = estate.fail_over()
    before = estate.recovery.configuration(left.id)
    changed = before.model_copy(update={"private_ip": not before.private_ip, "bandwidth_mbps": 50})
    estate.recovery.configure(left.id, changed)
    assert estate.recovery.configuration(left.id) == changed
    estate.recovery.configure(left.id, before)
    assert estate.recovery.configuration(left.id) == before
    with pytest.raises(REFUSED):
        estate.recovery.configuration(NOBODY)
    with pytest.raises(REFUSED):
        estate.recovery.configure(NOBODY, FailbackConfiguration())


def test_a_failback_is_stopped_where_there_is_one(estate: Estate) -> None:
    left = estate.fail_over()
    estate.begin(left)
    assert estate.recovery.instances([left.id])[left.id].failback_state == "FAILBACK_IN_PROGRESS"
    for _ in range(2):
        estate.recovery.stop(left.id)
        found = estate.recovery.instances([left.id])[left.id]
        assert (found.failback_state, found.client, found.client_seen) == ("FAILBACK_NOT_STARTED", "", None)
        assert (found.replication_state, found.steps, found.disks) == ("NOT_STARTED", (), ())
    estate.recovery.stop(NOBODY)


def test_tags_are_put_on_and_taken_off(estate: Estate) -> None:
    left = estate.fail_over()
    estate.recovery.mark(left.arn, {"drs-failback:target": "home", "owner": "us"})
    assert estate.recovery.instances([left.id])[left.id].tags == {**TAGS, "drs-failback:target": "home", "owner": "us"}
    estate.recovery.unmark(left.arn, ["drs-failback:target", "never-there"])
    estate.recovery.unmark(left.arn, [])
    assert estate.recovery.instances([left.id])[left.id].tags == {**TAGS, "owner": "us"}
    with pytest.raises(REFUSED):
        estate.recovery.mark(left.arn.replace(left.id, NOBODY), {"a": "b"})
