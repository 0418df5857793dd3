"""What the client's root file system says of itself: its system, kernels, SELinux, start script and tools."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

from failback.image.text_files import active_lines, matching, read_text, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from failback.image.tree import FileTree

SelinuxMode = Literal["enforcing", "permissive", "disabled", "absent"]
_SELINUX_MODES: tuple[SelinuxMode, ...] = ("enforcing", "permissive", "disabled")

_START_SCRIPT = "/usr/bin/start.sh"
_SCRIPT_DIRECTORIES = ("/usr/bin", "/usr/local/bin", "/opt", "/root")
_SCRIPT_MARKS = ("failback_entry", "DRSFAILBACK")
"""The client's program and its ISO's label: the start script names both."""
_SCRIPTS_READ = 500
_HOMES_SEARCHED = 50
_KERNELS_LISTED = 50
_PLAIN_PATH = re.compile(r"[\w./+~@-]+", re.ASCII)
"""What may go on into scripts and onto terminals."""
_TOOL_DIRECTORIES = ("/usr/bin", "/usr/sbin", "/bin", "/sbin")


@dataclass(frozen=True, slots=True)
class RootFacts:
    """Facts for the report and for the agent; a text that isn't there is empty. Kernels are sorted oldest first."""

    os_name: str
    os_id: str
    version_id: str
    kernels: tuple[str, ...]
    selinux: SelinuxMode
    systemd: str
    client_start: str

    @property
    def has_selinux(self) -> bool:
        """Whether the system labels files, so that what the agent brings along has no label there."""
        return self.selinux in ("enforcing", "permissive")


def read_root(tree: FileTree) -> RootFacts:
    """Read all of it; raises DataCorrupt where the file system is damaged."""
    release = _os_release(tree)
    return RootFacts(
        os_name=release.get("PRETTY_NAME", ""),
        os_id=release.get("ID", ""),
        version_id=release.get("VERSION_ID", ""),
        kernels=_kernels(tree),
        selinux=_selinux(tree),
        systemd=_systemd(tree),
        client_start=find_client_start(tree),
    )


def missing_tools(tree: FileTree, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the commands that are in none of /usr/bin, /usr/sbin, /bin and /sbin."""
    return tuple(name for name in names if not _has_tool(tree, name))


def _has_tool(tree: FileTree, name: str) -> bool:
    found = (tree.find(f"{directory}/{name}") for directory in _TOOL_DIRECTORIES)
    return any(entry is not None and entry.kind == "file" and entry.mode & 0o111 for entry in found)


def find_client_start(tree: FileTree) -> str:
    """The path of the client's start script, or nothing.

    /usr/bin/start.sh is where public copies of the client have it; elsewhere a script counts that names the client.
    """
    entry = tree.find(_START_SCRIPT)
    if entry is not None and entry.kind == "file":
        return _START_SCRIPT
    for path in islice(_scripts(tree), _SCRIPTS_READ):
        if any(mark in read_text(tree, path) for mark in _SCRIPT_MARKS):
            return path
    return ""


def _scripts(tree: FileTree) -> Iterator[str]:
    homes = (entry.path for entry in matching(tree, "/home", "*") if entry.kind == "directory")
    for directory in (*_SCRIPT_DIRECTORIES, *islice(homes, _HOMES_SEARCHED)):
        for entry in matching(tree, directory, "*.sh"):
            if _PLAIN_PATH.fullmatch(entry.path):
                yield entry.path


def _os_release(tree: FileTree) -> dict[str, str]:
    """The values of os-release(5), quotes removed."""
    text = read_text(tree, "/etc/os-release") or read_text(tree, "/usr/lib/os-release")
    values = {}
    for line in active_lines(text):
        key, _, value = line.partition("=")
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        values[key.strip()] = shown(value)
    return values


def _kernels(tree: FileTree) -> tuple[str, ...]:
    directories = (entry.path for entry in matching(tree, "/lib/modules", "*") if entry.kind == "directory")
    plain = (path for path in directories if _PLAIN_PATH.fullmatch(path))
    names = [path.rsplit("/", 1)[-1] for path in islice(plain, _KERNELS_LISTED)]
    return tuple(sorted(names, key=_version_key))


def _version_key(version: str) -> list[tuple[bool, int, str]]:
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+", version)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def _selinux(tree: FileTree) -> SelinuxMode:
    text = read_text(tree, "/etc/selinux/config")
    if not text:
        return "absent"
    found = re.search(r"^\s*SELINUX\s*=\s*(\w+)", text, re.MULTILINE)
    # A value that isn't known counts as the one that something has to be done about.
    return next((mode for mode in _SELINUX_MODES if found and found[1].lower() == mode), "enforcing")


def _systemd(tree: FileTree) -> str:
    """The version from a file's name: the shared library's (231 and later), or a directory's on Red Hat's kin."""
    places = (
        ("/usr/lib/systemd", "libsystemd-shared-*.so"),
        ("/lib/systemd", "libsystemd-shared-*.so"),
        ("/usr/lib64/systemd", "libsystemd-shared-*.so"),
        ("/usr/lib/x86_64-linux-gnu/systemd", "libsystemd-shared-*.so"),
        ("/usr/share/licenses", "systemd-[0-9]*"),
        ("/usr/share/doc", "systemd-[0-9]*"),
    )
    for directory, pattern in places:
        for entry in matching(tree, directory, pattern):
            found = re.search(r"systemd(?:-shared)?-([0-9][\w.~+-]*?)(?:\.so)?$", entry.path)
            if found:
                return shown(found[1])
    return ""
