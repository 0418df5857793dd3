"""The demo's server: checked, replicated, approved, launched and accepted; what it says and holds at home is proven."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from failback.clouds.aws.waiting_room import DynamoWaitingRoom
from failback.errors import LocalCloudError
from localcloud.demo_commands import FOLDER, account
from localcloud.demo_nonce import check_nowhere_else, console_file, object_files, show_console
from localcloud.embedded.control import ROOT, write_nonce
from localcloud.embedded.image_hashes import PIECE
from localcloud.embedded.servers import MIB, volume_files

if TYPE_CHECKING:
    from pathlib import Path

    from failback.model.report import ServerReport
    from localcloud.demo_commands import Account, Demo
    from localcloud.demo_homes import DemoHome
    from localcloud.embedded.clouds import Client
    from localcloud.embedded.state_file import EmbeddedState

RUN = "home"
PAGE = FOLDER / f"{RUN}.html"
NONCE_BYTES = 16
READERS = "clouds/aws/lambda/logs/*verify-server*/*"
"""Logs of the function that looks at the server's console, and notes the last line of it."""
BLOCK = 512
"""Bytes: st_blocks counts in those, whatever the file system."""


@dataclass(frozen=True, slots=True)
class Nonce:
    """What the server has written, and when it was made at the earliest, in seconds of the epoch."""

    text: str
    made: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A volume in AWS, and the disk that takes it home."""

    device: str
    volume: Path
    disk: str
    file: Path


def take_home(demo: Demo, home: DemoHome, clouds: EmbeddedState, client: Client) -> None:
    """Check the server and take it home; raises LocalCloudError if what's there isn't what was on AWS."""
    server = clouds.servers[0]
    demo.run(f"failback check {home.target} {server.id}", "its plan; nothing was made")
    nonce = _launch(demo, home, clouds, client)
    demo.run(f"failback accept {RUN} {server.id}")
    demo.run(f"failback watch {RUN}")
    (told,) = account(RUN).servers
    demo.result(_ending(told))
    for stage in told.stages:
        seconds = (stage.updated - stage.began).total_seconds()
        demo.note(f"of this, {stage.stage} of {server.name}", seconds, "")
    pairs = _pairs(home, account(RUN), server.id)
    _prove(demo, clouds, told, pairs, nonce)
    demo.run(f"failback report {RUN}", "its timeline, stage by stage and server by server")
    demo.run(
        f"failback report {RUN} --format html -o {PAGE.relative_to(ROOT)}", f"the same to read and to keep: {PAGE}"
    )


def _launch(demo: Demo, home: DemoHome, clouds: EmbeddedState, client: Client) -> Nonce:
    """Replicate the server, have it write something that nobody knows, and launch it; gives that."""
    server = clouds.servers[0]
    waits = partial(_waits, DynamoWaitingRoom(client("dynamodb"), clouds.outputs["RunLogTable"]), server.id)
    start = f"failback start {home.target} {server.id} --run {RUN} --fence none --yes"
    demo.watch(start, lambda: waits("approval"))
    demo.result(_progress(account(RUN)))
    nonce = Nonce(secrets.token_hex(NONCE_BYTES), time.time() - 1)
    write_nonce(FOLDER, server.id, nonce.text)
    demo.say(
        f"The server, still at work on AWS, writes a nonce to its boot volume: {NONCE_BYTES} random bytes. No "
        "command and no function is told it: it's at home only if this write comes with the server."
    )
    demo.run(f"failback approve {RUN} {server.id}")
    demo.watch(f"failback watch {RUN}", lambda: waits("commit"), "launched, up at home, and nobody has accepted it yet")
    return nonce


def _waits(room: DynamoWaitingRoom, server: str, milestone: str) -> bool:
    """Whether the server waits for that."""
    return any(each.server == server and each.milestone == milestone for each in room.everyone())


def _progress(told: Account) -> str:
    said = told.servers[0].record.progress
    if said is None:
        message = "The server waits for approval, but its report doesn't say how far it's replicated."
        raise LocalCloudError(message)
    return f"{said.failback}, {said.state}, {said.replicated // MIB:,} of {said.total // MIB:,} MiB through"


def _ending(told: ServerReport) -> str:
    outcome, seen, measured = told.record.outcome, told.verified, told.measured
    if outcome is None or outcome.outcome != "home" or seen is None or measured.rto_seconds is None:
        message = "The run is done, but its report doesn't call the server home."
        raise LocalCloudError(message)
    return f"{outcome.outcome}; {seen.signal}: '{seen.said}', {measured.rto_seconds:.0f} s after the approval"


def _prove(demo: Demo, clouds: EmbeddedState, told: ServerReport, pairs: list[Pair], nonce: Nonce) -> None:
    """The server's own words, then the bytes of its disks, then that nobody else could have told it the nonce."""
    assert told.record.plan is not None
    assert told.verified is not None
    console = console_file(FOLDER / "clouds" / "machines", told.record.plan.own_machine)
    show_console(demo, console, nonce.text)
    compare(demo, pairs)
    reports = object_files(FOLDER / "clouds" / "s3", clouds.outputs["ImageBucket"], f"reports/{RUN}.json")
    known = {
        pairs[0].volume: f"volume {pairs[0].device} in AWS, where the server wrote it",
        pairs[0].file: f"disk {pairs[0].disk} at home, which it has booted from",
        console: "the serial console of that boot",
        **dict.fromkeys(reports, "the run's report, which keeps the end of that console as evidence"),
    }
    check_nowhere_else(demo, nonce.text, known, readers=READERS, since=nonce.made)


def _pairs(home: DemoHome, told: Account, server: str) -> list[Pair]:
    plan, made = told.servers[0].record.plan, told.provenance
    if plan is None or made is None or made.image is None:
        message = "The run's report doesn't say what it has planned."
        raise LocalCloudError(message)
    image, volumes = made.image.id, volume_files(FOLDER / "clouds" / "drs", server)
    return [
        Pair(disk.device, volumes[disk.device], disk.name, home.disk(disk.name, image=image)) for disk in plan.disks
    ]


def compare(demo: Demo, pairs: list[Pair]) -> None:
    """Read both sides; raises LocalCloudError where they aren't the same."""
    began = time.monotonic()
    lines, others = list[str](), list[str]()
    for pair in pairs:
        wanted, sha256 = hash_start(pair.volume, pair), hash_start(pair.file, pair)
        if wanted != sha256:
            others.append(pair.disk)
        content = pair.volume.stat().st_blocks * BLOCK / MIB
        lines.append(f"{wanted}  volume {pair.device} in AWS, {content:.1f} MiB of content")
        lines.append(f"{sha256}  {'DIFFERENT' if wanted != sha256 else 'the same'}: disk {pair.disk} at home")
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
