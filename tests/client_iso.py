"""A small ISO with everything that a client ISO has, made with Debian's tools in half a second; nothing in it runs.

Every part can be changed or left out, so that a test can say "this ISO, but without its squashfs driver".
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from failback.image.agent.package import HOOK_COMMANDS, tool_names
from failback.image.cpio import CpioMember, write_cpio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TOOLS = ("xorriso", "mksquashfs", "mke2fs")
KERNEL = "5.10.209-198.812.amzn2.x86_64"
LABEL = "DRSFAILBACK"
ISOLINUX = """\
default vesamenu.c32
timeout 50
label live
  menu label AWS DRS Failback Client
  kernel vmlinuz
  append initrd=initrd.img root=live:CDLABEL=DRSFAILBACK rootfstype=auto ro rd.live.image quiet rhgb
"""
DRIVERS = (
    *("squashfs", "loop", "dm-mod", "dm-snapshot", "ext4", "isofs", "sd_mod", "hv_vmbus", "hv_storvsc"),
    *("virtio_pci", "virtio_scsi", "nvme"),
)
NETWORK = ("hv_netvsc", "virtio_net", "ena")
# What depends on what, as in the real kernel.
DEPENDENCIES = {"dm-snapshot": ("dm-mod",), "hv_storvsc": ("hv_vmbus",), "hv_netvsc": ("hv_vmbus",)}
INITRD_DIRECTORIES = (
    *("usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib/dracut", "usr/lib/dracut/hooks"),
    *("usr/lib/dracut/hooks/pre-pivot", "usr/lib/dracut/hooks/pre-udev", "usr/lib/modules"),
    *(f"usr/lib/modules/{KERNEL}", f"usr/lib/modules/{KERNEL}/kernel"),
)


@dataclass(frozen=True)
class ClientIso:
    """The parts; `pack` compresses the initrd, `files` are added to the ISO, `without` taken from it."""

    kernel: bytes = b""
    drivers: tuple[str, ...] = DRIVERS
    root_drivers: tuple[str, ...] = (*DRIVERS, *NETWORK)
    isolinux: str = ISOLINUX
    commands: tuple[str, ...] = HOOK_COMMANDS
    tools: tuple[str, ...] = field(default_factory=tool_names)
    live_module: bool = True
    start_script: str = "#!/bin/bash\n# looks for DRSFAILBACK and runs failback_entry\n"
    selinux: str = ""
    pack: Callable[[bytes], bytes] = bytes
    files: Mapping[str, bytes] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def write(self, folder: Path) -> Path:
        """The ISO's path, in `folder`, which must be new."""
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")
        tree = folder / "tree"
        files = {
            "isolinux/isolinux.cfg": self.isolinux.encode(),
            "isolinux/vmlinuz": self.kernel or bzimage(),
            "isolinux/initrd.img": self.pack(self._initrd()),
            "LiveOS/squashfs.img": self._live(folder),
            **self.files,
        }
        for name, content in files.items():
            if name not in self.without:
                _write(tree / name, content)
        iso = folder / "client.iso"
        _run("xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", LABEL, "-o", str(iso), str(tree))
        return iso

    def _initrd(self) -> bytes:
        members = [CpioMember(name, 0o40755) for name in INITRD_DIRECTORIES]
        members += [CpioMember(name, 0o120777, f"usr/{name}".encode()) for name in ("bin", "sbin", "lib")]
        members += [CpioMember(f"usr/bin/{name}", 0o100755, b"x") for name in self.commands]
        if self.live_module:
            members.append(CpioMember("usr/sbin/dmsquash-live-root", 0o100755, b"x"))
        members += [
            CpioMember(f"usr/lib/modules/{KERNEL}/kernel/{name}.ko", 0o100644, b"\x7fELF") for name in self.drivers
        ]
        return write_cpio(members)

    def _live(self, folder: Path) -> bytes:
        root, live = folder / "root", folder / "live"
        self._fill_root(root)
        (live / "LiveOS").mkdir(parents=True)
        _run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(live / "LiveOS/rootfs.img"), "8M")
        _run("mksquashfs", str(live), str(folder / "squashfs.img"), "-quiet", "-no-progress", "-comp", "gzip")
        return (folder / "squashfs.img").read_bytes()

    def _fill_root(self, root: Path) -> None:
        _write(root / "etc/os-release", b'ID="amzn"\nPRETTY_NAME="Amazon Linux 2"\nVERSION_ID="2"\n')
        if self.selinux:
            _write(root / "etc/selinux/config", f"SELINUX={self.selinux}\n".encode())
        for tool in self.tools:
            _write(root / "usr/bin" / tool, b"x", 0o755)
        if self.start_script:
            _write(root / "usr/bin/start.sh", self.start_script.encode(), 0o755)
            _write(root / "etc/rc.d/rc.local", b"#!/bin/sh\n/usr/bin/start.sh\n", 0o755)
        modules = root / "lib/modules" / KERNEL
        lines = []
        for name in self.root_drivers:
            _write(modules / f"kernel/{name}.ko", b"\x7fELF" + name.encode())
            needed = [f"kernel/{each}.ko" for each in DEPENDENCIES.get(name, ()) if each in self.root_drivers]
            lines.append(f"kernel/{name}.ko: {' '.join(needed)}".rstrip())
        _write(modules / "modules.dep", ("\n".join(lines) + "\n").encode())


def bzimage(*, efi_stub: bool = True) -> bytes:
    """A kernel's boot header without a kernel (Linux, Documentation/arch/x86/boot.rst)."""
    data = bytearray(5 * 512)
    if efi_stub:
        data[:2] = b"MZ"
        struct.pack_into("<I", data, 0x3C, 0x82)
        data[0x82:0x88] = b"PE\0\0" + struct.pack("<H", 0x8664)
    data[0x1F1] = 4
    data[0x1FE:0x200] = b"\x55\xaa"
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x206, 0x020F)
    struct.pack_into("<H", data, 0x20E, 0x400)
    data[0x211] = 1
    text = f"{KERNEL} (builder) #1 SMP".encode()
    data[0x600 : 0x600 + len(text)] = text
    return bytes(data) + bytes(4096)


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
