"""What servers' machines are called at home: as asked, or after their hosts, and no two of a run alike."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 64
"""Of a virtual machine's name in Azure."""


def name_after(hostname: str) -> str:
    """A name that a home takes: the host's own, without its domain; empty where nothing of it can be used."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", hostname.partition(".")[0])
    return plain.strip("-")[:LONGEST].rstrip("-")


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
