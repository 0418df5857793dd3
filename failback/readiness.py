"""Whether servers can go home, and how: every fault of every server at once, before anything is made.

What it costs: DRS and EC2 are asked in batches of 200 servers; the home is asked for a size once for each kind of
machine, and port 1500 is looked at once for each set of security groups. Only whether a machine's name is free is asked
server by server, a few at a time: three reads each, a minute or two for 500 servers.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from failback.candidates import find_candidates
from failback.errors import CloudRefused, NotReady
from failback.listing import listed
from failback.machine_names import misfit, name_faults
from failback.model.server import ServerOutcome
from failback.model.stage import StageResult
from failback.model.way_home import Readiness
from failback.originals import cloned, match_disks, placed
from failback.readiness_checks import agent_faults, hints, host_faults, instance_faults, target_faults
from failback.volumes import plan_disks
from failback.ways_home import choose_way

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from failback.candidates import Candidate
    from failback.home_ports import HomeMachines, MachineNeeds
    from failback.model.original import Original
    from failback.model.run import RunState
    from failback.ports import Clock
    from failback.recovery_ports import RecoveryHosts, RecoveryService, ServerBook
    from failback.takeover_ports import HomeTakeovers
    from failback.ways_home import WayHome

NAMES_AT_ONCE = 4
"""Names that are looked up at the same time: with more, the home throttles."""
ANYWHERE = "0.0.0.0/0"


def check_readiness(
    state: RunState,
    *,
    book: ServerBook,
    recovery: RecoveryService,
    hosts: RecoveryHosts,
    machines: HomeMachines,
    takeovers: HomeTakeovers,
    clock: Clock,
) -> StageResult[Readiness, None]:
    """Keep a plan for each server that can go home; raises NotReady with every fault if one can't.

    A server that can't has its faults in the run log too. CloudBusy comes through: the stage may be called again.
    """
    now = clock.now()
    candidates, faults = find_candidates(state, book=book, recovery=recovery, hosts=hosts)
    _find_originals(candidates, takeovers)
    for candidate in candidates:
        _judge(candidate, state, now)
    _judge_names(candidates)
    _look_at_ports(candidates, state, hosts)
    _ask_for_sizes(candidates, machines)
    _ask_for_names(candidates, state.run.id, machines)
    plans = [
        candidate.plan(candidate.way, candidate.host, state)
        for candidate in candidates
        if candidate.way and candidate.host and not candidate.faults
    ]
    for plan in plans:
        book.plan(state.run.id, plan)
    faults.update({candidate.id: candidate.faults for candidate in candidates if candidate.faults})
    _settle(state, faults, book=book, now=now)
    told = list(target_faults(state))
    if told or faults:
        raise NotReady(_refusal(told, faults, {candidate.id: candidate.name for candidate in candidates}))
    return StageResult(status="done", facts=Readiness(servers=len(plans), hints=sum(len(plan.hints) for plan in plans)))


def _judge(candidate: Candidate, state: RunState, now: datetime) -> None:
    """What can be said by what AWS has told already."""
    request, instance, host = candidate.record.request, candidate.instance, candidate.host
    choice = choose_way(request, instance, host, candidate.original)
    candidate.way = choice.way
    prefix, home = candidate.prefix(state.run.id), state.target.home
    candidate.disks = plan_disks(instance.volumes, request.disks, machine=prefix, home=home)
    if candidate.original and candidate.way and not candidate.disks.faults:
        _fit_disks(candidate, candidate.original, candidate.way)
    candidate.faults += [
        *instance_faults(instance, candidate.source, goal=state.goal),
        *host_faults(host, private_ip=state.replication.private_ip),
        *agent_faults(instance.agent_seen, now),
        *choice.faults,
        *candidate.disks.faults,
    ]
    candidate.hints += [*hints(instance, host, state=state, now=now), *choice.hints]


def _find_originals(candidates: Sequence[Candidate], takeovers: HomeTakeovers) -> None:
    """The machines that were failed over, where they're to be taken over; a fault where one isn't there."""
    named = [candidate for candidate in candidates if candidate.original_name]
    with ThreadPoolExecutor(NAMES_AT_ONCE) as pool:
        found = pool.map(takeovers.find, [candidate.original_name for candidate in named])
        for candidate, original in zip(named, found, strict=True):
            candidate.original = original
            if original is None:
                candidate.faults.append(f"original: there's no machine {candidate.original_name} at home; name the one "
                                        "that was failed over, or leave way and original out")  # fmt: skip


def _fit_disks(candidate: Candidate, original: Original, way: WayHome) -> None:
    """Which of the original's disks each volume belongs to."""
    match = match_disks(candidate.instance.volumes, original, candidate.record.request.disks)
    candidate.hints += match.hints
    if way.way == "original":
        candidate.faults += match.faults
        if not match.faults:
            made = cloned(candidate.disks.disks, match, overwrite=candidate.record.request.overwrite)
            candidate.disks = replace(candidate.disks, disks=made)
    else:
        # New disks need no counterpart; those that have one take its place.
        candidate.disks = replace(candidate.disks, disks=placed(candidate.disks.disks, match))


