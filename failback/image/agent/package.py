"""What goes into the initrd: the agent's files, its facts about the image, its dracut hooks and the missing drivers."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from failback.errors import ClientStartUnknown, DriverMissing, InitrdUnsuitable
from failback.image.cpio import CpioMember

if TYPE_CHECKING:
    from collections.abc import Sequence

HOOK_COMMANDS = ("sh", "cp", "mkdir", "ln", "mount", "insmod")
"""All that the hooks call in the initrd besides the shell's own commands; an initrd without one of them is no use."""

DIRECTORY = "drs-failback"
"""Where the agent lies in the initrd. Only this directory and its own are made: others may be symbolic links there."""

PARTS = (
    "clock.sh",
    "marks.sh",
    "metadata.sh",
    "settings.sh",
    "credentials.sh",
    "state.sh",
    "disks.sh",
    "mapping.sh",
    "rivals.sh",
    "stubs.sh",
    "client.sh",
)
"""Sourced by agent.sh, which lies beside them."""

_PROGRAMS = ("agent.sh", "client-guard.sh")
_TEXTS = (*PARTS, "power-stub.sh", "failback-agent.service")
_MODULES = f"{DIRECTORY}/modules"
_PIVOT_HOOK = "pre-pivot/90-drs-failback.sh"
_DRIVER_HOOK = "pre-udev/10-drs-failback.sh"
_SAFE_DIRECTORY = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_SAFE_SCRIPT = re.compile(r"(/[A-Za-z0-9_.+@-]+)+")
_SAFE_DRIVER = re.compile(r"[A-Za-z0-9_-]+\.ko")
_SAFE_FACT = re.compile(r"[A-Za-z0-9._:+-]{1,128}")
_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What the build knows of the image: its state partition's name, and an identity of the image for the marks."""

    state_partition: str
    image: str


def agent_members(
    *, hook_directory: str, client_start: str, drivers: Sequence[tuple[str, bytes]], facts: AgentFacts
) -> tuple[CpioMember, ...]:
    """The members of the extra archive, the same for the same arguments.

    `hook_directory` is dracut's, resolved within the initrd ("usr/lib/dracut/hooks"); `client_start` is the absolute
    path of the client's start script in the live root, resolved there; `drivers` are (module file name, decompressed
    ELF) in load order. Raises InitrdUnsuitable, ClientStartUnknown or DriverMissing for what can't be used.
    """
    _check_paths(hook_directory, client_start)
    members = [_directory(DIRECTORY)]
    members += [_file(f"{DIRECTORY}/{name}", _content(name), 0o755) for name in _PROGRAMS]
    members += [_file(f"{DIRECTORY}/{name}", _content(name)) for name in _TEXTS]
    members.append(_file(f"{DIRECTORY}/facts", _fact_lines(client_start, facts)))
    members.append(_file(f"{hook_directory}/{_PIVOT_HOOK}", _content("hook.sh"), 0o755))
    if drivers:
        members += _driver_members(drivers)
        members.append(_file(f"{hook_directory}/{_DRIVER_HOOK}", _content("load-drivers.sh"), 0o755))
    return tuple(members)


def tool_names() -> tuple[str, ...]:
    """The programs that the agent calls in the live root; nothing else needs to be there."""
    return tuple(_content("TOOLS").decode("ascii").split())


def _check_paths(hook_directory: str, client_start: str) -> None:
    if not _SAFE_DIRECTORY.fullmatch(hook_directory) or ".." in hook_directory.split("/"):
        message = f"{hook_directory!r} isn't a plain relative path; the agent's hook can't be put there"
        raise InitrdUnsuitable(message)
    if not _SAFE_SCRIPT.fullmatch(client_start) or not {".", ".."}.isdisjoint(client_start.split("/")):
        message = f"{client_start!r} isn't a plain absolute path; the agent can't start the client there"
        raise ClientStartUnknown(message)


def _fact_lines(client_start: str, facts: AgentFacts) -> bytes:
    for value in (facts.state_partition, facts.image):
        if not _SAFE_FACT.fullmatch(value):
            message = f"the fact {value!r} has characters that the agent doesn't take"
            raise ValueError(message)
    lines = {"client_start": client_start, "state_partition": facts.state_partition, "image": facts.image}
    return "".join(f"{name}={value}\n" for name, value in lines.items()).encode("ascii")


def _driver_members(drivers: Sequence[tuple[str, bytes]]) -> list[CpioMember]:
    names = [f"{number:02d}-{name}" for number, (name, _) in enumerate(drivers, start=1)]
    for name, data in drivers:
        if not _SAFE_DRIVER.fullmatch(name) or not data.startswith(_ELF):
            message = f"{name!r} isn't a decompressed kernel module, so the initrd couldn't load it"
            raise DriverMissing(message)
    listing = "".join(f"{name}\n" for name in names).encode("ascii")
    modules = [_file(f"{_MODULES}/{name}", data) for name, (_, data) in zip(names, drivers, strict=True)]
    return [_directory(_MODULES), *modules, _file(f"{_MODULES}/list", listing)]


def _directory(name: str) -> CpioMember:
    return CpioMember(name, stat.S_IFDIR | 0o755)


def _file(name: str, data: bytes, permissions: int = 0o644) -> CpioMember:
    return CpioMember(name, stat.S_IFREG | permissions, data)


def _content(name: str) -> bytes:
    return files("failback.image.agent").joinpath(name).read_bytes()
