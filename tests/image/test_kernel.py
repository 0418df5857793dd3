"""The kernel header reader against handmade headers, `file`, and every kernel that is installed."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failback.errors import ImageError, IsoCorrupt, IsoTruncated
from failback.image.kernel import KernelFacts, read_kernel
from failback.image.source import BytesSource, FileSource

VERSION = "5.10.209-198.812.amzn2.x86_64 (mockbuild@ip-10-0-45-12) #1 SMP Tue Jan 30 20:59:52 UTC 2024"


def bzimage(*, version: str = VERSION, machine: int = 0x8664, payload: bytes = bytes(4096)) -> bytes:
    """A bzImage's boot sector, setup code of 4 sectors and payload (boot.rst, "The Real-Mode Kernel Header")."""
    data = bytearray(5 * 512)
    data[:2] = b"MZ"
    data[0x3C:0x40] = struct.pack("<I", 0x82)
    data[0x82:0x88] = b"PE\0\0" + struct.pack("<H", machine)
    data[0x1F1] = 4
    data[0x1F4:0x1F8] = struct.pack("<I", len(payload) // 16)
    data[0x1FE:0x200] = b"\x55\xaa"
    data[0x202:0x206] = b"HdrS"
    data[0x206:0x208] = struct.pack("<H", 0x020F)
    data[0x20E:0x210] = struct.pack("<H", 0x400)
    data[0x211] = 1
    data[0x600 : 0x600 + len(version) + 1] = version.encode() + b"\0"
    return bytes(data) + payload


def changed(offset: int, value: bytes) -> bytes:
    data = bytearray(bzimage())
    data[offset : offset + len(value)] = value
    return bytes(data)


def test_a_whole_kernel() -> None:
    facts = read_kernel(BytesSource(bzimage()))
    assert facts == KernelFacts(version=VERSION, efi_stub=True, protocol=(2, 15))
    assert facts.release == "5.10.209-198.812.amzn2.x86_64"


def test_file_agrees(tmp_path: Path) -> None:
    if shutil.which("file") is None:
        pytest.skip("file isn't installed: it's what the header is compared with")
    (tmp_path / "vmlinuz").write_bytes(bzimage())
    said = subprocess.run(["file", "-b", tmp_path / "vmlinuz"], capture_output=True, check=True, text=True).stdout
    assert said.startswith("Linux kernel x86 boot executable bzImage, version 5.10.209-198.812.amzn2.x86_64")


@pytest.mark.parametrize(
    "data",
    [
        changed(0, b"\xea\x05"),
        changed(0x82, b"PX"),
        bzimage(machine=0x014C),
        changed(0x3C, b"\xff\xff\xff\x7f"),
    ],
)
def test_no_efi_stub(data: bytes) -> None:
    assert not read_kernel(BytesSource(data)).efi_stub


def test_a_header_without_version() -> None:
    facts = read_kernel(BytesSource(changed(0x20E, b"\0\0")))
    assert (facts.version, facts.release) == ("", "")


def test_zero_setup_sectors_stand_for_four() -> None:
    assert read_kernel(BytesSource(changed(0x1F1, b"\0"))).version == VERSION


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no boot header"),
        (b"\x7fELF" + bytes(2000), "ELF"),
        (b"\x1f\x8b" + bytes(2000), "gzip"),
        (bytes(0x38) + b"ARM\x64" + bytes(2000), "64-bit ARM"),
        (b"#!/bin/sh\n" * 200, "no boot header"),
        (changed(0x202, b"HdrX"), "no boot header"),
        (changed(0x1FE, b"\0\0"), "no boot header"),
        (changed(0x211, b"\0"), "zImage"),
        (changed(0x20E, b"\0\x08"), "version should be at byte 2560"),
        (bzimage()[:600], "no boot header"),
    ],
)
def test_what_is_no_bzimage(data: bytes, words: str) -> None:
    with pytest.raises(IsoCorrupt, match=words):
        read_kernel(BytesSource(data))


@pytest.mark.parametrize("cut", [0x270, 0x600, 2560, 2560 + 4095])
def test_a_kernel_that_is_cut_off(cut: int) -> None:
    with pytest.raises(IsoTruncated, match=f"has {cut} bytes where its header states 6656"):
        read_kernel(BytesSource(bzimage()[:cut]))


@given(changes=st.lists(st.tuples(st.integers(0, 0x27F), st.integers(0, 255)), max_size=4), cut=st.integers(0, 6656))
def test_damage_is_an_image_error_or_harmless(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(bzimage())
    for offset, value in changes:
        data[offset] = value
    try:
        facts = read_kernel(BytesSource(bytes(data[:cut])))
    except ImageError:
        return
    assert len(facts.version) <= 512


def test_installed_kernels() -> None:
    kernels = sorted(Path("/boot").glob("vmlinuz-*"))
    if not kernels:
        pytest.skip("no kernel is installed on this machine to be read")
    for path in kernels:
        with FileSource(path) as source:
            assert read_kernel(source).release == path.name.removeprefix("vmlinuz-")