def _judge_names(candidates: Sequence[Candidate]) -> None:
    faults = name_faults({candidate.id: candidate.name for candidate in candidates})
    for candidate in candidates:
        candidate.faults += [faults[candidate.id]] if candidate.id in faults else []
        # An original has the name that it has.
        unfit = misfit(candidate.name, candidate.home) if candidate.name and not candidate.original else ""
        candidate.faults += [unfit] if unfit else []


def _look_at_ports(candidates: Iterable[Candidate], state: RunState, hosts: RecoveryHosts) -> None:
    """A hint where port 1500 is open already to all that clients may come from."""
    sources = (ANYWHERE,) if state.replication.private_ip else state.target.egress

    @cache
    def is_open(groups: tuple[str, ...]) -> bool:
        return bool(sources) and all(hosts.admits(groups, source) for source in sources)

    for candidate in candidates:
        if candidate.host and candidate.host.groups and is_open(candidate.host.groups):
            candidate.hints.append(f"port 1500: it's open to {' and '.join(sources)} already; no rule will be added")


def _ask_for_sizes(candidates: Iterable[Candidate], machines: HomeMachines) -> None:
    """Machines alike are asked for once, whatever comes of it."""

    @cache
    def offer(needs: MachineNeeds) -> tuple[str, str]:
        try:
            return machines.offer(needs), ""
        except CloudRefused as refusal:
            return "", f"size: {refusal}"

    for candidate in candidates:
        if candidate.way is not None and candidate.disks.disks:
            client, own = candidate.needs(candidate.way)
            candidate.size, refusal = offer(client)
            candidate.faults += [refusal] if refusal else []
            candidate.own_size, later = offer(own) if own else ("", "")
            candidate.faults += [f"{later} It's the server's own machine that finds none."] if later else []


def _ask_for_names(candidates: Sequence[Candidate], run: str, machines: HomeMachines) -> None:
    """A fault where a machine of that name, or something that's left of one, is there already."""
    named = [(candidate, name) for candidate in candidates for name in candidate.machines_to_be(run)]
    with ThreadPoolExecutor(NAMES_AT_ONCE) as pool:
        states = pool.map(machines.state, [name for _, name in named])
        for (candidate, name), state in zip(named, states, strict=True):
            if state != "absent":
                candidate.faults.append(f"name: there's a machine {name} at home already, or something left of one; "
                                        "remove it there, or say another name")  # fmt: skip


def _settle(state: RunState, faults: Mapping[str, Sequence[str]], *, book: ServerBook, now: datetime) -> None:
    """Each server's own faults, beside it in the run log."""
    enlisted = {record.id for record in book.of(state.run.id)} if faults else set()
    for server in sorted(enlisted & {*faults}):
        cause = "; ".join(faults[server])
        failed = ServerOutcome(outcome="failed", at=now, stage="check_readiness", error=NotReady.__name__, cause=cause)
        book.settle(state.run.id, server, failed)


def _refusal(told: Sequence[str], faults: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> str:
    """All faults by server, as many servers as there's room for."""
    blocks = [_block("The target", told)] if told else []
    blocks += [_block(f"{each} {names.get(each, '')}".rstrip(), lines) for each, lines in sorted(faults.items())]
    text = listed(blocks, separator="\n", more="And {} more; what's in their way stands with each in the run log.")
    return f"The servers can't go home as they are, and nothing was made. Set right what's listed, start again.\n{text}"


def _block(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{title}:", *(f"  {line}" for line in lines)])
