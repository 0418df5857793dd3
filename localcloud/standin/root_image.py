"""The live root file system: the archive plus our files minus unlisted commands, as an ext4 image inside a squashfs."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.standin.filler import write_filler
from localcloud.standin.programs import SOURCE_DATE_EPOCH, in_root_namespace, run_program
from localcloud.standin.tools import list_tools

if TYPE_CHECKING:
    from localcloud.standin.recipe import Size

HERE = Path(__file__).parent
# Fixed, so that the same inputs give the same bytes.
ROOT_UUID = "5d1c2f0e-3f0a-4c53-9a52-d75fa11bac00"
EC2_USER = 1000
# What the client program reads from its own folder.
CLIENT_PARTS = ("failback_mapping.sh", "failback_calls.sh", "failback_copy.sh")

# What no running system reads: package management, dracut and Perl (their commands aren't kept either).
LEFT_OUT = (
    *(
        "./usr/lib/dracut",
        "./usr/lib/apt",
        "./var/lib/apt/*",
        "./var/lib/dpkg",
        "./var/cache/*",
        "./usr/lib/udev/hwdb.d",
    ),
    *(
        "./usr/share/perl",
        "./usr/share/perl5",
        "./usr/share/perl-openssl-defaults",
        "./usr/lib/*/perl*",
        "./usr/lib/*/libperl*",
    ),
    *(
        "./usr/share/bash-completion",
        "./usr/share/zsh",
        "./usr/share/lintian",
        "./usr/share/gcc",
        "./usr/share/common-licenses",
    ),
    *("./etc/apt", "./etc/dracut.conf*", "./dev/*", "./etc/machine-id", "./etc/resolv.conf", "./etc/hostname"),
    *(
        "./usr/lib/systemd/system/e2scrub*",
        "./usr/lib/systemd/system/apt-daily*",
        "./usr/lib/systemd/system/dpkg-db-backup*",
    ),
    *("./etc/systemd/system/*/e2scrub*", "./etc/systemd/system/*/apt-daily*", "./etc/systemd/system/*/dpkg-db-backup*"),
)


@dataclass(frozen=True, slots=True)
class OverlayFile:
    """A file of ours in the root file system; `owner` is the numeric user and group."""

    path: str
    data: bytes
    mode: int = 0o644
    owner: int = 0


@dataclass(frozen=True, slots=True)
class OverlayLink:
    """A symbolic link of ours in the root file system."""

    path: str
    target: str


def overlay() -> tuple[OverlayFile | OverlayLink, ...]:
    """Everything that the stand-in adds to Debian's packages."""
    units = "etc/systemd/system"
    return (
        OverlayFile("usr/bin/start.sh", _read("start.sh"), 0o755),
        OverlayFile("usr/lib/standin/failback_entry", _read("failback_entry.sh"), 0o755),
        *(OverlayFile(f"usr/lib/standin/{name}", _read(name)) for name in CLIENT_PARTS),
        OverlayFile("home/ec2-user/.bash_profile", _read("bash_profile.sh"), owner=EC2_USER),
        OverlayFile(f"{units}/getty@tty1.service.d/autologin.conf", _read("autologin.conf")),
        OverlayFile("etc/systemd/network/80-dhcp.network", _read("network.conf")),
        OverlayFile("etc/sudoers.d/ec2-user", _read("sudoers.conf"), 0o440),
        OverlayFile("etc/standin/newer-iso", b""),
        OverlayFile("usr/share/standin/TOOLS", list_tools().encode()),
        OverlayFile("etc/hostname", b"failback-client\n"),
        OverlayFile("etc/resolv.conf", b"# No name server: the embedded clouds are reached by address.\n"),
        OverlayFile("etc/adjtime", b"0.0 0 0.0\n0\nUTC\n"),
        OverlayFile("etc/machine-id", b"", 0o444),
        OverlayLink(
            f"{units}/multi-user.target.wants/systemd-networkd.service", "/lib/systemd/system/systemd-networkd.service"
        ),
        OverlayLink(
            f"{units}/getty.target.wants/serial-getty@ttyS0.service", "/lib/systemd/system/serial-getty@.service"
        ),
        OverlayLink(f"{units}/getty.target.wants/getty@tty1.service", "/lib/systemd/system/getty@.service"),
        OverlayLink(f"{units}/default.target", "/lib/systemd/system/multi-user.target"),
    )


def write_overlay(target: Path) -> None:
    """Write our files as a tar archive, owned as they shall be, whoever runs this."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for entry in overlay():
            member = tarfile.TarInfo(f"./{entry.path}")
            member.mtime = SOURCE_DATE_EPOCH
            if isinstance(entry, OverlayLink):
                member.type, member.linkname = tarfile.SYMTYPE, entry.target
                archive.addfile(member)
            else:
                member.size, member.mode, member.uid, member.gid = len(entry.data), entry.mode, entry.owner, entry.owner
                archive.addfile(member, io.BytesIO(entry.data))


def compose_root(work: Path, root_tar: Path, size: Size) -> None:
    """Make rootfs.img, vmlinuz and initrd.img in the empty folder `work`."""
    (work / "tree").mkdir()
    (work / "tree").chmod(0o755)
    (work / "root.tar.zst").symlink_to(root_tar.resolve())
    (work / "tools.txt").write_text(list_tools())
    (work / "left-out.txt").write_text("".join(f"{pattern}\n" for pattern in LEFT_OUT))
    write_overlay(work / "overlay.tar")
    write_filler(work / "tree" / "usr" / "lib" / "standin" / "filler", size.filler_bytes)
    run_program([*in_root_namespace(), "sh", HERE / "compose.sh", str(size.root_bytes), ROOT_UUID], cwd=work)


def squash(work: Path, target: Path) -> None:
    """Put rootfs.img into a squashfs as LiveOS/rootfs.img; gzip as on the real ISO, at its quickest level."""
    folder = work / "squash" / "LiveOS"
    folder.mkdir(parents=True)
    (work / "rootfs.img").rename(folder / "rootfs.img")
    run_program(
        [
            *("mksquashfs", folder.parent, target, "-noappend", "-quiet", "-no-progress", "-no-xattrs", "-all-root"),
            *("-comp", "gzip", "-Xcompression-level", "1"),
        ]
    )


def _read(name: str) -> bytes:
    return (HERE / name).read_bytes()
