"""Builds GRUB's images from Debian's packages: `python -m assets.grub_images DIRECTORY`.

The images depend on nothing but the package version, so the same packages give the same bytes. GRUB is free software
under the GPL, version 3 or later; the version file beside the images names the source package.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from failback.errors import GrubUnavailable
from failback.image.grub import BOOT_FILE, CORE_FILE, EFI_FILE, VERSION_FILE

PACKAGES = ("grub-common", "grub-pc-bin", "grub-efi-amd64-bin")
MODULE_DIRECTORY = Path("/usr/lib/grub")

# What the configuration on the system partition uses, and what someone at GRUB's prompt needs to look around.
MODULES = (
    *("part_gpt", "part_msdos", "fat", "iso9660", "normal", "configfile", "linux", "echo", "test", "regexp"),
    *("search", "search_label", "search_fs_uuid", "search_fs_file", "ls", "cat", "halt", "reboot", "minicmd", "help"),
)
BIOS_MODULES = ("biosdisk", "serial", "terminal")
EFI_MODULES = ("all_video", "serial", "terminal")
# Partition 2 of the drive that the BIOS started, and for EFI the partition that the image itself came from.
BIOS_PREFIX = "(,gpt2)/grub"
EFI_PREFIX = "/grub"


def build_grub(directory: Path, *, module_directory: Path = MODULE_DIRECTORY) -> None:
    """Write boot.img, core.img, grubx64.efi and the version into `directory`; raises GrubUnavailable."""
    directory.mkdir(parents=True, exist_ok=True)
    bios, efi = module_directory / "i386-pc", module_directory / "x86_64-efi"
    if shutil.which("grub-mkimage") is None or not (bios / BOOT_FILE).exists() or not efi.exists():
        message = f"GRUB isn't installed here. On Debian: apt-get install {' '.join(PACKAGES)}"
        raise GrubUnavailable(message)
    shutil.copyfile(bios / BOOT_FILE, directory / BOOT_FILE)
    _mkimage(directory / CORE_FILE, "i386-pc", bios, BIOS_PREFIX, (*BIOS_MODULES, *MODULES))
    _mkimage(directory / EFI_FILE, "x86_64-efi", efi, EFI_PREFIX, (*EFI_MODULES, *MODULES))
    (directory / VERSION_FILE).write_text(f"grub2 {_version()}\n", encoding="ascii")


def _mkimage(output: Path, platform: str, modules_from: Path, prefix: str, modules: tuple[str, ...]) -> None:
    command = ["grub-mkimage", "-O", platform, "-d", str(modules_from), "-p", prefix, "-o", str(output), *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"grub-mkimage failed for {platform}: {done.stderr.strip()}"
        raise GrubUnavailable(message)


def _version() -> str:
    """The source package's version as Debian states it, else what GRUB says of itself."""
    query = ["dpkg-query", "-W", "-f", "${source:Version}", "grub-pc-bin"]
    if shutil.which(query[0]):
        done = subprocess.run(query, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    done = subprocess.run(["grub-mkimage", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


if __name__ == "__main__":
    try:
        build_grub(Path(sys.argv[1] if len(sys.argv) > 1 else "build/grub"))
    except GrubUnavailable as error:
        sys.exit(f"error: {error}")
