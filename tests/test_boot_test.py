"""The boot test as a noun: begun, looked at, ended by the agent's mark or by what there was instead of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from failback import boot_test, console_marks, naming
from failback.errors import BootTestFailed
from failback.model.agent import AgentSettings
from failback.model.run import BootTest, BootTestCursor, HomeImage
from failback.model.stage import StageResult
from tests.home.memory import MemoryHomeImages, MemoryHomeMachines, MemoryImage

if TYPE_CHECKING:
    from tests.home.memory import MemoryMachine

RUN = "run-1"
IMAGE = HomeImage(id="memory/k", name="drs-failback-client-k", key="k")
NAME = naming.try_machine_name(RUN)
READY = f"FAILBACK-AGENT ready run={RUN} server=boot-test\r\n"
Result = StageResult[BootTest, BootTestCursor]


@dataclass
class Bench:
    """A home in memory with one image, a clock, and the stage's state from call to call."""

    machines: MemoryHomeMachines = field(default_factory=MemoryHomeMachines)
    images: MemoryHomeImages = field(default_factory=MemoryHomeImages)
    time: datetime = datetime(2026, 1, 2, tzinfo=UTC)
    result: Result | None = None

    def __post_init__(self) -> None:
        self.images.images["k"] = MemoryImage(IMAGE, bytearray(1), {}, whole=True)

    def now(self) -> datetime:
        return self.time

    def call(self, seconds: float = 15) -> Result:
        """One call, after `seconds` have gone by; the cursor travels as the state machine keeps it."""
        cursor = None
        if self.result is not None:
            self.time += timedelta(seconds=seconds)
            kept = Result.model_validate_json(self.result.model_dump_json())
            cursor = kept.cursor
        tags = naming.run_tags(RUN, datetime(2026, 1, 1, tzinfo=UTC))
        self.result = boot_test.try_boot(
            RUN, IMAGE, machines=self.machines, images=self.images, clock=self, cursor=cursor, tags=tags
        )
        return self.result

    def running(self) -> MemoryMachine:
        self.call()
        self.call()
        return self.machines.machines[NAME]

    def failure(self) -> str:
        """What the test ends with; not before its machine is gone."""
        while self.machines.state(NAME) != "absent" and NAME not in self.machines.going:
            assert self.call().status == "pending"
        with pytest.raises(BootTestFailed) as caught:
            self.call()
        assert self.machines.state(NAME) == "absent"
        assert not self.images.images["k"].notes
        return str(caught.value)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_machine_that_shows_the_mark_passes_once_it_is_gone(bench: Bench) -> None:
    machine = bench.running()
    settings = AgentSettings.from_text(machine.machine.user_data)
    assert settings.prepare
    assert settings.run == RUN
    assert machine.machine.tags[naming.RUN_TAG] == RUN
    assert machine.machine.firmware == "bios"
    machine.text = "[    0.1] Linux\r\nFAILBACK-AGENT started image=x\r\n"
    waiting = bench.call()
    assert (waiting.status, waiting.wait_seconds) == ("pending", boot_test.LOOK_AGAIN)
    assert waiting.facts is None
    machine.text += READY
    removing = bench.call()
    assert (removing.status, removing.wait_seconds) == ("pending", boot_test.GONE_YET)
    assert removing.progress is not None
    assert removing.progress.note == "removing the machine"
    done = bench.call(600)
    assert done.status == "done"
    assert done.facts is not None
    assert done.facts.mark == f"ready run={RUN} server=boot-test"
    assert done.facts.seconds == 45
    assert done.facts.image.tested
    assert bench.images.images["k"].notes == [done.facts.mark]
    assert bench.machines.machines == {}


def test_a_mark_counts_also_where_the_machine_is_off_already(bench: Bench) -> None:
    machine = bench.running()
    machine.text, machine.state = READY + "FAILBACK-AGENT poweroff ready\r\n", "stopped"
    bench.call()
    assert bench.call().status == "done"


