"""Booting the client in the machine that was failed over: the order, what it's made of then, and what's left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import ClientBootFailed, CloudBusy, CloudRefused, OriginalChanged
from failback.model.agent import AgentSettings
from failback.naming import PREFIX, RUN_TAG, run_tags
from failback.original_client import COPY_WAIT, DISK_WAIT, MACHINE_WAIT, OFF_WAIT, client_disk_name, snapshot_name
from tests.client_bench import BEFORE, GROUP, SERVER, Bench
from tests.crashes import Crashes
from tests.servers_at_home import ORIGINAL, OWN_DISKS, bench_of, plan_for, whole

if TYPE_CHECKING:
    from failback.takeover_ports import ClientDisk

OWN = [disk.name for disk in OWN_DISKS]


@pytest.fixture
def bench() -> Bench:
    return bench_of("original")


def disk_of_the_client(bench: Bench) -> str:
    return client_disk_name(bench.state.run.id, SERVER)


def test_the_steps_come_in_their_order(bench: Bench) -> None:
    bench.booted()
    first = list(dict.fromkeys(bench.crashes.calls))
    order = ["takeovers.find", "servers.remember", "recovery.configure", "recovery.mark", "takeovers.power_off",
             "takeovers.copy", "takeovers.client_disk", "hosts.admit", "takeovers.arrange"]  # fmt: skip
    assert [call for call in first if call in order] == order


def test_each_call_says_what_is_under_way(bench: Bench) -> None:
    told = []
    while (result := bench.boot()).status != "done":
        assert result.progress is not None
        told.append((result.progress.done, result.progress.note, result.wait_seconds))
    notes = list(dict.fromkeys(told))
    assert notes == [
        (1, "turning web-18 off", OFF_WAIT),
        (2, "making copies of 2 disks", COPY_WAIT),
        (3, "making the client's disk", DISK_WAIT),
        (4, "putting the client's disk into web-18, with the 2 that it writes to", MACHINE_WAIT),
    ]
    assert result.progress is not None
    assert (result.progress.done, result.progress.total) == (5, 5)


def test_the_client_runs_in_the_machine_with_the_clones(bench: Bench) -> None:
    address = bench.machines.interfaces[ORIGINAL].address
    facts = bench.booted().state.boot_client
    document = bench.takeovers.document(ORIGINAL)
    assert document is not None
    assert document["boot"] == disk_of_the_client(bench)
    assert document["data"] == [
        {"disk": "web-os-clone", "lun": 0, "caching": ""},
        {"disk": "web-logs-clone", "lun": 1, "caching": ""},
    ]
    assert document["identities"][0] == "own identity"
    assert document["identities"][1].endswith("/failback-client")
    assert bench.machines.machines[ORIGINAL].state == "running"
    assert facts is not None
    assert facts.facts is not None
    (rule,) = bench.hosts.rules
    assert (facts.facts.machine, facts.facts.address, facts.facts.rule) == (ORIGINAL, address, rule)
    assert bench.hosts.rules[rule].cidr == f"{address}/32"


def test_the_client_is_told_whose_it_is_and_which_disk_is_which(bench: Bench) -> None:
    bench.booted()
    told = AgentSettings.from_text(bench.machines.machines[ORIGINAL].machine.user_data)
    assert (told.run, told.server) == (bench.state.run.id, SERVER)
    assert [each.to_text() for each in told.mapping] == [
        f"/dev/xvda lun=0 size={8 << 30}",
        f"/dev/xvdb lun=1 size={32 << 30}",
        "/dev/xvdc exclude",
    ]


def test_the_clones_are_the_runs_and_as_their_originals(bench: Bench) -> None:
    bench.booted()
    tags = run_tags(bench.state.run.id, bench.state.run.started, server=SERVER)
    for disk, lun in (("web-os", 0), ("web-logs", 1)):
        clone = bench.machines.disks[f"{disk}-clone"]
        assert clone.tags == tags
        assert clone.disk.sku == bench.machines.disks[disk].disk.sku
        assert bench.takeovers.contents[f"{disk}-clone"] == f"{disk} as it was"
        assert bench.takeovers.snapshots[snapshot_name(bench.state.run.id, SERVER, lun)] == tags
    client = bench.machines.disks[disk_of_the_client(bench)]
    assert (client.tags, client.disk.os, client.disk.firmware) == (tags, "linux", "bios")


def test_the_clients_disk_is_made_where_the_machine_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ClientDisk] = []
    make = bench.takeovers.client_disk

    def noted(disk: ClientDisk) -> bool:
        asked.append(disk)
        return make(disk)

    monkeypatch.setattr(bench.takeovers, "client_disk", noted)
    machine = bench.takeovers.find(ORIGINAL)
    bench.booted()
    assert asked
    assert [disk.like for disk in asked] == [machine] * len(asked)


def test_the_machine_and_its_disks_never_carry_a_tag_by_which_they_could_be_removed(bench: Bench) -> None:
    while bench.boot().status != "done":
        document = bench.takeovers.document(ORIGINAL)
        assert document is not None
        assert RUN_TAG not in document["tags"]
        assert not [name for name in OWN if bench.machines.disks[name].tags]
        assert not bench.machines.interfaces[ORIGINAL].tags
    assert [bench.takeovers.user_of(name) for name in OWN] == ["", "", ""]
    assert [bench.takeovers.contents[name] for name in OWN] == [f"{name} as it was" for name in OWN]


def test_how_all_was_is_written_down_before_anything_is_changed() -> None:
    bench = bench_of("original")
    machine, before = bench.takeovers.find(ORIGINAL), whole(bench)
    bench.crashes.at = bench_of("original").booted().crashes.calls.index("recovery.configure")
    with pytest.raises(CloudBusy):
        bench.boot()
    found = bench.record.before
    assert found is not None
    assert (found.configuration, found.groups, found.original) == (BEFORE, (GROUP,), machine)
    assert whole(bench) == before | {"before": found}


def test_it_is_off_and_copied_before_its_disks_are_exchanged(bench: Bench) -> None:
    calls = bench_of("original").booted().crashes.calls
    bench.crashes.at = calls.index("takeovers.arrange")
    with pytest.raises(CloudBusy):
        bench.booted()
    document, before = bench.takeovers.document(ORIGINAL), bench.record.before
    assert before is not None
    assert before.original is not None
    assert document == before.original.document
    assert bench.machines.machines[ORIGINAL].state == "stopped"
    assert len(bench.takeovers.snapshots) == 2
    assert {"web-os-clone", "web-logs-clone", disk_of_the_client(bench)} < set(bench.machines.disks)
    assert bench.hosts.rules


def test_the_client_is_not_turned_off_once_its_machine_is_being_put_together(bench: Bench) -> None:
    bench.booted()
    steps = bench.takeovers.done
    assert steps.count(f"{ORIGINAL}: off") == 1
    assert steps[-1] == f"{ORIGINAL}: on, from {disk_of_the_client(bench)}"
    calls = bench.crashes.calls
    assert "takeovers.power_off" not in calls[calls.index("takeovers.arrange") :]


def test_overwriting_makes_snapshots_and_writes_to_its_own_disks() -> None:
    bench = bench_of("overwrite").booted()
    document = bench.takeovers.document(ORIGINAL)
    assert document is not None
    assert [each["disk"] for each in document["data"]] == ["web-os", "web-logs"]
    assert sorted(bench.takeovers.taken.values()) == ["web-logs as it was", "web-os as it was"]
    assert set(bench.machines.disks) == {*OWN, disk_of_the_client(bench)}
    assert not [name for name in OWN if bench.machines.disks[name].tags]


def test_overwriting_waits_for_the_snapshots() -> None:
    bench = bench_of("overwrite")
    calls = bench_of("overwrite").booted().crashes.calls
    bench.crashes.at = calls.index("takeovers.arrange")
    with pytest.raises(CloudBusy):
        bench.booted()
    assert len(bench.takeovers.snapshots) == 2


def test_originals_are_not_written_to_by_a_plan_that_takes_them_for_clones(bench: Bench) -> None:
    own = plan_for("overwrite").model_copy(update={"overwrite": False})
    bench.book.plan(bench.state.run.id, own)
    with pytest.raises(CloudRefused, match="something else made it"):
        bench.booted()
    assert bench.takeovers.document(ORIGINAL) is not None
    assert bench.takeovers.user_of("web-os") == ORIGINAL
    assert not [step for step in bench.takeovers.done if ": on, from" in step]


def test_a_machine_that_is_gone_ends_it_before_anything_is_changed(bench: Bench) -> None:
    del bench.machines.machines[ORIGINAL]
    refused(bench, "web-18, which web-18 .* isn't at home any more")


def test_a_disk_of_another_size_ends_it(bench: Bench) -> None:
    larger = [disk.model_copy(update={"size_gib": 9}) if disk.lun is None else disk for disk in OWN_DISKS]
    bench.takeovers.put(ORIGINAL, larger)
    refused(bench, "its disk web-os has 9 GiB, not 8")


def test_a_disk_that_is_gone_ends_it(bench: Bench) -> None:
    bench.takeovers.put(ORIGINAL, OWN_DISKS[:1])
    refused(bench, "its disk web-logs, which takes /dev/xvdb, isn't in it")


@pytest.mark.parametrize("kind", ["obstacles", "barriers"])
def test_what_keeps_the_client_or_the_disks_out_ends_it(bench: Bench, kind: str) -> None:
    getattr(bench.takeovers, kind)[ORIGINAL] = ("its disks are encrypted in the guest",)
    refused(bench, "its disks are encrypted in the guest. Nothing was changed")


def test_ids_in_other_letters_are_the_same_ids(bench: Bench) -> None:
    plan = plan_for("original")
    disks = [disk.model_copy(update={"original": disk.original.upper()}) for disk in plan.disks]
    bench.book.plan(bench.state.run.id, plan.model_copy(update={"disks": tuple(disks)}))
    assert bench.boot().status == "pending"


def test_a_machine_without_an_address_has_no_way_to_port_1500(bench: Bench) -> None:
    del bench.machines.interfaces[ORIGINAL]
    with pytest.raises(ClientBootFailed, match=r"web-18 of web-18 .* has no private address"):
        bench.booted()
    assert not bench.hosts.rules


def test_a_helping_machine_leaves_the_original_alone_and_remembers_it() -> None:
    bench = bench_of("helper-into-original")
    machine = bench.takeovers.find(ORIGINAL)
    bench.booted()
    assert bench.record.before is not None
    assert bench.record.before.original == machine
    assert bench.takeovers.find(ORIGINAL) == machine


@pytest.mark.parametrize(("kind", "ends"), [("obstacles", False), ("barriers", True)])
def test_a_helping_machine_minds_only_what_keeps_disks_out(kind: str, ends: bool) -> None:
    bench = bench_of("helper-into-original")
    getattr(bench.takeovers, kind)[ORIGINAL] = ("it boots by what no client does",)
    if ends:
        refused(bench, "it boots by what no client does")
    else:
        bench.booted()


def test_another_makers_disk_is_not_taken_for_the_clone(bench: Bench) -> None:
    from failback.home_ports import DataDisk
    from tests.home.memory_machines import MemoryDisk

    bench.machines.disks["web-os-clone"] = MemoryDisk(DataDisk("web-os-clone", 8, 0), {"made": "by hand"}, "")
    with pytest.raises(CloudRefused, match="something else made it"):
        bench.booted()


def refused(bench: Bench, words: str) -> None:
    """It fails with these words, and nothing was changed, here or there."""
    before = whole(bench)
    with pytest.raises(OriginalChanged, match=words):
        bench.boot()
    assert whole(bench) == before
    assert before["before"] is None
    assert not [name for name in bench.recovery.known[SERVER].tags if name.startswith(PREFIX)]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("way", ["original", "overwrite", "helper-into-original", "helper"])
def test_a_lost_call_changes_nothing_about_the_end(way: str, after: bool) -> None:
    """Each call in its turn."""
    undisturbed = bench_of(way).booted()
    for at in range(len(undisturbed.crashes.calls)):
        lose_call(way, at, after, end=whole(undisturbed))


def lose_call(way: str, at: int, after: bool, *, end: dict[str, Any]) -> None:
    bench = bench_of(way, Crashes(at=at, after=after))
    with pytest.raises(CloudBusy):
        bench.booted()
    bench.booted()
    assert whole(bench) == end


@pytest.mark.parametrize("way", ["original", "overwrite"])
def test_a_lost_result_changes_nothing_about_the_end(way: str) -> None:
    end = whole(bench_of(way).booted())
    for at in range(14):
        lose_result(way, at, end=end)


def lose_result(way: str, at: int, *, end: dict[str, Any]) -> None:
    bench = bench_of(way)
    for _ in range(at):
        bench.boot()
    before = bench.state
    bench.boot()
    bench.state = before
    bench.booted()
    assert whole(bench) == end
