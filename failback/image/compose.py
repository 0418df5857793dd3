"""Composes a client image: the ISO's own kernel and arguments, GRUB, the agent and the drivers that it lacks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.image.agent.package import AgentFacts, agent_members
from failback.image.arguments import client_arguments
from failback.image.client import CLOUDS
from failback.image.cpio import write_cpio
from failback.image.drivers import injection
from failback.image.grub import grub_config
from failback.image.iso_descriptors import SECTOR as ISO_SECTOR
from failback.image.judgement import faults, refuse, warnings
from failback.image.layout import (
    AGENT_PATH,
    GRUB_CONFIG_PATH,
    ISO_NAME,
    ISO_PARTITION,
    MANIFEST_PATH,
    STATE_NAME,
    Layout,
    lay_out,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failback.image.client import ClientIso
    from failback.image.drivers import Cloud, Injected
    from failback.image.grub import GrubImages
    from failback.image.source import ByteSource
    from failback.model.image import BuiltImage, ImageFormat

TITLE = "AWS DRS Failback Client"
# The primary volume descriptor (ECMA-119, section 8.4): label, size and creation time of an ISO.
_HEAD_OFFSET = 16 * ISO_SECTOR


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """`clouds` the image must boot in; `client_start` names the client's script where it isn't found by itself."""

    clouds: Sequence[Cloud] = CLOUDS
    to_ram: bool = False
    client_start: str = ""


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """A disk that could be written, and what went into it."""

    layout: Layout
    client: ClientIso
    grub: GrubImages
    clouds: tuple[Cloud, ...]
    injected: tuple[Injected, ...]

    def report(self, *, output: str, image_format: ImageFormat) -> BuiltImage:
        """What comes of the plan when it's written to `output`; how long that took isn't known yet."""
        # Here, where the ISO is being copied meanwhile: loading pydantic takes a quarter of a large ISO's time.
        from failback.model.image import BuiltImage

        return BuiltImage(
            output=output,
            format=image_format,
            disk_size=self.layout.plan.size,
            data_bytes=self.layout.plan.data_bytes,
            clouds=self.clouds,
            kernel_version=self.client.bootable.kernel.release,
            grub_version=self.grub.version,
            injected=tuple(module.path_in_root for module in self.injected),
            warnings=tuple(warnings(self.client, clouds=self.clouds)),
        )


def plan_image(source: ByteSource, client: ClientIso, grub: GrubImages, options: BuildOptions) -> PlannedImage:
    """Plan the disk; raises the ImageError that lists everything that keeps it from booting in the clouds."""
    start = options.client_start or client.root.client_start
    refuse(list(faults(client, clouds=options.clouds, client_start=start)))
    head = source.read(_HEAD_OFFSET, ISO_SECTOR)
    bootable = client.bootable
    injected = injection(bootable.initrd, bootable.modules, bootable.kernel.release, options.clouds)
    arguments = client_arguments(
        bootable.entry.arguments, iso_partition=ISO_NAME, to_ram=options.to_ram, selinux=client.root.has_selinux
    )
    files = {
        GRUB_CONFIG_PATH: grub_config(
            title=TITLE,
            kernel=bootable.entry.kernel,
            initrds=[*bootable.entry.initrds, f"($root)/{AGENT_PATH}"],
            arguments=arguments,
            iso=ISO_PARTITION,
        ).encode(),
        AGENT_PATH: _agent(client, start, head, injected),
        MANIFEST_PATH: _manifest(client, grub, arguments, injected),
    }
    layout = lay_out(iso_size=source.size, iso_head=head, grub=grub, files=files)
    return PlannedImage(layout=layout, client=client, grub=grub, clouds=tuple(options.clouds), injected=injected)


def _agent(client: ClientIso, start: str, head: bytes, injected: Sequence[Injected]) -> bytes:
    """The extra initrd with the agent, for a client that has been judged fit."""
    script = client.live.tree.find(start)
    members = agent_members(
        hook_directory=client.bootable.initrd.hook_directory or "",
        client_start=script.path if script else start,
        drivers=[(f"{module.name}.ko", module.data) for module in injected],
        facts=AgentFacts(state_partition=STATE_NAME, image=hashlib.sha256(head).hexdigest()[:16]),
    )
    return write_cpio(members)


def _manifest(client: ClientIso, grub: GrubImages, arguments: Sequence[str], injected: Sequence[Injected]) -> bytes:
    """What the image was made of, for whoever finds the disk: JSON on the system partition."""
    document = {
        "made-by": "drs-failback",
        "iso": {"label": client.volume.label, "size": client.volume.size, "created": client.volume.created},
        "kernel": client.bootable.kernel.release,
        "arguments": list(arguments),
        "injected": [module.path_in_root for module in injected],
        "grub": {"version": grub.version, "sha256": grub.digest},
    }
    return (json.dumps(document, indent=2) + "\n").encode()
