"""What an x86 Linux kernel says of itself in its boot header: version, EFI stub, boot protocol."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import IsoCorrupt, IsoTruncated

if TYPE_CHECKING:
    from failback.image.source import ByteSource

# The header ends at 0x26c in the newest protocol.
_HEADER_BYTES = 0x270
_SECTOR = 512
# The setup code is at most 64 sectors, the version's text some 120 characters within it.
_MAX_VERSION = 512
_LOADED_HIGH = 1
_PE_X86_64 = 0x8664
_NOT_X86 = {
    b"\x1f\x8b": "it's gzip-compressed, as kernels for other processors are",
    b"\x7fELF": "it's an ELF file: an uncompressed vmlinux or a program",
}


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """`version` is the kernel's whole version text, `protocol` the boot protocol's (major, minor).

    `efi_stub`: UEFI firmware could start the file itself, and GRUB hands over in the way that Linux supports best.
    """

    version: str
    efi_stub: bool
    protocol: tuple[int, int]

    @property
    def release(self) -> str:
        """What `uname -r` would say, the name of its folder in lib/modules; '' where the header has no version."""
        return self.version.split(" ", 1)[0]


def read_kernel(source: ByteSource) -> KernelFacts:
    """Read a bzImage's header (Linux Documentation/arch/x86/boot.rst); raises IsoCorrupt, or IsoTruncated."""
    header = source.read(0, min(source.size, _HEADER_BYTES))
    _check_is_bzimage(header)
    protocol = (header[0x207], header[0x206])
    _check_length(source, header)
    return KernelFacts(_version(source, header), _has_efi_stub(source, header), protocol)


def _check_is_bzimage(header: bytes) -> None:
    if len(header) == _HEADER_BYTES and header[0x1FE:0x200] == b"\x55\xaa" and header[0x202:0x206] == b"HdrS":
        if header[0x211] & _LOADED_HIGH:
            return
        reason = "it's a zImage for machines of the 1990s"
    elif header[0x38:0x3C] == b"ARM\x64":
        reason = "it's a kernel for 64-bit ARM"
    else:
        known = (text for magic, text in _NOT_X86.items() if header.startswith(magic))
        reason = next(known, "it has no boot header: 'HdrS' isn't at byte 514")
    message = f"the kernel isn't a bzImage for x86: {reason}; the client needs an x86-64 kernel, fetch the ISO again"
    raise IsoCorrupt(message)


def _check_length(source: ByteSource, header: bytes) -> None:
    needed = _setup_bytes(header) + struct.unpack_from("<I", header, 0x1F4)[0] * 16
    if source.size < needed:
        message = (
            f"the kernel has {source.size} bytes where its header states {needed}; it's cut off: fetch the ISO again"
        )
        raise IsoTruncated(message)


def _setup_bytes(header: bytes) -> int:
    # 0 stands for 4 for historical reasons; the boot sector comes on top.
    return ((header[0x1F1] or 4) + 1) * _SECTOR


def _version(source: ByteSource, header: bytes) -> str:
    pointer: int = struct.unpack_from("<H", header, 0x20E)[0]
    start = pointer + _SECTOR
    if not pointer:
        return ""
    if start >= _setup_bytes(header):
        message = (
            f"the kernel's version should be at byte {start}, after its setup code; it's damaged: fetch the ISO again"
        )
        raise IsoCorrupt(message)
    text = source.read(start, min(_MAX_VERSION, source.size - start))
    return text.split(b"\0", 1)[0].decode("utf-8", errors="replace").strip()


def _has_efi_stub(source: ByteSource, header: bytes) -> bool:
    offset: int = struct.unpack_from("<I", header, 0x3C)[0]
    if header[:2] != b"MZ" or offset + 6 > source.size:
        return False
    signature, machine = struct.unpack("<4sH", source.read(offset, 6))
    return bool(signature == b"PE\0\0" and machine == _PE_X86_64)
