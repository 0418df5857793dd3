"""Proving that a server came up at home: the first sign of life counts, and then the customer's traffic hook is called.

Level-triggered, one look a call. That nothing was seen in time is no failure: the server may serve by then, so a person
looks at it. The sign is in the run's state before the hook is called, which is called once unless an answer is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from failback.console_marks import since, tail
from failback.errors import CloudBusy, FailbackError
from failback.model.stage import Progress, StageResult, cursor_of, facts_of
from failback.model.way_home import Verified, VerifyCursor
from failback.signs_of_life import look_for_signs
from failback.takeover_ports import Signs

if TYPE_CHECKING:
    from datetime import datetime

    from failback.clearing import Guard
    from failback.model.run import RunState
    from failback.model.way_home import CutOver
    from failback.ports import Clock
    from failback.signs_of_life import Sign
    from failback.takeover_ports import HomeSigns, Hooks, Probes

    Result = StageResult[Verified, VerifyCursor]

SHORTEST_WAIT, SHARE = 15, 60
"""Seconds between two looks in the first quarter of an hour, then a sixtieth of the time gone by: 30 after half an
hour, and 330 looks in the longest time that a request can give, 4,000 of the 25,000 events that an execution has."""
TRAFFIC_PATIENCE = 5 * 60
"""Seconds for which a traffic hook that's throttled, or doesn't answer in time, is called again."""
LONGEST_REMARK = 600
"""Characters of what a hook failed with."""


@dataclass(frozen=True, slots=True)
class ProofDesk:
    """What proving takes of the home, and of the customer's own functions."""

    signs: HomeSigns
    probes: Probes
    hooks: Hooks
    guard: Guard
    clock: Clock


def verify_server(state: RunState, desk: ProofDesk) -> Result:
    """Look once; `pending` until there's a sign of life, or the request's minutes are over.

    `more` once there is one and the traffic hook is left to be called.
    """
    own = state.needed(facts_of(state.cut_over), "a machine of the server's own")
    now = desk.clock.now()
    cursor = _cursor(state) or VerifyCursor(began=now)
    seen, blind = _look(own, desk)
    if cursor.signal:
        return _move_traffic(state, own, cursor, seen, desk)
    told = []
    for sign in _signs(state, own, seen, desk):
        if sign.positive:
            return _proven(state, own, cursor, sign, seen, now)
        told.append(sign.told)
    said = "; ".join([*([f"the home doesn't show it: {blind}"[:LONGEST_REMARK]] if blind else []), *told])
    return _unproven(state, own, cursor, said, seen, now)


def _cursor(state: RunState) -> VerifyCursor | None:
    """Where to go on; None to begin anew, where a person has had it tried again since."""
    cursor, tried_again = cursor_of(state.verify_server), facts_of(state.hold_server)
    if cursor and not cursor.signal and tried_again and tried_again.at > cursor.began:
        return None
    return cursor


def _look(own: CutOver, desk: ProofDesk) -> tuple[Signs, str]:
    """What the home shows of the machine; where it refuses to, whatever else may prove it is still asked."""
    try:
        seen = desk.guard(partial(desk.signs.look, own.machine))
        return replace(seen, console=since(seen.console, own.console)), ""
    except CloudBusy:
        raise
    except FailbackError as error:
        return Signs(running=True), str(error)


def _signs(state: RunState, own: CutOver, seen: Signs, desk: ProofDesk) -> list[Sign]:
    """What the signals say, up to the first that's positive."""
    choice, found = state.cutover.verify, []

    def ask() -> tuple[bool, str]:
        event = _event("verify", state, own, seen)
        try:
            answer = desk.guard(lambda: desk.hooks.call(choice.function or "", event))
        except FailbackError as error:
            # One that's busy, or out of order for a while, is asked again by the next look.
            return False, str(error)
        return answer.get("verified") is True, str(answer.get("said") or f"verified is {answer.get('verified')}")

    for sign in look_for_signs(choice, seen, desk.probes, ask, rehearsal=state.goal == "rehearse"):
        found.append(sign)
        if sign.positive:
            break
    return found


