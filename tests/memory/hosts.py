"""EC2 instances and the rules of their security groups in memory."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from failback.errors import CloudRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from failback.model.recovery import Host

PORT = 1500


@dataclass(frozen=True)
class Rule:
    """An ingress rule for TCP: from an address range to ports `first` to `last`."""

    group: str
    cidr: str
    tags: Mapping[str, str] = field(default_factory=dict)
    first: int = PORT
    last: int = PORT


class MemoryHosts:
    """RecoveryHosts; `rules` holds what's open, by id, and a group is known once `add` has named it."""

    def __init__(self) -> None:
        self.known: dict[str, Host] = {}
        self.groups: set[str] = set()
        self.rules: dict[str, Rule] = {}
        self._numbers = itertools.count(1)

    def add(self, host: Host) -> None:
        self.known[host.id] = host
        self.groups.update(host.groups)

    def open(self, rule: Rule) -> str:
        """Add anybody's rule."""
        if rule.group not in self.groups:
            raise CloudRefused(rule.group)
        name = f"sgr-{next(self._numbers):017x}"
        self.rules[name] = rule
        return name

    def describe(self, ids: Sequence[str]) -> Mapping[str, Host]:
        return {each: self.known[each] for each in ids if each in self.known}

    def admits(self, groups: Sequence[str], cidr: str) -> bool:
        asked = ip_network(cidr)
        return any(
            rule.group in groups and rule.first <= PORT <= rule.last and _holds(ip_network(rule.cidr), asked)
            for rule in self.rules.values()
        )

    def admit(self, group: str, cidr: str, *, tags: Mapping[str, str]) -> str:
        rule = Rule(group, str(ip_network(cidr)), dict(tags))
        for name, there in self.rules.items():
            if (there.group, there.cidr, there.first, there.last) == (rule.group, rule.cidr, PORT, PORT):
                return name if tags.items() <= there.tags.items() else ""
        return self.open(rule)

    def exchange_groups(self, instance: str, groups: Sequence[str], *, holding: str = "") -> None:
        if instance not in self.known or not self.groups.issuperset(groups):
            raise CloudRefused(f"{instance}: {', '.join(groups)}")
        host = self.known[instance]
        if not holding or holding in host.groups:
            self.known[instance] = host.model_copy(update={"groups": tuple(groups)})


def _holds(wide: IPv4Network | IPv6Network, narrow: IPv4Network | IPv6Network) -> bool:
    if isinstance(wide, IPv4Network) and isinstance(narrow, IPv4Network):
        return narrow.subnet_of(wide)
    return isinstance(wide, IPv6Network) and isinstance(narrow, IPv6Network) and narrow.subnet_of(wide)
