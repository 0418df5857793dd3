"""Boots a client image in QEMU with what a client machine finds around it: metadata, identity, STS, a target disk."""

from __future__ import annotations

import re
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from failback.errors import MachineError
from failback.model.agent import GOOGLE_ATTRIBUTE, AgentSettings
from localcloud.guests.marks import MARK as MARK
from localcloud.guests.marks import read_mark, state_of
from localcloud.guests.surroundings import STS_ADDRESS, metadata_forward, sts_forward
from localcloud.machines.qemu import Machine
from localcloud.machines.spec import Disk, MachineSpec
from localcloud.metadata import MachineDocument, MachineIdentity, MetadataService
from localcloud.metadata_azure import issuer as azure_issuer
from localcloud.metadata_google import ISSUER as GOOGLE_ISSUER
from localcloud.sts import RoleTrust, SecurityTokenService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localcloud.machines.spec import Bus, DiskFormat, Firmware, Forward
    from localcloud.sts_sessions import GivenSession

Home = Literal["azure", "google"]

AUDIENCE = "api://drs-failback"
ROLE = "arn:aws:iam::123456789012:role/failback-client"
RECOVERY_INSTANCE = "i-0123456789abcdef0"
MIB = 1024 * 1024
# The disk that the client is told to write to; no other disk of the machine has its size.
TARGET_SIZE = 3 * 1024 * MIB
TARGET_NAME = "drs-target-0"
TARGET_LUN = 3


@dataclass(frozen=True, slots=True)
class ClientBoot:
    """An image and the machine to boot it in; `until` is the agent's state that ends the boot, `timeout` in seconds.

    `said` is a pattern that the detail of that state's mark has to hold: "client-running" carries whatever the client
    said last, and the first look may come before the line that is waited for. `keep` lets the machine write to the
    image; `run` is what the agent is told to be in.
    """

    image: Path
    format: DiskFormat
    firmware: Firmware = "bios"
    bus: Bus = "virtio-scsi"
    home: Home = "azure"
    until: str = "client-running"
    said: str = ""
    timeout: float = 420.0
    keep: bool = False
    run: str = "local"


@dataclass(frozen=True, slots=True)
class BootedClient:
    """How a boot went: seconds to each state of the agent, the console's text, what the clouds around were asked."""

    marks: tuple[tuple[float, str], ...]
    log: str
    metadata_requests: tuple[str, ...]
    sessions: tuple[GivenSession, ...]

    @property
    def seconds(self) -> float:
        """From the machine's start to the last mark."""
        return self.marks[-1][0]


def boot_client(boot: ClientBoot, *, on_line: Callable[[str], None] = lambda _: None) -> BootedClient:
    """Boot until the agent's console mark `until`; `on_line` gets every line of the console.

    Raises MachineError with the console's last lines where the mark doesn't come, or where the agent says it failed.
    """
    with _surroundings(boot) as (spec, metadata, sts), Machine(spec) as machine:
        marks = tuple(_watch(boot, machine, on_line))
        machine.stop()
        requests = tuple(request.target for request in metadata.requests)
        return BootedClient(marks, machine.log, requests, sts.sessions)


def _watch(boot: ClientBoot, machine: Machine, on_line: Callable[[str], None]) -> Iterator[tuple[float, str]]:
    """Wait for one line after the other until the mark; yield the agent's marks with their seconds."""
    began = time.monotonic()
    while True:
        left = boot.timeout - (time.monotonic() - began)
        line = machine.wait_for(r"\S", left)
        on_line(line)
        mark = read_mark(line)
        if mark is None:
            continue
        yield time.monotonic() - began, mark
        if state_of(mark) == boot.until and re.search(boot.said, mark):
            return
        if state_of(mark) == "failed":
            message = f"the agent gave up: {mark}"
            raise MachineError(message)


@contextmanager
def _surroundings(boot: ClientBoot) -> Iterator[tuple[MachineSpec, MetadataService, SecurityTokenService]]:
    identity = MachineIdentity(subject="5f1c0a4e-0000-4000-8000-0000000000c1")
    with ExitStack() as stack:
        metadata = MetadataService(MachineDocument(cloud=boot.home, vm_id="client", identity=identity))
        issuer = azure_issuer(identity.tenant) if boot.home == "azure" else GOOGLE_ISSUER
        sts = SecurityTokenService(
            issuers={issuer: metadata.signer.public_key},
            roles={ROLE: RoleTrust(issuer=issuer, audience=AUDIENCE, subject=identity.subject)},
            names=(STS_ADDRESS,),
        )
        settings = _settings(boot, sts.ca_certificates)
        if boot.home == "azure":
            metadata.update(user_data=settings.to_user_data())
        else:
            metadata.update(attributes={GOOGLE_ATTRIBUTE: settings.to_text()})
        forwards = (
            metadata_forward(stack.enter_context(metadata.serve())),
            sts_forward(stack.enter_context(sts.serve())),
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="failback-boot-")))
        yield _spec(boot, folder, forwards), metadata, sts


def _spec(boot: ClientBoot, folder: Path, forwards: tuple[Forward, ...]) -> MachineSpec:
    target = folder / "target"
    with target.open("wb") as out:
        out.truncate(TARGET_SIZE)
    disks = (
        Disk(path=boot.image, format=boot.format, lun=0, serial="drs-client", snapshot=not boot.keep),
        Disk(path=target, format="raw", lun=TARGET_LUN, serial=TARGET_NAME, snapshot=True),
    )
    return MachineSpec(disks=disks, firmware=boot.firmware, bus=boot.bus, forwards=forwards)


def _settings(boot: ClientBoot, ca_certificates: str) -> AgentSettings:
    """What a run would tell the machine; a LUN only means something on the SCSI bus."""
    mapping: dict[str, object] = {"recovery_device": "/dev/nvme0n1", "name": TARGET_NAME, "size": TARGET_SIZE}
    if boot.bus == "virtio-scsi":
        mapping["lun"] = TARGET_LUN
    return AgentSettings.parse(
        {
            "run": boot.run,
            "server": "local",
            "region": "eu-west-1",
            "recovery_instance": RECOVERY_INSTANCE,
            "credentials": "web-identity",
            "role_arn": ROLE,
            "audience": AUDIENCE,
            "role_session": "local",
            "sts_endpoint": f"https://{STS_ADDRESS}/",
            "ca_certificates": ca_certificates,
            "mapping": [mapping],
        }
    )