def test_the_agent_s_own_failure_ends_it_with_its_words_and_the_console(bench: Bench) -> None:
    machine = bench.running()
    machine.text = "x" * 5000 + "\x1b[0;32mOK\x1b[0m\x07\r\nFAILBACK-AGENT failed settings none came\r\n"
    text = bench.failure()
    assert "its agent says: failed settings none came" in text
    assert "OK\nFAILBACK-AGENT failed" in text
    assert "\x1b" not in text
    assert len(text) < console_marks.TAIL + 500


def test_a_machine_that_stops_without_a_mark_gets_one_more_look(bench: Bench) -> None:
    """The console may come after the power state."""
    machine = bench.running()
    machine.state, machine.text = "stopped", "Kernel panic\r\n"
    assert bench.call().wait_seconds == boot_test.LOOK_AGAIN
    assert not bench.machines.going
    assert bench.call().wait_seconds == boot_test.GONE_YET
    assert bench.machines.going == {NAME}
    text = bench.failure()
    assert "turned itself off" in text
    assert "Kernel panic" in text


def test_a_late_console_saves_a_machine_that_stopped(bench: Bench) -> None:
    machine = bench.running()
    machine.state = "stopped"
    bench.call()
    machine.text = READY
    bench.call()
    assert bench.call().status == "done"


def test_silence_ends_it(bench: Bench) -> None:
    machine = bench.running()
    machine.text = "GRUB\r\n"
    assert bench.call(boot_test.SILENCE - 60).wait_seconds == boot_test.LOOK_AGAIN
    bench.call(60)
    text = bench.failure()
    assert "no mark of the agent within 20 minutes" in text
    assert text.endswith("GRUB")


def test_another_limit_of_silence_is_kept(bench: Bench) -> None:
    tags = naming.run_tags(RUN, datetime(2026, 1, 1, tzinfo=UTC))
    bench.running()
    cursor = bench.call().cursor
    bench.time += timedelta(seconds=100)
    result = boot_test.try_boot(
        RUN, IMAGE, machines=bench.machines, images=bench.images, clock=bench, cursor=cursor, tags=tags, silence=100
    )
    assert result.cursor is not None
    assert (result.cursor.removing, result.cursor.mark) == (True, "silent")


def test_a_machine_that_cannot_be_made_ends_it(bench: Bench) -> None:
    bench.running().state = "failed"
    text = bench.failure()
    assert "couldn't make or start it" in text
    assert text.endswith("(nothing)")


@pytest.mark.parametrize(
    ("console", "mark"),
    [
        ("", ""),
        ("FAILBACK-AGENT started image=x\r\n", ""),
        ("FAILBACK-AGENT warning ready or not\n", ""),
        ("FAILBACK-AGENT ready run=a", ""),
        ("FAILBACK-AGENT ready run=a \r\n", "ready run=a"),
        ("FAILBACK-AGENT readying\n", ""),
        ("[ 1.0] FAILBACK-AGENT failed x y\nFAILBACK-AGENT ready run=a\n", "failed x y"),
        ("FAILBACK-AGENT ready run=a\nFAILBACK-AGENT poweroff ready\n", "ready run=a"),
    ],
    ids=["empty", "begun", "warning", "half-a-line", "ready", "other-word", "first-counts", "powered-off"],
)
def test_marks_are_whole_lines_of_the_agent(console: str, mark: str) -> None:
    assert boot_test.find_mark(console) == mark


def test_a_long_run_name_is_cut_to_what_the_agent_takes(bench: Bench) -> None:
    name = "r" * 80
    tags = naming.run_tags(name, datetime(2026, 1, 1, tzinfo=UTC))
    boot_test.try_boot(name, IMAGE, machines=bench.machines, images=bench.images, clock=bench, cursor=None, tags=tags)
    (machine,) = bench.machines.machines.values()
    assert AgentSettings.from_text(machine.machine.user_data).run == "r" * 64
