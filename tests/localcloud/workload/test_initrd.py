"""What's taken from the stand-in's initrd: programs with all their libraries, drivers with all they need."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from failback.errors import StandinError
from localcloud.standin.initrd import FILE_MODE, Member, new_member, read_cpio, write_cpio
from localcloud.workload.initrd import COMMANDS, DRIVERS, LIBRARIES, LINKS, driver_paths, libraries_of, make_initrd
from localcloud.workload.libraries import needed

MODULES = "usr/lib/modules/6.1"
INDEX = """\
scsi/sd_mod.ko: scsi/scsi_mod.ko scsi/scsi_common.ko
scsi/virtio_scsi.ko: scsi/scsi_mod.ko scsi/scsi_common.ko virtio/virtio.ko
virtio/virtio_pci.ko: virtio/virtio_ring.ko virtio/virtio.ko
virtio/virtio.ko:
other.ko: virtio/virtio.ko
"""


def linked(*libraries: str) -> bytes:
    """An ELF file of one segment, with these libraries named in it."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in libraries)
    places = [1 + sum(len(name) + 1 for name in libraries[:number]) for number in range(len(libraries))]
    address, dynamic_at, names_at = 0x400000, 0x200, 0x400
    entries = [(1, place) for place in places] + [(5, address + names_at), (0, 0)]
    dynamic = b"".join(tag.to_bytes(8, "little") + value.to_bytes(8, "little") for tag, value in entries)
    header = b"\x7fELF\x02\x01".ljust(32, b"\0") + (64).to_bytes(8, "little") + bytes(14)
    header += (56).to_bytes(2, "little") + (2).to_bytes(2, "little")

    def segment(kind: int, at: int, size: int) -> bytes:
        numbers = (at, address + at, address + at, size, size, 1)
        return kind.to_bytes(4, "little") + bytes(4) + b"".join(each.to_bytes(8, "little") for each in numbers)

    head = header.ljust(64, b"\0") + segment(1, 0, 0x1000) + segment(2, dynamic_at, len(dynamic))
    return (head.ljust(dynamic_at, b"\0") + dynamic).ljust(names_at, b"\0") + names


def standin_files() -> dict[str, Member]:
    """The parts of a stand-in's initrd that matter, and one that doesn't."""
    files = {f"usr/bin/{name}": linked("libc.so.6") for name in COMMANDS}
    files |= {f"{LIBRARIES}/libc.so.6": linked("ld-linux-x86-64.so.2"), f"{LIBRARIES}/ld-linux-x86-64.so.2": linked()}
    files |= {f"{MODULES}/modules.dep": INDEX.encode(), "usr/bin/other": linked("libother.so")}
    files |= {f"{MODULES}/{name}": name.encode() for name in INDEX.replace(":", "").split()}
    files |= {f"{MODULES}/scsi/scsi_common.ko": b"common", f"{MODULES}/virtio/virtio_ring.ko": b"ring"}
    return {path: new_member(path, FILE_MODE, data) for path, data in files.items()}


def packed(files: dict[str, Member]) -> bytes:
    return gzip.compress(write_cpio(list(files.values())), mtime=0)


def test_a_program_says_what_it_is_linked_with() -> None:
    assert needed(linked("libc.so.6", "libm.so.6")) == ("libc.so.6", "libm.so.6")
    assert needed(linked()) == ()
    assert needed(b"#!/bin/sh\n") == ()


@pytest.mark.skipif(sys.platform != "linux", reason="the shell here isn't an ELF file")
def test_this_machines_own_shell_is_read_as_well() -> None:
    assert "libc.so.6" in needed(Path("/bin/sh").resolve().read_bytes())


def test_libraries_bring_those_that_they_need_through_links() -> None:
    link = new_member(f"{LIBRARIES}/liba.so.1", 0o120777, b"liba.so.1.2")
    real = new_member(f"{LIBRARIES}/liba.so.1.2", FILE_MODE, linked("libb.so", "liba.so.1"))
    last = new_member(f"{LIBRARIES}/libb.so", FILE_MODE, linked())
    found = libraries_of([linked("liba.so.1")], {each.name: each for each in (link, real, last)})
    assert found == {link.name: real.data, last.name: last.data}


def test_drivers_come_after_all_they_need() -> None:
    order = [path.removeprefix(f"{MODULES}/") for path in driver_paths(standin_files())]
    assert order == [
        *("virtio/virtio.ko", "virtio/virtio_ring.ko", "virtio/virtio_pci.ko"),
        *("scsi/scsi_common.ko", "scsi/scsi_mod.ko", "scsi/virtio_scsi.ko", "scsi/sd_mod.ko"),
    ]


def test_the_initrd_holds_the_script_and_what_it_uses() -> None:
    made = make_initrd(packed(standin_files()))
    members = {each.name: each for each in read_cpio(gzip.decompress(made))}
    assert members["init"].data.startswith(b"#!/usr/bin/sh\n")
    assert members["sector"].data == b"135168\n", "the record is at 66 MiB"
    drivers = members["drivers"].data.decode().split()
    assert [f"{name}.ko" for name in DRIVERS] == [each for each in drivers if each.removesuffix(".ko") in DRIVERS]
    assert {f"modules/{name}" for name in drivers} <= set(members)
    assert {*(f"usr/bin/{name}" for name in COMMANDS), *LINKS, "dev", "sys"} <= set(members)
    assert members["usr/lib64/ld-linux-x86-64.so.2"].data == linked()
    assert not [path for path in members if "other" in path]
    assert make_initrd(packed(standin_files())) == made


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("usr/bin/dd", "has no usr/bin/dd"),
        (f"{LIBRARIES}/libc.so.6", "has no .*libc"),
        (f"{MODULES}/modules.dep", "no list of kernel modules"),
        (f"{MODULES}/virtio/virtio_ring.ko", "has no .*virtio_ring"),
    ],
)
def test_what_the_standin_lacks_is_named(path: str, text: str) -> None:
    files = standin_files()
    del files[path]
    with pytest.raises(StandinError, match=text):
        make_initrd(packed(files))


def test_a_driver_that_no_longer_is_a_module_is_named() -> None:
    files = standin_files()
    index = INDEX.replace("scsi/sd_mod.ko", "scsi/sd.ko").encode()
    files[f"{MODULES}/modules.dep"] = new_member(f"{MODULES}/modules.dep", FILE_MODE, index)
    with pytest.raises(StandinError, match="no kernel modules sd_mod; they may be built in"):
        driver_paths(files)
