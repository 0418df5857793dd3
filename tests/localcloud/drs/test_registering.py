"""Our stages against the emulated DRS and EC2: a client is registered and given back, and each failing step is named.

The home is in memory; the client that registers is the embedded clouds' own, at the address that boot_client let in.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.aws.belongings import AwsBelongings
from failback.clouds.aws.hosts import Ec2Hosts
from failback.clouds.aws.recovery import DrsRecovery
from failback.errors import RegistrationFailed
from failback.initiation_advice import STEPS
from failback.model.recovery import INITIATION_STEPS
from failback.naming import TARGET_TAG
from localcloud.drs.plans import ClientPlan
from tests.client_bench import Bench, plan_of
from tests.home.memory_machines import MemoryInterface
from tests.localcloud.drs.place import HOME_ADDRESS, LONGEST_WAIT, MIB, Place, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localcloud.drs.records import RecoveryInstance

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("registering")) as place:
        yield place


def booted(place: Place, instance: RecoveryInstance) -> Bench:
    """A bench whose AWS is the emulated one, its machine booted at the client's address."""
    recovery: Any = DrsRecovery(place.drs)
    hosts: Any = Ec2Hosts(place.ec2)
    bench = Bench().failed("nothing", failed={}, server={"id": instance.id})
    bench.recovery, bench.hosts = recovery, hosts
    bench.aws = AwsBelongings(place.ec2, place.clouds.client("s3"), _bucket(place))
    bench.enlist(plan_of(instance.id, machine="web-18", group=instance.security_group))
    while bench.boot().status != "done":
        for name, interface in bench.machines.interfaces.items():
            bench.machines.interfaces[name] = MemoryInterface(HOME_ADDRESS, interface.tags, interface.looks)
    return bench


def _bucket(place: Place) -> str:
    place.clouds.client("s3").create_bucket(Bucket="drs-failback-images")
    return "drs-failback-images"


def registered(bench: Bench) -> Any:  # noqa: ANN401
    """Looks until it's done or fails."""
    end = time.monotonic() + LONGEST_WAIT
    while (result := bench.register()).status != "done":
        assert time.monotonic() < end, result.progress
        time.sleep(0.05)
    return result.facts


def test_a_client_is_registered_and_given_back_as_it_was(place: Place) -> None:
    instance = place.add(2 * MIB)
    place.drs.update_failback_replication_configuration(recoveryInstanceID=instance.id, bandwidthThrottling=7)
    bench = booted(place, instance)
    assert place.described(instance)["tags"][TARGET_TAG] == "azure-home"
    machine = place.machine(instance).start()
    facts = registered(bench)
    assert facts.client == place.described(instance)["failback"]["failbackClientID"]
    machine.stop()
    bench.failed("await_replication")
    while (result := bench.give_back()).status != "done":
        pass
    assert result.facts is not None
    assert result.facts.left == ()
    assert place.described(instance)["failback"]["state"] == "FAILBACK_NOT_STARTED"
    assert TARGET_TAG not in place.described(instance)["tags"]
    put_back = place.drs.get_failback_replication_configuration(recoveryInstanceID=instance.id)
    assert put_back["bandwidthThrottling"] == 7
    rules = place.ec2.describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [instance.security_group]}]
    )["SecurityGroupRules"]
    assert not [rule for rule in rules if rule.get("FromPort") == 1500]


@pytest.mark.parametrize("step", INITIATION_STEPS)
def test_a_failing_step_is_named(place: Place, step: str) -> None:
    instance = place.add(MIB, plan=ClientPlan(fail_step={step: "as the test wants it"}))
    bench = booted(place, instance)
    machine = place.machine(instance).start().end()
    assert machine.failure
    bench.machine.text += f"FAILBACK-AGENT failed client exit=1 last line: {machine.failure}\r\n"
    with pytest.raises(RegistrationFailed) as caught:
        registered(bench)
    assert f"step {step} failed (as the test wants it)" in str(caught.value)
    assert STEPS[step] in str(caught.value)
    assert machine.failure in str(caught.value)


def test_a_closed_port_is_told_by_the_step_that_needs_it(place: Place) -> None:
    instance = place.add(MIB, plan=ClientPlan(communication=False))
    bench = booted(place, instance)
    place.machine(instance).start().end()
    with pytest.raises(RegistrationFailed, match="1500"):
        registered(bench)
