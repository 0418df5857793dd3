"""Whether a client image can be made of an ISO: every fault that prevents it, and what a user should know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.errors import (
    AgentToolsMissing,
    ClientStartUnknown,
    ClientUnsuitable,
    DriverMissing,
    ImageError,
    InitrdUnsuitable,
)
from failback.image.agent.package import HOOK_COMMANDS, tool_names
from failback.image.drivers import require
from failback.image.rootfs import missing_tools

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from failback.image.client import Bootable, ClientIso
    from failback.image.drivers import Cloud
    from failback.image.initrd import Initrd


def faults(client: ClientIso, *, clouds: Sequence[Cloud], client_start: str) -> Iterator[ImageError]:
    """Everything that keeps a client image for `clouds` from being built; `client_start` is the script to run."""
    yield from _driver_faults(client.bootable, clouds)
    yield from _initrd_faults(client.bootable.initrd)
    if not client_start or client.live.tree.find(client_start) is None:
        message = (
            f"the ISO's root file system has no start script {client_start or 'of the client'} for the agent to run. "
            "This may be another live ISO; if it's the failback client's, name its script with --client-start"
        )
        yield ClientStartUnknown(message)
    absent = missing_tools(client.live.tree, tool_names())
    if absent:
        message = f"the ISO's root file system lacks {', '.join(absent)}, which the agent uses; use another ISO"
        yield AgentToolsMissing(message)


def refuse(found: Sequence[ImageError]) -> None:
    """Raise what was found: a single fault as itself, several as one error that lists them."""
    if len(found) == 1:
        raise found[0]
    if found:
        listed = "\n".join(f"- {fault}" for fault in found)
        message = f"{len(found)} faults keep this ISO from becoming a client image:\n{listed}"
        raise ClientUnsuitable(message)


def warnings(client: ClientIso, *, clouds: Sequence[Cloud]) -> Iterator[str]:
    """What doesn't prevent a build and may matter later."""
    bootable = client.bootable
    if not bootable.kernel.efi_stub:
        yield f"kernel {bootable.kernel.release} has no EFI stub: the image may not boot in UEFI mode"
    if bootable.kernel.release not in bootable.initrd.kernel_versions:
        found = ", ".join(bootable.initrd.kernel_versions) or "no kernel"
        yield f"the initrd has modules of {found}, the kernel is {bootable.kernel.release}"
    for cloud in clouds:
        for need in bootable.drivers[cloud].optional:
            yield f"{cloud}: no {need}; choose machines that do without"


def _driver_faults(bootable: Bootable, clouds: Sequence[Cloud]) -> Iterator[ImageError]:
    for cloud in clouds:
        try:
            require(bootable.drivers[cloud], bootable.kernel.release)
        except DriverMissing as error:
            yield error


def _initrd_faults(initrd: Initrd) -> Iterator[ImageError]:
    if not initrd.dracut_live or initrd.hook_directory is None:
        message = (
            "the initrd isn't dracut's with its live module (dmsquash-live), which the agent's hook relies on; "
            "this is probably not the failback client's ISO"
        )
        yield InitrdUnsuitable(message)
        return
    absent = initrd.missing_commands(HOOK_COMMANDS)
    if absent:
        message = f"the initrd lacks {', '.join(absent)}, which the agent's hook uses; use another ISO"
        yield InitrdUnsuitable(message)
