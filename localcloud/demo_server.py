"""The demo's server: checked, taken home, and each of its volumes compared with the disk that holds it there."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import LocalCloudError
from localcloud.demo_commands import FOLDER, account
from localcloud.embedded.image_hashes import PIECE, disk_file
from localcloud.embedded.servers import MIB, volume_files
from localcloud.embedded.synthesis import TARGET

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.demo_commands import Account, Demo
    from localcloud.embedded.state_file import EmbeddedState

RUN = "home"
SETTLE_SECONDS = 60.0
"""What was written just before the server was ready is copied some seconds later."""
LOOK_SECONDS = 2.0
BLOCK = 512
"""Bytes: st_blocks counts in those, whatever the file system."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A volume in AWS, and the managed disk that takes it home."""

    device: str
    volume: Path
    disk: str
    file: Path


def take_home(demo: Demo, clouds: EmbeddedState) -> None:
    """Check the server and take it home; raises LocalCloudError if its bytes there aren't those in AWS."""
    server = clouds.servers[0]
    demo.run(f"failback check {TARGET} {server.id}", "its plan; nothing was made")
    demo.run(f"failback start {TARGET} {server.id} --run {RUN} --yes")
    told = account(RUN)
    demo.result(_result(told))
    for stage in told.history.servers[0].stages:
        seconds = (stage.updated - stage.began).total_seconds()
        demo.note(f"of this, {stage.stage} of {server.name}", seconds, "")
    compare(demo, _pairs(told, server.id))
    demo.run(f"failback report {RUN}", "its timeline, stage by stage and server by server")


def _result(told: Account) -> str:
    record = told.history.servers[0].record
    if record.outcome is None or record.outcome.outcome != "ready" or record.progress is None:
        message = "The run is done, but its report doesn't call the server ready for launch."
        raise LocalCloudError(message)
    said = record.progress
    return f"{said.failback}, {said.state}, {said.replicated // MIB:,} of {said.total // MIB:,} MiB through"


def _pairs(told: Account, server: str) -> list[Pair]:
    plan, made = told.history.servers[0].record.plan, told.provenance
    if plan is None or made is None or made.image is None:
        message = "The run's report doesn't say what it has planned."
        raise LocalCloudError(message)
    clouds, beside = FOLDER / "clouds", made.image.id.rpartition("/")[0]
    volumes = volume_files(clouds / "drs", server)
    return [
        Pair(disk.device, volumes[disk.device], disk.name, disk_file(clouds / "azure", f"{beside}/{disk.name}"))
        for disk in plan.disks
    ]


def compare(demo: Demo, pairs: list[Pair], *, patience: float = SETTLE_SECONDS) -> None:
    """Read both sides until they're the same; raises LocalCloudError if that doesn't come in `patience` seconds."""
    began = time.monotonic()
    while True:
        found = [(pair, hash_start(pair.volume, pair), hash_start(pair.file, pair)) for pair in pairs]
        others = [pair.disk for pair, wanted, sha256 in found if wanted != sha256]
        if not others or time.monotonic() - began > patience:
            break
        time.sleep(LOOK_SECONDS)
    lines = list[str]()
    for pair, wanted, sha256 in found:
        content = pair.volume.stat().st_blocks * BLOCK / MIB
        lines.append(f"{wanted}  volume {pair.device} in AWS, {content:.1f} MiB of content")
        lines.append(f"{sha256}  {'DIFFERENT' if pair.disk in others else 'the same'}: disk {pair.disk} at home")
    demo.note("volumes and disks read, SHA-256", time.monotonic() - began, "\n".join(lines))
    if others:
        message = f"The bytes at home aren't those in AWS: {', '.join(others)}"
        raise LocalCloudError(message)


def hash_start(path: Path, pair: Pair) -> str:
    """The SHA-256 of as much of a file as the volume is large: a disk may be larger."""
    left, digest = pair.volume.stat().st_size, hashlib.sha256()
    with path.open("rb") as content:
        while left and (piece := content.read(min(PIECE, left))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()
