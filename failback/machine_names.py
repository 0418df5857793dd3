"""What servers' machines are called at home: as asked, or after their hosts, and no two of a run alike."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.model.target import HomeName

TRIAL = "-rehearsal"
"""At the end of the name of a machine that's removed again."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """Names as a home takes them: how long, whether with capitals, and whether they may begin with a digit."""

    longest: int
    capitals: bool
    digit_first: bool
    words: str


RULES: dict[HomeName, _Rule] = {
    "azure": _Rule(64, capitals=True, digit_first=True, words="letters, digits and hyphens, 64 at most"),
    # A disk's name has 63, and that of a machine's last one is longer than the machine's own by 8 (-data-59).
    "google": _Rule(55, capitals=False, digit_first=False,
                    words="small letters, digits and hyphens, 55 at most, and a letter first"),
}  # fmt: skip


def name_after(hostname: str, home: HomeName) -> str:
    """A name that a home takes: the host's own, without its domain; empty where nothing of it can be used."""
    rule = RULES[home]
    plain = re.sub(r"[^A-Za-z0-9]+", "-", hostname.partition(".")[0]).strip("-")
    plain = plain if rule.capitals else plain.lower()
    if plain and plain[0].isdigit() and not rule.digit_first:
        plain = f"host-{plain}"
    return plain[: rule.longest].rstrip("-")


def trial_name(name: str, home: HomeName) -> str:
    """What the machine is called that stands for one of that name in a rehearsal."""
    return f"{name[: RULES[home].longest - len(TRIAL)].rstrip('-')}{TRIAL}"


def misfit(name: str, home: HomeName) -> str:
    """What's wrong with a name that's to be a machine's at a home; empty if nothing is."""
    rule = RULES[home]
    shaped = re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", name) is not None
    fits = shaped and len(name) <= rule.longest and (rule.capitals or name == name.lower())
    if fits and (rule.digit_first or not name[0].isdigit()):
        return ""
    return f"name: a machine can't be called {name} there; say another name: {rule.words}"


def name_faults(names: Mapping[str, str]) -> dict[str, str]:
    """What's wrong with the servers' names, by server: none to be had, or another's too. Capitals don't count."""
    same = defaultdict(list)
    for server, name in names.items():
        same[name.casefold()].append(server)
    return {
        server: _fault(name, [other for other in same[name.casefold()] if other != server])
        for server, name in names.items()
        if not name or len(same[name.casefold()]) > 1
    }


def _fault(name: str, others: list[str]) -> str:
    if not name:
        return "name: DRS knows no host name to call its machine by; say name"
    return f"name: {name} is what the machine of {', '.join(others[:3])} would be called too; say name for them"
