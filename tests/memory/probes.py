"""What can be reached, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class MemoryProbes:
    """Probes; `there` is what answers, `asked` what was tried, in its order."""

    there: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def tcp(self, address: str) -> str:
        return self._ask(address)

    def http(self, url: str) -> str:
        return self._ask(url)

    def _ask(self, place: str) -> str:
        self.asked.append(place)
        return "" if place in self.there else "refused"
