"""What functions print: one file a sandbox, as CloudWatch Logs keeps one stream a sandbox."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TAIL_BYTES = 4 * 1024
"""What an answer's X-Amz-Log-Result holds of the log (Lambda API, Invoke, LogType)."""


class SandboxLog:
    """One sandbox's log: its process appends to the file, and so does the runner."""

    def __init__(self, folder: Path, version: str) -> None:
        self.stream = f"{datetime.now(UTC):%Y/%m/%d}/[{version}]{uuid.uuid4().hex}"
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{self.stream.replace('/', '-')}.log"
        self.path.touch()

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self.path.stat().st_size

    def write(self, line: str) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def tail(self, start: int) -> str:
        """At most the last 4 KiB of what was written from the given byte on."""
        with self.path.open("rb") as file:
            file.seek(max(start, self.size - TAIL_BYTES))
            return file.read(TAIL_BYTES).decode("utf-8", "replace")


def read_logs(folder: Path) -> str:
    """All that a function's sandboxes wrote, the oldest sandbox first."""
    files = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in files)
