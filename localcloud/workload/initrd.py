"""The workload's root file system: its one script with a shell, a few commands and the disk's drivers, all of the ISO.

They're taken from the stand-in ISO's initrd, so that nothing more has to be installed or fetched.
"""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from failback.errors import StandinError
from failback.image.cpio import CpioMember, write_cpio
from failback.image.plan import SECTOR
from localcloud.standin.initrd import MODE, compress_initrd, decompress_initrd, module_name, read_cpio
from localcloud.workload.layout import RECORD_OFFSET
from localcloud.workload.libraries import needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from localcloud.standin.initrd import Member

INIT = Path(__file__).with_name("init.sh")
COMMANDS = ("bash", "mount", "kmod", "dd", "tr", "sleep")
LINKS = {"usr/bin/sh": "bash", "usr/bin/insmod": "kmod", "lib64": "usr/lib64"}
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "usr/lib64/ld-linux-x86-64.so.2"
DRIVERS = ("virtio_pci", "virtio_scsi", "sd_mod")
"""Of the disk controllers of this machine's virtual machines; NVMe is part of the kernel itself."""
_FILE, _PROGRAM, _FOLDER, _LINK = stat.S_IFREG | 0o644, stat.S_IFREG | 0o755, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777


def make_initrd(standin: bytes) -> bytes:
    """The workload's initrd, from the stand-in's; raises StandinError where that lacks a part."""
    files = {member.name: member for member in read_cpio(decompress_initrd(standin))}
    programs = {f"usr/bin/{name}": _part(files, f"usr/bin/{name}") for name in COMMANDS}
    drivers = {path.rpartition("/")[2]: _part(files, path) for path in driver_paths(files)}
    content = {
        "init": INIT.read_bytes(),
        "sector": b"%d\n" % (RECORD_OFFSET // SECTOR),
        "drivers": "".join(f"{name}\n" for name in drivers).encode("ascii"),
        LOADER: _part(files, f"{LIBRARIES}/{PurePosixPath(LOADER).name}"),
        **programs,
        **libraries_of(programs.values(), files),
        **{f"modules/{name}": data for name, data in drivers.items()},
    }
    return compress_initrd(write_cpio(list(_members(content))), "gzip")


def libraries_of(programs: Iterable[bytes], files: Mapping[str, Member]) -> dict[str, bytes]:
    """The libraries that these programs need, and those that they need, by their paths."""
    found: dict[str, bytes] = {}
    pending = [name for program in programs for name in needed(program)]
    while pending:
        path = f"{LIBRARIES}/{pending.pop()}"
        if path not in found:
            found[path] = _part(files, path)
            pending += needed(found[path])
    return found


def driver_paths(files: Mapping[str, Member]) -> tuple[str, ...]:
    """The files of the drivers and all they need, in the order in which they have to be loaded.

    By modules.dep(5): a module's line has all that it needs, what's loaded first being last.
    """
    index = next((path for path in files if path.endswith("/modules.dep")), None)
    if index is None:
        message = "the stand-in's initrd has no list of kernel modules; it wasn't made by this recipe"
        raise StandinError(message)
    lines = [line.partition(":")[::2] for line in files[index].data.decode("ascii").splitlines()]
    needs = {module_name(path): [*reversed(more.split()), path] for path, more in lines}
    absent = [name for name in DRIVERS if name not in needs]
    if absent:
        message = f"the stand-in's initrd has no kernel modules {', '.join(absent)}; they may be built in"
        raise StandinError(message)
    return tuple(dict.fromkeys(f"{index.rpartition('/')[0]}/{path}" for name in DRIVERS for path in needs[name]))


def _part(files: Mapping[str, Member], path: str) -> bytes:
    """A file's content; a link leads to a file beside it, as those of libraries do."""
    found = files.get(path)
    if found is None:
        message = f"the stand-in's initrd has no {path}, which the workload needs"
        raise StandinError(message)
    if stat.S_ISLNK(found.fields[MODE]):
        return _part(files, f"{path.rpartition('/')[0]}/{found.data.decode()}")
    return found.data


def _members(content: Mapping[str, bytes]) -> Iterable[CpioMember]:
    """Folders before what's in them; every file can be run but those that are no programs."""
    parents = {str(folder) for path in (*content, *LINKS) for folder in PurePosixPath(path).parents} - {"."}
    for folder in sorted({*parents, "dev", "sys"}):
        yield CpioMember(folder, _FOLDER)
    for path, data in sorted(content.items()):
        yield CpioMember(path, _FILE if path in {"sector", "drivers"} else _PROGRAM, data)
    for path, target in LINKS.items():
        yield CpioMember(path, _LINK, target.encode("ascii"))
