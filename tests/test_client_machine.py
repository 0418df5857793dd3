"""Booting a server's client: the order of its steps, what each leaves, what's lost on the way, what goes wrong."""

from __future__ import annotations

import pytest

from failback.client_machine import ADDRESS_WAIT, MACHINE_WAIT
from failback.errors import ClientBootFailed, CloudBusy, NotReady
from failback.model.agent import AgentSettings
from failback.naming import SERVER_TAG, TARGET_TAG, run_tags
from tests.client_bench import BEFORE, GROUP, SERVER, Bench, plan_of
from tests.crashes import Crashes
from tests.memory.hosts import Rule

EGRESS = ("198.51.100.7/32", "198.51.100.64/30")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_steps_come_in_their_order(bench: Bench) -> None:
    bench.booted()
    first = list(dict.fromkeys(bench.crashes.calls))
    order = ["servers.remember", "recovery.configure", "recovery.mark", "machines.address", "hosts.admit",
             "machines.build"]  # fmt: skip
    assert [call for call in first if call in order] == order


def test_each_call_says_what_is_under_way(bench: Bench) -> None:
    interface, machine, done = bench.boot(), bench.boot(), bench.boot()
    assert (interface.status, interface.wait_seconds) == ("pending", ADDRESS_WAIT)
    assert (machine.status, machine.wait_seconds) == ("pending", MACHINE_WAIT)
    assert machine.progress is not None
    assert machine.progress.note == "making machine web-18 and its 2 disks"
    assert done.status == "done"
    assert done.facts is not None
    (rule,) = bench.hosts.rules
    assert (done.facts.machine, done.facts.address, done.facts.rule) == ("web-18", "10.30.0.4", rule)


def test_the_recovery_instance_is_as_planned_and_its_past_is_kept(bench: Bench) -> None:
    bench.recovery.change(SERVER, tags={TARGET_TAG: "left over", "Name": "web"})
    bench.booted()
    record = bench.book.find(bench.state.run.id, SERVER)
    assert record is not None
    assert record.before is not None
    assert record.before.configuration == BEFORE
    assert record.before.tags == {TARGET_TAG: "left over"}
    assert record.before.groups == (GROUP,)
    assert record.before.original is None
    now = bench.recovery.configurations[SERVER]
    assert now == BEFORE.model_copy(update={"private_ip": True, "bandwidth_mbps": 200})
    assert bench.recovery.known[SERVER].tags == {TARGET_TAG: "azure-home", "Name": "web"}


def test_the_machine_and_its_disks_are_those_of_the_plan(bench: Bench) -> None:
    bench.booted()
    machine, tags = bench.machine.machine, run_tags(bench.state.run.id, bench.state.run.started, server=SERVER)
    assert machine.tags == tags
    assert tags[SERVER_TAG] == SERVER
    assert machine.identity.endswith("/failback-client")
    assert (machine.firmware, machine.os, machine.size) == ("bios", "linux", "small")
    boot, data = machine.disks
    assert (boot.lun, boot.size_gib, boot.os, boot.firmware) == (0, 8, "linux", "bios")
    assert (data.lun, data.size_gib, data.os, data.firmware) == (1, 32, None, None)
    (rule,) = bench.hosts.rules.values()
    assert (rule.group, rule.cidr, rule.tags) == (GROUP, "10.30.0.4/32", tags)


def test_the_way_to_port_1500_is_open_before_the_machine_is_begun(bench: Bench) -> None:
    bench.boot()
    assert not bench.hosts.rules
    assert not bench.machines.machines
    calls = undisturbed().crashes.calls
    bench.crashes.at = calls.index("machines.build")
    with pytest.raises(CloudBusy):
        bench.boot()
    assert bench.hosts.rules
    assert not bench.machines.machines


def test_the_client_is_told_whose_it_is_and_which_disk_is_which(bench: Bench) -> None:
    bench.booted()
    told = AgentSettings.from_text(bench.machine.machine.user_data)
    assert (told.run, told.server, told.recovery_instance) == (bench.state.run.id, SERVER, SERVER)
    assert (told.region, told.credentials, told.duration) == ("eu-west-1", "web-identity", 3600)
    assert told.role_arn == "arn:aws:iam::111122223333:role/drs-failback-client-azure-home"
    assert told.audience == "api://00000000-0000-4000-8000-000000000005"
    assert told.role_session == SERVER
    assert (told.sts_endpoint, told.drs_endpoint, told.ca_certificates) == (None, "", None)
    assert [each.to_text() for each in told.mapping] == [
        f"/dev/xvda lun=0 size={8 << 30}",
        f"/dev/xvdb lun=1 size={32 << 30}",
        "/dev/xvdc exclude",
    ]


