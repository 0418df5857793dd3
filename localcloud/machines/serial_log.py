"""The lines of a machine's serial console, read from the file that they are written to while it grows."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Colours and cursor movements: ECMA-48 control sequences (CSI), and the two-byte escapes that terminals know.
CONTROL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][A-Za-z0-9]|[=>78cDEHM])")
# A boot prints some 100 KiB; a guest that floods its console must not fill our memory.
KEPT_LINES = 20_000


class SerialLog:
    """Reads what has been added since the last call; the unfinished last line (a prompt) counts as a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        # Bytes that aren't UTF-8 (the firmware's noise) become replacement characters.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._taken = 0
        self.dropped = 0
        self.lines: list[str] = []

    @property
    def rest(self) -> str:
        """The last line as far as it has come."""
        return clean_line(self._rest)

    def update(self) -> None:
        """Read on to the end of the file."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        *complete, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        self.lines += map(clean_line, complete)
        surplus = len(self.lines) - KEPT_LINES
        if surplus > 0:
            del self.lines[:surplus]
            self.dropped += surplus
            self._taken = max(0, self._taken - surplus)

    def take_match(self, pattern: re.Pattern[str]) -> str | None:
        """The next line, after the one that matched last, in which the pattern is found; None if it hasn't come yet."""
        for number in range(self._taken, len(self.lines)):
            if pattern.search(self.lines[number]):
                self._taken = number + 1
                return self.lines[number]
        if pattern.search(self.rest):
            found, self._rest = self.rest, ""
            self.lines.append(found)
            self._taken = len(self.lines)
            return found
        return None

    def text(self) -> str:
        """Everything kept, as text."""
        return "\n".join([*self.lines, self.rest])


def clean_line(raw: str) -> str:
    """The line without control sequences and carriage returns."""
    return CONTROL_SEQUENCE.sub("", raw).replace("\r", "").rstrip()
