"""Giving back: undoes what a failed run, or one server of it, has made and changed, and says what it couldn't undo.

Level-triggered: each call looks again and begins or continues, until nothing is left. One server is given back in
order: failback stopped, its machine at home put back, what the run made there removed, the way to AWS closed, fence
lifted, configuration and tags put back, lock released. Those of a whole run take turns, so that no call grows with
their number; whoever came home stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from failback.clean_up import came_to_its_own_end
from failback.clearing import CALL_TIME as CALL_TIME
from failback.clearing import MOST_LEFT as MOST_LEFT
from failback.clearing import WAIT
from failback.clearing import Clearing as Clearing
from failback.home_return import HomeSide, return_home, why_kept
from failback.late_calls import has_ended_itself, late
from failback.model.ending import Returned
from failback.model.stage import Progress, StageResult, cursor_of
from failback.naming import server_lock
from failback.server_end import has_come_home, is_rehearsed, settle_failed, settle_rehearsed
from failback.server_return import ServerReturn, Standing, hold, rules_of
from failback.unreturned import note_returned, unreturned

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from failback.clearing import Cloud, Guard, Result
    from failback.model.record import RunHistory, RunRecord
    from failback.model.run import RunState
    from failback.model.server import ServerRecord
    from failback.server_return import AwsSide
    from failback.takeover_ports import HomeTakeovers


def give_back(
    state: RunState,
    home: Cloud,
    aws: Cloud,
    *,
    takeovers: Callable[[], HomeTakeovers],
    side: AwsSide,
    guard: Guard,
) -> Result:
    """Undo what can be undone now; not `done` while a cloud is still at it, `done` with what had to be left.

    A cloud that's busy ends the call with CloudBusy: the next one goes on. One that refuses stops no other. After a run
    whose execution was ended from outside nothing is undone before whoever was at work then has come to an end.
    """
    if state.goal == "clean_up" and not cursor_of(state.give_back):
        if who := late(state, side):
            # Said at once: a call of cut_over that goes on starts nothing then.
            for record in side.servers.of(state.run.id):
                if not has_come_home(record):
                    settle_failed(state, record, side)
            return StageResult(
                status="pending", wait_seconds=WAIT, progress=Progress(done=0, total=0, unit="steps", note=who)
            )
        if has_ended_itself(state, side):
            return StageResult(status="done", facts=Returned())
    clearing = Clearing.resumed(state.run.id, cursor_of(state.give_back), guard=guard, clock=side.clock)
    returning = _Returning(state, HomeSide(home, takeovers), aws, side, clearing)
    if state.server is not None:
        returning.one(state.server.id)
    else:
        returning.all()
    return clearing.result()


@dataclass
class _Returning:
    """One call's work on one server, or on all of a run."""

    state: RunState
    home: HomeSide
    aws: Cloud
    side: AwsSide
    clearing: Clearing

    def one(self, server: str) -> None:
        """Note first that it has failed: that's known then whatever becomes of the rest."""
        record = self.side.servers.find(self.state.run.id, server)
        if record is not None and not is_rehearsed(self.state):
            settle_failed(self.state, record, self.side)
            # A call of cut_over that goes on still starts it, and says so before, only where this isn't said.
            record = self.side.servers.find(self.state.run.id, server)
        records = [record] if record is not None and record.before is not None else []
        self._visit(server, record, self._standing(records))

    def all(self) -> None:
        """Every server that hasn't come home, in turns; then what the run made for itself."""
        clearing = self.clearing
        changed = {record.id: record for record in self._unreturned()}
        clearing.queue = [each for each in (changed if clearing.queue is None else clearing.queue) if each in changed]
        standing = self._standing([changed[each] for each in clearing.queue])
        for server in [*clearing.queue]:
            if not clearing.in_time:
                return
            clearing.queue.remove(server)
            told = len(clearing.left)
            if not self._visit(server, changed[server], standing):
                clearing.queue.append(server)
                # It's looked at again, and then tells all of it again.
                del clearing.left[told:]
            elif self.state.goal == "clean_up" and len(clearing.left) == told:
                note_returned(server, self.state, self.side)
        if not clearing.queue and not self._only:
            self._clear_run()

    def _unreturned(self) -> Sequence[ServerRecord]:
        """Those that the run has changed and that haven't come home; the others end here."""
        if not self.state.servers:
            return ()
        records = self._not_at_home()
        for record in records if self.clearing.queue is None else ():
            settle_failed(self.state, record, self.side)
            if record.before is None:
                self.side.run_log.release(server_lock(record.id), self.state.run.id)
        # A call that has outlived its execution may have noted a start until its server's end was said.
        records = self._not_at_home() if self.clearing.queue is None else records
        return [record for record in records if record.before is not None]

    def _not_at_home(self) -> Sequence[ServerRecord]:
        found = [each for each in self.side.servers.of(self.state.run.id) if not has_come_home(each)]
        return [each for each in found if each.id in self._only] if self._only else found

    @cached_property
    def _only(self) -> Collection[str]:
        """Of a run that came to its own end, the servers that giving back failed for: the others stay as they are."""
        history = self._history if self.state.goal == "clean_up" else None
        if history is None or not came_to_its_own_end(history.record):
            return ()
        return {each.record.id for each in unreturned(history)}

    def _clear_run(self) -> None:
        told = len(self.clearing.left)
        for cloud in (self.home.belongings, self.aws):
            self.clearing.clear(cloud)
        if self.clearing.waiting:
            del self.clearing.left[told:]

    def _visit(self, server: str, record: ServerRecord | None, standing: Standing) -> bool:
        """Begin or continue with one server; True once it's through."""
        clearing, returning = self.clearing, self._of(record, standing)
        if returning is not None:
            returning.stop()
        original = returning.before.original if returning else None
        kept = returning.kept if returning else ""
        written = bool(original and record and record.plan and record.plan.overwrite)
        if not return_home(server, original, self.home, clearing, kept=kept, overwritten=written):
            return False
        # A server's way to its recovery instance is closed when nothing goes by it any more.
        waiting = len(clearing.waiting)
        for each in self._rules(server, record):
            clearing.clear(self.aws, server=each)
        if len(clearing.waiting) > waiting or (returning is not None and not returning.restore()):
            return False
        if returning is not None:
            clearing.removed += returning.undone
        if record is not None:
            self._end(record)
        return True

    def _of(self, record: ServerRecord | None, standing: Standing) -> ServerReturn | None:
        """What's to be put back of a server; nothing where nothing was changed, or another run has it now."""
        if record is None or record.before is None or not hold(record, self.state.run.id, self.side):
            return None
        kept = self._why_kept(record, standing)
        return ServerReturn(self.state, record, record.before, self.side, self.clearing, standing, kept)

    def _why_kept(self, record: ServerRecord, standing: Standing) -> str:
        if record.milestones.started is None or self._goal == "rehearse":
            return ""
        return why_kept(record, standing.instances.get(record.id), self.side.decisions.of(self.state.run.id))

    def _rules(self, server: str, record: ServerRecord | None) -> Sequence[str]:
        if self.state.server is None:
            return [server]
        return rules_of(record, server, lambda: self.side.servers.of(self.state.run.id))

    def _end(self, record: ServerRecord) -> None:
        if is_rehearsed(self.state):
            settle_rehearsed(self.state, record, self.side, left=len(self.clearing.left))
        self.side.run_log.release(server_lock(record.id), self.state.run.id)

    def _standing(self, records: Sequence[ServerRecord]) -> Standing:
        return Standing.look([record.id for record in records], self.side.recovery, self.clearing.guard)

    @cached_property
    def _goal(self) -> str:
        """The run's own goal, which cleaning up after it doesn't say."""
        if self.state.goal != "clean_up":
            return self.state.goal
        record = self._record
        return record.goal if record else self.state.goal

    @property
    def _record(self) -> RunRecord | None:
        return self._history.record if self._history else None

    @cached_property
    def _history(self) -> RunHistory | None:
        return self.side.run_log.read(self.state.run.id)