def test_embedded_clouds_say_where_they_are(bench: Bench) -> None:
    certificates = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
    update = {"client_sts": "https://sts.test/", "client_drs": "http://169.254.169.252"}
    bench.settings = bench.settings.model_copy(update={**update, "client_certificates": certificates})
    bench.booted()
    told = AgentSettings.from_text(bench.machine.machine.user_data)
    assert (told.sts_endpoint, told.drs_endpoint) == ("https://sts.test/", "http://169.254.169.252")
    assert told.ca_certificates == certificates


def test_a_target_with_keys_on_demand_gives_none_at_the_start(bench: Bench) -> None:
    bench.target(client={"kind": "keys"})
    bench.booted()
    told = AgentSettings.from_text(bench.machine.machine.user_data)
    assert (told.credentials, told.access_key, told.role_arn) == ("keys", None, None)
    assert bench.machine.machine.identity == ""


def test_a_helper_boots_by_what_the_client_takes_and_its_disk_by_what_the_server_does(bench: Bench) -> None:
    bench.add(plan_of(way="helper", machine="helper-1", firmware="uefi", os="windows"))
    bench.booted()
    machine = bench.machines.machines["helper-1"].machine
    assert (machine.firmware, machine.os) == ("bios", "windows")
    assert (machine.disks[0].os, machine.disks[0].firmware) == ("windows", "uefi")


def test_public_ways_admit_the_targets_ways_out(bench: Bench) -> None:
    bench.add(plan_of(private_ip=False))
    bench.target(egress=EGRESS)
    facts = bench.booted().state.boot_client
    assert {rule.cidr for rule in bench.hosts.rules.values()} == set(EGRESS)
    assert facts is not None
    assert facts.facts is not None
    assert facts.facts.rule == ",".join(bench.hosts.rules)


def test_an_open_way_is_left_as_it_is(bench: Bench) -> None:
    bench.hosts.open(Rule(GROUP, "10.0.0.0/8"))
    done = bench.booted().state.boot_client
    assert len(bench.hosts.rules) == 1
    assert done is not None
    assert done.facts is not None
    assert done.facts.rule == ""


def test_public_ways_without_ways_out_are_refused(bench: Bench) -> None:
    bench.add(plan_of(private_ip=False))
    bench.boot()
    with pytest.raises(ClientBootFailed, match="egress"):
        bench.boot()


def test_a_target_without_a_way_for_clients_is_refused(bench: Bench) -> None:
    bench.target(client=None)
    bench.boot()
    with pytest.raises(NotReady, match="azure-home doesn't say how its client machines"):
        bench.boot()


def test_an_image_that_is_gone_ends_it(bench: Bench) -> None:
    bench.images.images.clear()
    with pytest.raises(ClientBootFailed, match="isn't at home any more"):
        bench.boot()
    assert not bench.machines.interfaces


def test_a_recovery_instance_that_is_gone_ends_it(bench: Bench) -> None:
    del bench.recovery.known[SERVER]
    with pytest.raises(ClientBootFailed, match=f"{SERVER} .* isn't there any more"):
        bench.boot()


def test_a_recovery_instance_that_ec2_does_not_know_ends_it(bench: Bench) -> None:
    bench.hosts.known.clear()
    with pytest.raises(ClientBootFailed, match=f"{SERVER} .* isn't there any more"):
        bench.boot()
    assert bench.recovery.configurations[SERVER] == BEFORE


@pytest.mark.parametrize(("state", "words"), [("failed", "activity log"), ("stopped", "turned itself off")])
def test_a_machine_that_does_not_come_up_ends_it_with_its_console(bench: Bench, state: str, words: str) -> None:
    bench.boot()
    bench.boot()
    bench.machine.state = "failed" if state == "failed" else "stopped"
    bench.machine.text = "\x1b[31mKernel panic\x1b[0m\r\n"
    with pytest.raises(ClientBootFailed, match=words) as caught:
        bench.boot()
    assert str(caught.value).endswith("Kernel panic")


def test_a_machine_without_a_console_says_so(bench: Bench) -> None:
    bench.boot()
    bench.boot()
    bench.machine.state = "failed"
    with pytest.raises(ClientBootFailed, match=r"\(nothing\)"):
        bench.boot()


def whole(bench: Bench) -> tuple[object, ...]:
    """All that there is at the end."""
    machines = {name: (each.machine, each.state, each.told) for name, each in bench.machines.machines.items()}
    return machines, bench.machines.disks, list(bench.hosts.rules.values()), bench.recovery.known, bench.book.records


def undisturbed() -> Bench:
    return Bench().booted()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(len(undisturbed().crashes.calls)))
def test_a_lost_call_changes_nothing_about_the_end(at: int, after: bool) -> None:
    bench = Bench(crashes=Crashes(at=at, after=after))
    with pytest.raises(CloudBusy):
        bench.booted()
    bench.booted()
    assert whole(bench) == whole(undisturbed())
    record = bench.book.find(bench.state.run.id, SERVER)
    assert record is not None
    assert record.before is not None
    assert record.before.configuration == BEFORE
