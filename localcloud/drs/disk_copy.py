"""How the stand-in client brings a local disk up to date with its volume."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from localcloud.drs.client_calls import Refusal
from localcloud.drs.port_calls import Line, PortCalls
from localcloud.sparse_files import data_ranges, punch_hole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from localcloud.guests.client import ClientTask

REPORT_EVERY = 1.0
"""Seconds between two reports of a volume's progress; there's one at the end of each pass besides."""
BYTES_OF_MBIT = 125_000
"""A limit is told in Mbit/s."""
Result = TypeVar("Result")


class TurnedOff(Exception):
    """The machine was turned off."""


@dataclass(slots=True)
class LocalDisk:
    """A volume of `size` bytes and the file that takes it; `generation` is the volume's when it last was the same."""

    device: str
    size: int
    local: Path
    local_size: int
    generation: int = -1


@dataclass(slots=True)
class DiskCopier:
    """Copies over one connection; `tell` calls DRS, `wait` lets time pass until something may have changed."""

    task: ClientTask
    port: PortCalls
    tell: Callable[..., dict[str, str]]
    wait: Callable[[], None]
    original: bool
    # Bytes a second, 0 without a limit.
    _limit: float = 0.0

    def copy(self, disk: LocalDisk) -> bool:
        """Bring one disk up to date; gives whether there was anything to copy."""
        first = disk.generation < 0
        generation, extents = self._steady(lambda: self.port.changes(disk.device, disk.generation))
        left, told = sum(length for _, length in extents), 0.0
        with disk.local.open("r+b") as file:
            if first and not self.original:
                _clear_around(file.fileno(), extents, disk.local_size)
            for offset, length in extents:
                data = self._steady(partial(self.port.blocks, disk.device, offset, length))
                # The original's disk may be a little smaller than EBS's whole GiB.
                os.pwrite(file.fileno(), data[: max(0, disk.local_size - offset)], offset)
                left -= length
                if self._limit:
                    self.task.stopping.wait(length / self._limit)
                if left and time.monotonic() - told >= REPORT_EVERY:
                    told = time.monotonic()
                    self._report(disk, offset + length, 0 if first else left)
        disk.generation = generation
        if first or extents:
            self._report(disk, disk.size, 0)
        return bool(extents)

    def _steady(self, work: Callable[[], Result]) -> Result:
        """The same again while the line is broken."""
        while True:
            look_around(self.task)
            try:
                return work()
            except Line as broken:
                if broken.refused:
                    raise Refusal(str(broken)) from broken
                self.task.say(f"waiting: {broken}")
                self.tell("UpdateFailbackClientLastSeenForDrs")
                self.wait()

    def _report(self, disk: LocalDisk, position: int, left: int) -> None:
        """In the first pass, how far into the volume it has come: what is skipped there is zeros at both ends."""
        done = disk.size if disk.generation >= 0 else min(position, disk.size)
        answer = self.tell(
            "NotifyAgentReplicationProgressForDrs",
            deviceName=disk.device,
            replicatedStorageBytes=done,
            rescannedStorageBytes=done if self.original else 0,
            backloggedStorageBytes=left,
        )
        self._limit = int(answer["throttle"]) * BYTES_OF_MBIT


def look_around(task: ClientTask) -> None:
    """Raise TurnedOff when the machine is."""
    if task.stopping.is_set():
        raise TurnedOff


def _clear_around(descriptor: int, extents: list[tuple[int, int]], size: int) -> None:
    """Of a disk that wasn't empty, whatever no extent will be written over: there the volume has zeros."""
    gaps, position = [], 0
    for offset, length in [*extents, (size, 0)]:
        gaps.append((position, min(offset, size)))
        position = offset + length
    for begin, end in gaps:
        for start, stop in list(data_ranges(descriptor, begin, end)):
            punch_hole(descriptor, start, stop - start)
