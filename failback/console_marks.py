"""The agent's marks on a machine's console: lines `FAILBACK-AGENT <state> <detail>`, written by agent/marks.sh.

A console may end in the middle of a line: only a whole line is a mark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from failback.naming import short_hash

TAIL = 2000
"""Characters of the console that a failure shows, and that travel in the run's state."""

LONGEST_MARK = 300
"""Characters of a mark in a note; the agent writes up to 4,000."""

_LINE = re.compile(r"FAILBACK-AGENT ([a-z][a-z-]*)(?=[ \r\n])([^\r\n]*)[\r\n]")
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\n -~]+")


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark: its state (`settings`, `client-running`, `failed`, ...), and the rest of its line."""

    state: str
    detail: str

    @property
    def text(self) -> str:
        """State and detail."""
        return f"{self.state} {self.detail}".strip()

    @property
    def short(self) -> str:
        """The same, short enough for a note."""
        return self.text[:LONGEST_MARK]


def read_marks(console: str) -> list[Mark]:
    """All whole marks, in the order in which they were written."""
    return [Mark(state, _UNPRINTABLE.sub(" ", detail).strip()) for state, detail in _LINE.findall(console)]


def tail(console: str) -> str:
    """The console's end, without what a terminal would act on."""
    return _UNPRINTABLE.sub("", console)[-TAIL:].strip()


def mark_of(console: str) -> str:
    """What a console held at one time, in a few characters: its length and a hash of it."""
    return f"{len(console)}:{short_hash(console)}"


def since(console: str, mark: str) -> str:
    """What has come to a console since it was marked; all of it where it has begun anew, or was never marked."""
    length = int(mark.partition(":")[0] or 0)
    return console[length:] if mark_of(console[:length]) == mark else console
