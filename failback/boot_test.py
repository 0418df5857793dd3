"""Testing that a client image boots at home: a throw-away machine, the agent's mark on its console, and away with it.

Level-triggered, and nothing waits. A machine that failed the test is removed before the failure is told, like one that
passed it; only where the home itself refuses something what's there already is left for giving back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback import naming
from failback.console_marks import read_marks, tail
from failback.errors import BootTestFailed
from failback.home_ports import MachineToBuild
from failback.model.agent import AgentSettings
from failback.model.run import BootTest, BootTestCursor
from failback.model.stage import Progress, StageResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.home_ports import HomeImages, HomeMachines
    from failback.model.run import HomeImage
    from failback.ports import Clock

SILENCE = 20 * 60
"""Seconds without the agent's mark that fail the test: a machine is there after two to three minutes and boots in two;
Azure's console may be minutes behind. The rest is for slow days."""

LOOK_AGAIN, GONE_YET = 15, 10
"""Seconds between two looks: Azure renews the console about every half minute; a machine takes minutes to go."""

LONGEST_RUN = 64
"""Characters of a run's name that the agent's settings take."""

_REASONS = {
    "stopped": "it turned itself off without the agent's mark",
    "silent": "it showed no mark of the agent",
    "broken": "the home couldn't make or start it",
}
_ADVICE = {
    "stopped": "Usually the guest crashed or found no disk; the console says where. Boot the image locally with "
    "`failback image boot` and compare.",
    "silent": "Usually it hangs in its boot, has no serial console, or found no network for its settings; the console "
    "says how far it came. Boot the image locally with `failback image boot` and compare.",
    "broken": "Look at its failed operation in the home's activity log; quotas and sizes are the usual causes.",
    "failed": "The mark says what the agent missed. Set that right, and start again.",
}


def try_boot(
    run: str,
    image: HomeImage,
    *,
    machines: HomeMachines,
    images: HomeImages,
    clock: Clock,
    cursor: BootTestCursor | None,
    tags: Mapping[str, str],
    silence: float = SILENCE,
) -> StageResult[BootTest, BootTestCursor]:
    """Begin or continue the test, by a BIOS as Linux servers are failed back.

    `pending` until the machine has shown its mark, for which it has `silence` seconds, and is gone again. Raises
    BootTestFailed with the mark and the console's end, once the machine that failed has been removed.
    """
    cursor = cursor or BootTestCursor(machine=naming.try_machine_name(run), began=clock.now())
    if not cursor.removing:
        machine = MachineToBuild(cursor.machine, image, "bios", _user_data(run), tags)
        cursor = _looked(cursor, machine, machines=machines, clock=clock, silence=silence)
    if not cursor.removing:
        return _pending(cursor, 1, "waiting for the agent's mark", LOOK_AGAIN)
    if not machines.remove(cursor.machine):
        return _pending(cursor, 2, "removing the machine", GONE_YET)
    if not cursor.mark.startswith("ready"):
        raise BootTestFailed(_failure(cursor))
    facts = BootTest(image=images.note_test(image, cursor.mark), mark=cursor.mark, seconds=cursor.seconds)
    return StageResult(status="done", progress=Progress(done=3, total=3, unit="steps"), cursor=cursor, facts=facts)


def find_mark(console: str) -> str:
    """The first mark on a console that decides a test, as `ready ...` or `failed ...`; empty while there's none."""
    decisive = (mark for mark in read_marks(console) if mark.state in {"ready", "failed"})
    return next((mark.text for mark in decisive), "")


def _user_data(run: str) -> str:
    name = run[:LONGEST_RUN]
    return AgentSettings(run=name, server="boot-test", prepare=True).to_text()


def _looked(
    cursor: BootTestCursor, machine: MachineToBuild, *, machines: HomeMachines, clock: Clock, silence: float
) -> BootTestCursor:
    """The cursor after a look at the machine: `removing` once it has said what it had to say, or won't any more."""
    state = machines.build(machine)
    console = "" if state in {"absent", "building"} else machines.console(machine.name)
    seconds = (clock.now() - cursor.began).total_seconds()
    mark = find_mark(console)
    if not mark and state == "failed":
        mark = "broken"
    elif not mark and state == "stopped":
        if cursor.mark != "stopped":
            # The console may be behind the machine: one more look.
            return cursor.model_copy(update={"mark": "stopped"})
        mark = "stopped"
    elif not mark and seconds >= silence:
        mark = "silent"
    if not mark:
        return cursor
    ended = {"removing": True, "mark": mark, "seconds": seconds, "console": tail(console)}
    return cursor.model_copy(update=ended)


def _failure(cursor: BootTestCursor) -> str:
    reason = _REASONS.get(cursor.mark, f"its agent says: {cursor.mark}")
    advice = _ADVICE[cursor.mark.partition(" ")[0]]
    console = cursor.console or "(nothing)"
    time = f" within {max(1, int(cursor.seconds) // 60)} minutes" if cursor.mark == "silent" else ""
    return f"The throw-away machine didn't pass: {reason}{time}. {advice} The end of its console:\n{console}"


def _pending(cursor: BootTestCursor, done: int, note: str, wait: int) -> StageResult[BootTest, BootTestCursor]:
    progress = Progress(done=done, total=3, unit="steps", note=note)
    return StageResult(status="pending", wait_seconds=wait, progress=progress, cursor=cursor)