def _event(action: str, state: RunState, own: CutOver, seen: Signs, **more: str) -> dict[str, object]:
    """What a customer's function is called with."""
    return {
        "action": action,
        "run": state.run.id,
        "goal": state.goal,
        "server": state.one,
        "machine": own.machine,
        "address": seen.address,
        **more,
    }


def _proven(
    state: RunState, own: CutOver, cursor: VerifyCursor, sign: Sign, seen: Signs, now: datetime
) -> Result:  # fmt: skip
    cursor = cursor.model_copy(update={"signal": sign.signal, "said": sign.said, "seen": now})
    # Traffic is never led to a machine that's removed after its rehearsal.
    if state.cutover.traffic is None or state.goal == "rehearse":
        return _done(own, cursor, seen)
    progress = Progress(done=1, total=2, unit="steps", note=f"calling the traffic hook; {sign.told}")
    return StageResult(status="more", progress=progress, cursor=cursor)


def _move_traffic(state: RunState, own: CutOver, cursor: VerifyCursor, seen: Signs, desk: ProofDesk) -> Result:
    """Call the hook; one that fails doesn't make the server less proven, but a person has to know."""
    function, waited = state.cutover.traffic or "", desk.clock.now() - (cursor.seen or cursor.began)
    event = _event("traffic", state, own, seen, signal=cursor.signal, token=f"{state.run.id}/{state.one}")
    try:
        desk.guard(lambda: desk.hooks.call(function, event))
    except CloudBusy as error:
        if waited.total_seconds() < TRAFFIC_PATIENCE:
            progress = Progress(done=1, total=2, unit="steps", note=f"the traffic hook: {error}"[:LONGEST_REMARK])
            return StageResult(status="pending", wait_seconds=SHORTEST_WAIT, progress=progress, cursor=cursor)
        return _done(own, cursor, seen, _unmoved(function, error))
    except FailbackError as error:
        return _done(own, cursor, seen, _unmoved(function, error))
    return _done(own, cursor, seen)


def _unmoved(function: str, error: FailbackError) -> str:
    why = str(error)[:LONGEST_REMARK]
    return (
        f"The traffic hook {function} failed: {why} The server is up at home, but its traffic may still go to AWS: "
        "look where it goes, and move it yourself before you accept the server."
    )


def _done(own: CutOver, cursor: VerifyCursor, seen: Signs, *remarks: str) -> Result:
    facts = Verified(
        verified=True,
        signal=cursor.signal,
        said=cursor.said,
        seconds=((cursor.seen or cursor.began) - own.started).total_seconds(),
        console=tail(seen.console),
        remarks=remarks,
    )
    progress = Progress(done=2, total=2, unit="steps")
    return StageResult(status="done", progress=progress, cursor=cursor, facts=facts)


def _unproven(
    state: RunState, own: CutOver, cursor: VerifyCursor, said: str, seen: Signs, now: datetime
) -> Result:  # fmt: skip
    left = state.cutover.verify.minutes * 60 - (now - cursor.began).total_seconds()
    if left <= 0:
        seconds = (now - own.started).total_seconds()
        facts = Verified(verified=False, said=said, seconds=seconds, console=tail(seen.console))
        return StageResult(status="done", progress=Progress(done=2, total=2, unit="steps"), cursor=cursor, facts=facts)
    gone = (now - cursor.began).total_seconds()
    wait = min(max(SHORTEST_WAIT, int(gone) // SHARE), int(left) + 1)
    progress = Progress(done=0, total=2, unit="steps", note=f"no sign of life yet; {said}"[:LONGEST_REMARK])
    return StageResult(status="pending", wait_seconds=wait, progress=progress, cursor=cursor)
