"""The change to the server itself: by each way home from the client off to the server running; and its refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from failback.cut_over import LONGEST_SHUTDOWN, LOOK_AGAIN
from failback.errors import CloudBusy, CloudRefused, CutOverFailed
from failback.model.stage import StageResult
from failback.model.way_home import HoldEnd, Launched
from failback.naming import RUN_TAG, run_tags
from tests.client_bench import SERVER, Bench, plan_of
from tests.crashes import Crashes
from tests.servers_at_home import HELPER, ORIGINAL, OWN_DISKS, WAYS, bench_of, plan_for, whole

if TYPE_CHECKING:
    from tests.home.memory_documents import Document


def at_home(way: str, crashes: Crashes | None = None) -> Bench:
    """A bench whose server is launched, and whose client has turned itself off."""
    bench = bench_of(way).booted().launched().shut_down(plan_for(way).machine)
    bench.crashes = crashes or Crashes()
    return bench


def own_document(bench: Bench) -> Document:
    document = bench.takeovers.document("web-18")
    assert document is not None
    return document


def test_the_machine_that_booted_the_client_becomes_the_server() -> None:
    bench = at_home("new")
    facts = bench.changed_over()
    document = own_document(bench)
    assert document["boot"] == "web-18-data-0"
    assert document["data"] == [{"disk": "web-18-data-1", "lun": 1, "caching": ""}]
    assert (document["user_data"], document["identities"]) == (None, [])
    assert document["tags"] == run_tags(bench.state.run.id, bench.state.run.started, server=SERVER)
    assert bench.machines.machines["web-18"].state == "running"
    assert facts.machine == "web-18"
    assert bench.takeovers.user_of("web-18-disk") == ""


def test_a_helping_machine_lets_its_disks_go_into_a_machine_of_the_servers_own() -> None:
    bench = at_home("helper")
    assert bench.changed_over().machine == "web-18"
    helper, own = bench.takeovers.document(HELPER), own_document(bench)
    assert helper is not None
    assert (helper["boot"], helper["data"], helper["identities"]) == (f"{HELPER}-disk", [], [])
    assert (own["boot"], own["size"], own["firmware"]) == ("web-18-data-0", "large", "bios")
    assert [each["disk"] for each in own["data"]] == ["web-18-data-1"]
    assert own["tags"] == run_tags(bench.state.run.id, bench.state.run.started, server=SERVER)
    assert [bench.machines.machines[each].state for each in (HELPER, "web-18")] == ["stopped", "running"]


def test_a_helpers_disks_go_into_the_machine_that_was_failed_over() -> None:
    bench = at_home("helper-into-original")
    before = bench.record.before
    assert before is not None
    assert before.original is not None
    assert bench.changed_over().machine == ORIGINAL
    own = own_document(bench)
    assert own["boot"] == "web-18-data-0"
    assert own["data"] == [{"disk": "web-18-data-1", "lun": 5, "caching": "ReadOnly"}]
    check_as_before(own, before.original.document)
    assert [bench.takeovers.user_of(disk.name) for disk in OWN_DISKS] == ["", "", ""]


@pytest.mark.parametrize("way", ["original", "overwrite"])
def test_the_machine_that_was_failed_over_gets_its_disks_back_where_they_were(way: str) -> None:
    bench = at_home(way)
    before = bench.record.before
    assert before is not None
    assert before.original is not None
    assert bench.changed_over().machine == ORIGINAL
    own, end = own_document(bench), "-clone" if way == "original" else ""
    assert own["boot"] == f"web-os{end}"
    assert own["data"] == [
        {"disk": f"web-logs{end}", "lun": 5, "caching": "ReadOnly"},
        {"disk": "web-scratch", "lun": 9, "caching": ""},
    ]
    check_as_before(own, before.original.document)
    assert bench.machines.machines[ORIGINAL].state == "running"


def check_as_before(now: Document, before: Document) -> None:
    """All but its disks, and whose it is for the time being."""
    parts = ("id", "size", "os", "firmware", "user_data", "identities", "caching")
    assert {part: now[part] for part in parts} == {part: before[part] for part in parts}
    assert before["tags"].items() <= now["tags"].items()
    assert RUN_TAG not in now["tags"]


def test_originals_lie_untouched_while_the_server_runs_from_their_clones() -> None:
    bench = at_home("original")
    bench.changed_over()
    for disk in OWN_DISKS:
        assert bench.takeovers.contents[disk.name] == f"{disk.name} as it was"
        assert not bench.machines.disks[disk.name].tags
    assert [bench.takeovers.user_of(name) for name in ("web-os", "web-logs")] == ["", ""]


def test_each_call_says_what_is_under_way() -> None:
    bench = bench_of("helper-into-original").booted().launched()
    told = []
    for _ in range(2):
        told.append(note_of(bench.cut_over()))
    bench.shut_down(HELPER)
    while (result := bench.cut_over()).status != "done":
        told.append(note_of(result))
    assert list(dict.fromkeys(told)) == [
        ("pending", LOOK_AGAIN, 0, f"waiting until {HELPER} turns itself off"),
        ("more", 0, 1, "the client machine is off"),
        ("pending", LOOK_AGAIN, 1, f"taking the replicated disks out of {HELPER}"),
        ("pending", LOOK_AGAIN, 2, "putting the replicated disks into web-18"),
        ("more", 0, 2, "its console is noted"),
        ("pending", LOOK_AGAIN, 3, "starting web-18"),
    ]
    assert result.progress is not None
    assert (result.progress.done, result.progress.total) == (4, 4)


def note_of(result: StageResult[object, object]) -> tuple[str, int, int, str]:
    assert result.progress is not None
    return result.status, result.wait_seconds, result.progress.done, result.progress.note


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_touched_while_the_client_runs(way: str) -> None:
    bench = bench_of(way).booted().launched()
    before = whole(bench)
    for _ in range(5):
        assert bench.cut_over().status == "pending"
    assert whole(bench) == before
    assert bench.record.milestones.started is None


def test_a_client_that_never_turns_itself_off_is_told_with_its_console() -> None:
    bench = bench_of("new").booted().launched()
    bench.cut_over()
    before = whole(bench)
    bench.machine.text = "\x1b[31mUnmounting\x1b[0m\r\n"
    assert bench.cut_over(LONGEST_SHUTDOWN - 1).status == "pending"
    with pytest.raises(CutOverFailed, match="still runs after 15 minutes") as caught:
        bench.cut_over(1)
    assert str(caught.value).endswith("Unmounting")
    assert whole(bench) == before
    assert bench.record.milestones.started is None


def test_one_that_is_tried_again_has_its_time_again() -> None:
    bench = bench_of("new").booted().launched()
    bench.cut_over()
    with pytest.raises(CutOverFailed, match=r"\(nothing\)"):
        bench.cut_over(LONGEST_SHUTDOWN)
    held = HoldEnd(next="cut_over", at=bench.clock.now() + timedelta(hours=20))
    bench.clock.forward(hours=20)
    result = StageResult[HoldEnd, None](status="done", facts=held).model_dump(mode="json")
    bench.failed("nothing", failed={}, hold_server=result)
    assert bench.cut_over().status == "pending"
    with pytest.raises(CutOverFailed, match="15 minutes"):
        bench.cut_over(LONGEST_SHUTDOWN)
    bench.shut_down("web-18").changed_over()
    assert own_document(bench)["boot"] == "web-18-data-0"


@pytest.mark.parametrize(("how", "words"), [("failed", "has failed"), ("absent", "isn't at home any more")])
def test_a_client_machine_that_is_lost_ends_it(how: str, words: str) -> None:
    bench = bench_of("helper").booted().launched()
    if how == "absent":
        assert bench.machines.remove(HELPER) or bench.machines.remove(HELPER)
    else:
        bench.machines.machines[HELPER].state = "failed"
    with pytest.raises(CutOverFailed, match=words):
        bench.cut_over()
    assert "web-18" not in bench.machines.machines


@pytest.mark.parametrize("missing", ["milestone", "facts"])
@pytest.mark.parametrize("way", WAYS)
def test_no_disk_is_moved_before_the_launch_has_succeeded(way: str, missing: str) -> None:
    bench = bench_of(way).booted().shut_down(plan_for(way).machine)
    facts = Launched(job="drsjob-1", at=bench.clock.now())
    launched = StageResult[Launched, None](status="done", facts=facts)
    if missing == "milestone":
        bench.state = bench.state.model_copy(update={"await_launch": launched})
    else:
        bench.book.reach(bench.state.run.id, SERVER, "launched", bench.clock.now())
    before = whole(bench)
    with pytest.raises(CutOverFailed, match="isn't launched as far as this run knows"):
        bench.cut_over()
    assert whole(bench) == before
    assert bench.record.milestones.started is None


@pytest.mark.parametrize("way", WAYS)
def test_it_is_noted_that_the_server_may_serve_just_before_it_is_started(way: str) -> None:
    bench = at_home(way)
    machines = bench.machines.machines
    while bench.cut_over().status != "done":
        runs = "web-18" in machines and machines["web-18"].state == "running"
        # The machine that was failed over ran by itself before: the helper's way turns it off only here.
        if bench.record.milestones.started is None and way != "helper-into-original":
            assert not runs
    calls = bench.crashes.calls
    noted = calls.index("servers.reach")
    assert "takeovers.arrange" in calls[noted:]
    assert calls.count("servers.reach") == 1
    started = bench.record.milestones.started
    result = bench.state.cut_over
    assert result is not None
    assert result.facts is not None
    assert result.facts.started == started


@pytest.mark.parametrize("way", WAYS)
def test_all_disks_are_in_their_places_by_then_but_for_a_machine_that_is_yet_to_be_made(way: str) -> None:
    bench = at_home(way)
    calls = ended(way).crashes.calls
    bench.crashes.at = calls.index("servers.reach")
    with pytest.raises(CloudBusy):
        bench.changed_over()
    if way == "helper":
        assert "web-18" not in bench.machines.machines
        assert bench.takeovers.user_of("web-18-data-0") == ""
    else:
        assert own_document(bench)["boot"] == plan_for(way).disks[0].name
        assert bench.machines.machines["web-18"].state == "stopped"


def test_a_server_that_was_started_is_not_turned_off_by_a_call_that_comes_late() -> None:
    bench = at_home("new")
    late = bench.state
    bench.changed_over()
    steps = list(bench.takeovers.done)
    bench.state = late
    assert bench.changed_over().started == bench.record.milestones.started
    assert bench.takeovers.done == steps
    assert bench.machines.machines["web-18"].state == "running"


def test_another_runs_disk_is_not_taken() -> None:
    bench = at_home("new")
    bench.machines.disks["web-18-data-1"].tags = {RUN_TAG: "another-run"}
    with pytest.raises(CloudRefused, match="another run's"):
        bench.changed_over()
    assert bench.record.milestones.started is None


def test_a_helping_machine_that_somebody_removed_has_let_its_disks_go() -> None:
    bench = at_home("helper")
    assert bench.cut_over().status == "more"
    del bench.machines.machines[HELPER]
    assert bench.changed_over().machine == "web-18"
    assert own_document(bench)["boot"] == "web-18-data-0"


def test_a_disk_that_takes_a_volume_at_a_place_of_its_own_keeps_it() -> None:
    bench = at_home("new")
    disks = [disk.model_copy(update={"home_lun": 7}) if disk.lun else disk for disk in plan_of().disks]
    bench.book.plan(bench.state.run.id, plan_of(disks=tuple(disks)))
    bench.changed_over()
    assert [each["lun"] for each in own_document(bench)["data"]] == [7]


def ended(way: str) -> Bench:
    bench = at_home(way)
    bench.changed_over()
    return bench


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("way", WAYS)
def test_a_lost_call_changes_nothing_about_the_end(way: str, after: bool) -> None:
    """Each call in its turn."""
    undisturbed = ended(way)
    for at in range(len(undisturbed.crashes.calls)):
        lose_call(way, at, after, undisturbed)


def lose_call(way: str, at: int, after: bool, undisturbed: Bench) -> None:
    bench = at_home(way, Crashes(at=at, after=after))
    with pytest.raises(CloudBusy):
        bench.changed_over()
    bench.changed_over()
    assert whole(bench) == whole(undisturbed)
    assert bench.record.milestones.started is not None
    assert bench.takeovers.done == undisturbed.takeovers.done


@pytest.mark.parametrize("way", WAYS)
def test_a_lost_result_changes_nothing_about_the_end(way: str) -> None:
    undisturbed = ended(way)
    for at in range(12):
        lose_result(way, at, undisturbed)


def lose_result(way: str, at: int, undisturbed: Bench) -> None:
    bench = at_home(way)
    for _ in range(at):
        bench.cut_over()
    before = bench.state
    bench.cut_over()
    bench.state = before
    bench.changed_over()
    assert whole(bench) == whole(undisturbed)
    assert bench.takeovers.done == undisturbed.takeovers.done
