"""The stand-in's packages, kernel and initrd as one archive: the slow part of the build (a minute), cached apart."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.standin.apt import download_kernel, read_mirrors, read_options
from localcloud.standin.programs import SOURCE_DATE_EPOCH, run_program, running_as_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.standin.apt import Kernel

HERE = Path(__file__).parent
PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "kmod", "dbus"),
    *("curl", "ca-certificates", "sudo", "eject", "mawk", "sed"),
    *("dracut-core", "dracut-live", "dmsetup"),
)
# Documentation and translations: 40 % of the bytes, and nothing in the stand-in reads them.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
# The files that shape the archive; a change in any of them makes a new one.
INGREDIENTS = ("customize.sh", "dracut.conf")


def root_tar_key(kernel: Kernel) -> str:
    """Names the archive: a hash over everything that goes into it except the mirror's package versions of the day."""
    digest = hashlib.sha256(repr((kernel.package, kernel.version, PACKAGES, LEFT_OUT, SOURCE_DATE_EPOCH)).encode())
    for name in INGREDIENTS:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


def build_root_tar(cache: Path, kernel: Kernel, *, progress: Callable[[str], None]) -> Path:
    """The archive (zstd) in `cache`, made if it isn't there; raises StandinError."""
    done = cache / f"rootfs-{root_tar_key(kernel)}.tar.zst"
    if done.is_file():
        return done
    progress(f"{kernel.package} {kernel.version} from the machine's Debian mirror")
    deb = download_kernel(kernel, cache)
    progress("packages and initrd, by mmdebstrap and dracut (about a minute)")
    fresh = cache / f"{done.stem}.new"
    run_program(
        mmdebstrap_command(fresh, apt_options=read_options(), as_root=running_as_root()),
        stdin=read_mirrors(),
        env={"KERNEL_DEB": str(deb.resolve()), "DRACUT_CONF": str(HERE / "dracut.conf")},
    )
    progress("compressing the root file system's archive")
    run_program(["zstd", "--quiet", "--force", "--rm", "-3", "--threads=0", fresh, "-o", f"{done}.new"])
    Path(f"{done}.new").replace(done)
    deb.unlink()
    return done


def mmdebstrap_command(target: Path, *, apt_options: tuple[str, ...], as_root: bool) -> list[str]:
    """mmdebstrap's words; it reads the archives to use from standard input."""
    return [
        *("mmdebstrap", f"--mode={'root' if as_root else 'unshare'}", "--variant=minbase", "--format=tar"),
        *("--quiet", f"--include={','.join(PACKAGES)}"),
        *(f"--aptopt={option}" for option in apt_options),
        # The new root file system is archived at once: nobody needs its bytes on the platter before that.
        *("--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT)),
        f'--customize-hook=sh "{HERE}/customize.sh" "$1"',
        *("", str(target), "-"),
    ]
