"""Servers that a failover has left in the embedded AWS, to be taken home; and the workload that goes on on them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from localcloud.drs.records import NewInstance
from localcloud.drs.states import IN_PROGRESS
from localcloud.drs.volume import BLOCK
from localcloud.embedded.state_file import FailedOver
from localcloud.workload import marker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localcloud.drs.service import DrsService
    from localcloud.drs.volume import Volume

MIB = 1 << 20
GIB = 1 << 30
MOST_SERVERS = 20
"""All their addresses are in each client machine's network, and DRS takes no more in jobs at once."""
BOOT_DEVICE = "/dev/xvda"
CONTENT: Mapping[str, int] = {BOOT_DEVICE: 28 * MIB, "/dev/xvdb": 8 * MIB}
"""What lies on the volumes, in bytes: the boot volume first, besides its system. Each is a GiB large."""
SYSTEM_ROOM = 128 * MIB
"""The beginning of the boot volume, where its system is."""
PIECE = MIB
"""Content lies in pieces of that all over a volume, as files do: the client has to find it."""

WRITE_SECONDS = 5.0
WRITES_AT_MOST = 24
"""The workload rests after two minutes: a client too slow for it would never have everything."""
WRITTEN = 256 * 1024


def add_servers(drs: DrsService, count: int, *, scratch: Path, real: bool = False) -> tuple[FailedOver, ...]:
    """Do what a failover of `count` servers does: web-1, web-2 … with content that's always the same and all theirs.

    Each boots by a BIOS: a `real` machine its real system, which is built if it isn't there, a scripted one otherwise.
    """
    return tuple(_add(drs, f"web-{number}", scratch, real=real) for number in range(1, count + 1))


def write_nonce(drs: DrsService, instance: str, nonce: str) -> None:
    """Let a running server write to its boot volume what its system says at home, if that write gets there too.

    Raises DrsRefusal where there's no such server, ValueError for a nonce that can't be one.
    """
    boot = next(iter(drs.world.find(instance).volumes.values()))
    marker.write_nonce(boot, nonce)


def _add(drs: DrsService, name: str, scratch: Path, *, real: bool) -> FailedOver:
    noise = random.Random(name)
    files: dict[str, Path] = {}
    try:
        for device, content in CONTENT.items():
            files[device] = scratch / f"{name}-{len(files)}.raw"
            _write(files[device], content, noise, start=SYSTEM_ROOM if device == BOOT_DEVICE else 0)
        marker.put_system(files[BOOT_DEVICE], real=real)
        made = drs.world.add_recovery_instance(NewInstance(files, name=name))
    finally:
        for file in files.values():
            file.unlink(missing_ok=True)
    return FailedOver(id=made.id, name=name)


def _write(path: Path, content: int, noise: random.Random, *, start: int) -> None:
    """A GiB with that much content, the first of it at `start`."""
    pieces = content // PIECE
    apart = (GIB - start) // pieces // BLOCK * BLOCK
    with path.open("wb") as file:
        for number in range(pieces):
            file.seek(start + number * apart)
            file.write(noise.randbytes(PIECE))
        file.truncate(GIB)


def volume_files(folder: Path, server: str) -> dict[str, Path]:
    """The files of such a server's volumes by device, in the folder of an embedded DRS; also while that one runs."""
    return {device: folder / server / f"{number}.raw" for number, device in enumerate(CONTENT)}


class Workload:
    """Writes to a server's volumes every few seconds while its failback copies them; at rest once all was copied."""

    def __init__(self, drs: DrsService) -> None:
        self._drs = drs
        self._written: dict[str, int] = {}
        self._next = 0.0
        self._noise = random.Random("workload")

    def go_on(self, now: float) -> None:
        """Write, if it's time to; `now` in seconds of any clock that goes on evenly."""
        if now < self._next:
            return
        self._next = now + WRITE_SECONDS
        for instance, seen in self._drs.listing().items():
            if seen["failback"] != IN_PROGRESS:
                self._written.pop(instance, None)
            elif self._written.setdefault(instance, 0) < WRITES_AT_MOST:
                self._write(instance)

    def _write(self, instance: str) -> None:
        """Some bytes behind those that it wrote before, in the middle of what a volume has free."""
        number = self._written[instance]
        self._written[instance] += 1
        for volume in self._drs.world.find(instance).volumes.values():
            volume.write(_free(volume) + number * WRITTEN, self._noise.randbytes(WRITTEN))


def _free(volume: Volume) -> int:
    """Where a volume's last gap begins."""
    return volume.size - WRITES_AT_MOST * WRITTEN
