"""Names and tags of everything that a run makes: from them alone a stage finds its work again, and clean-up its own."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

PREFIX = "drs-failback"
RUN_TAG = f"{PREFIX}:run"
CREATED_TAG = f"{PREFIX}:created"
TAKEN_TAG = f"{PREFIX}:taken-by"
"""On a machine that was there before the run, while a run changes it: the run. It isn't the run's own, so it never has
the tag by which a run's things are found and removed."""
SERVER_TAG = f"{PREFIX}:server"
"""On what's made for one server: the id of its recovery instance."""
TARGET_TAG = f"{PREFIX}:target"
"""On a recovery instance while it's taken home: the target's name, which AWS's role for client machines asks for."""
IMAGE_TAG = f"{PREFIX}:image"
"""On a client image: its key, so that it's found by content. A boot test's result lies beside it at home."""

KEY_LENGTH = 20
"""Hexadecimal digits of an image's key: 80 bits, enough to tell contents apart, short enough for every name."""


def run_tags(run: str, created: datetime, **more: str) -> dict[str, str]:
    """The tags of something that a run makes; `more` are further ones, without our prefix."""
    extra = {f"{PREFIX}:{name}": value for name, value in more.items()}
    return {RUN_TAG: run, CREATED_TAG: created.strftime("%Y-%m-%dT%H:%M:%SZ"), **extra}


def image_name(key: str) -> str:
    """The name of the client image with that key: of its AMI, and of its disk or image at home."""
    return f"{PREFIX}-client-{key}"


def try_machine_name(run: str) -> str:
    """The name of a run's throw-away machine; its disk and interface are called after it."""
    return f"{PREFIX}-test-{short_hash(run)}"


def client_machine_name(run: str, server: str) -> str:
    """The name of a server's helping client machine."""
    return f"{PREFIX}-client-{short_hash(f'{run} {server}')}"


def data_disk_name(machine: str, lun: int) -> str:
    """The name of a machine's disk at a LUN."""
    return f"{machine}-data-{lun}"


def server_lock(server: str) -> str:
    """The lease that keeps two runs from one server."""
    return f"server-{server}"


def client_role_name(deployment: str, target: str) -> str:
    """AWS's role for the client machines of a target."""
    return f"{deployment}-client-{target}"


def iso_key(sha512: str) -> str:
    """Where the client ISO with that hash is kept in the image bucket."""
    return f"iso/{sha512}.iso"


def iso_proof_key(sha512: str) -> str:
    """Beside a kept ISO: the note that its hash was checked."""
    return f"iso/{sha512}.json"


def export_key(key: str, image_format: str) -> str:
    """Where a client image is kept in the image bucket, as a home takes it."""
    return f"images/{key}/client.{image_format}"


def export_proof_key(key: str, image_format: str) -> str:
    """Beside an exported image: which of its blocks hold data; written last, so it's there only if all of it is."""
    return f"images/{key}/client.{image_format}.json"


def report_key(run: str) -> str:
    """Where a run's report is kept in the image bucket."""
    return f"reports/{run}.json"


def short_hash(text: str) -> str:
    """Ten hexadecimal digits of a text: for names that have to be short."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]
