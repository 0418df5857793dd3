"""The demo's proof that a server at home has what it wrote on AWS during its run: a nonce that nobody else knows.

It's random, and handed to the running server alone: who else has it has it from the server's own console at home.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.errors import LocalCloudError
from localcloud.demo_commands import FOLDER
from localcloud.embedded.control import ROOT
from localcloud.objects.store import ObjectStore
from localcloud.sparse_files import data_ranges
from localcloud.workload.layout import UP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from localcloud.demo_commands import Demo

PIECE = 4 << 20
GIB = 1 << 30


@dataclass(slots=True)
class Searched:
    """Where a text was found, and how much was read for that."""

    found: set[Path] = field(default_factory=set)
    files: int = 0
    bytes: int = 0


def console_file(folder: Path, machine: str) -> Path:
    """What a machine's last start has written to its serial port; raises LocalCloudError where it was never started."""
    starts = sorted(folder.glob(f"*-{machine}/console.log"))
    if not starts:
        message = f"There's no serial console of a machine {machine} in {folder}."
        raise LocalCloudError(message)
    return starts[-1]


def show_console(demo: Demo, console: Path, nonce: str) -> None:
    """Show what the server says of itself; raises LocalCloudError unless that's the nonce."""
    said = [line for line in console.read_text(encoding="utf-8", errors="replace").splitlines() if UP in line]
    demo.console.rule(style="dim")
    demo.say(f"The serial console of the server's own machine at home, {os.path.relpath(console, ROOT)}:", style="bold")
    demo.say("\n".join(said))
    if f"{UP}{nonce}" not in said:
        message = f"The server at home doesn't say what it was given on AWS, {nonce}."
        raise LocalCloudError(message)
    demo.note(
        "the server's console at home", 0.0, f"{nonce}  given to it on AWS while it waited for approval\n{said[0]}"
    )


def check_nowhere_else(
    demo: Demo, nonce: str, known: Mapping[Path, str], *, readers: str = "", folder: Path = FOLDER, since: float = 0.0
) -> None:
    """Look for the nonce in every file of the demo's clouds that was written to `since` then (seconds of the epoch).

    `known` are those that have it by right, each with what it is. Logs that match the pattern `readers` are of a
    function that reads the server's console: they may have it. Raises LocalCloudError where another file has it, or a
    known one hasn't.
    """
    began = time.monotonic()
    searched = search(folder, nonce.encode(), since=since)
    read = searched.found.intersection(folder.glob(readers) if readers else ())
    others = [str(path.relative_to(folder)) for path in sorted(searched.found - known.keys() - read)]
    missing = [what for path, what in known.items() if path not in searched.found]
    lines = [f"in {path.relative_to(folder)}: {what}" for path, what in known.items() if path in searched.found]
    lines += [f"in {path.relative_to(folder)}: what a function has read of that console" for path in sorted(read)]
    rest = f"in {', '.join(others)}" if others else "nowhere else"
    lines.append(f"{rest}: {searched.files:,} files written since then, {searched.bytes / GIB:.1f} GiB of content")
    demo.note("the nonce looked for in the files of both clouds", time.monotonic() - began, "\n".join(lines))
    if others or missing:
        wrong = [*(f"it's in {each}" for each in others), *(f"it isn't in {each}" for each in missing)]
        message = f"The nonce isn't where it has to be, and nowhere else: {'; '.join(wrong)}"
        raise LocalCloudError(message)


def search(folder: Path, wanted: bytes, *, since: float = 0.0) -> Searched:
    """Which files below a folder hold these bytes; neither holes are read, nor older files, nor links."""
    told = Searched()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_mtime < since:
            continue
        told.files += 1
        before = b""
        for piece in _content(path):
            told.bytes += len(piece)
            if wanted in before + piece:
                told.found.add(path)
            before = piece[1 - len(wanted) :]
    return told


def _content(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for start, end in data_ranges(file.fileno(), 0, path.stat().st_size):
            for at in range(start, end, PIECE):
                yield os.pread(file.fileno(), min(PIECE, end - at), at)


def object_files(s3: Path, bucket: str, key: str) -> list[Path]:
    """The files that hold an object in an embedded S3's folder, also while that one runs; none where there's none."""
    found = ObjectStore(s3).find(bucket)
    record = found.find(key) if found else None
    return [found.data(each) for each in record.segments] if found and record else []
