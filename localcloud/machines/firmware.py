"""Where Debian keeps the firmware of virtual machines, and a machine's own copy of its UEFI variables."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from failback.errors import MachineError
from localcloud.packages import explain_missing, missing


@dataclass(frozen=True, slots=True)
class UefiFirmware:
    """A pair of flash images: the code, which machines share, and the variables, of which each has its own copy."""

    code: Path
    variables: Path


# Without Secure Boot, in the order of preference: 2 MiB flash (Debian 12), 4 MiB flash (Debian 12 and later).
UEFI_FIRMWARE = (
    UefiFirmware(Path("/usr/share/OVMF/OVMF_CODE.fd"), Path("/usr/share/OVMF/OVMF_VARS.fd")),
    UefiFirmware(Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")),
)


def find_uefi(known: tuple[UefiFirmware, ...] = UEFI_FIRMWARE) -> UefiFirmware:
    """The UEFI firmware that is installed here; raises MachineError naming the package where none is."""
    for firmware in known:
        if firmware.code.is_file() and firmware.variables.is_file():
            return firmware
    message = explain_missing("booting a machine by UEFI", missing("machines by UEFI", present=lambda _: False))
    raise MachineError(message)


def copy_variables(firmware: UefiFirmware, folder: Path) -> Path:
    """A writable copy of the UEFI variables in `folder`; an existing one is kept, as a machine keeps its variables."""
    copy = folder / "uefi-variables.fd"
    if not copy.exists():
        shutil.copyfile(firmware.variables, copy)
        copy.chmod(0o600)
    return copy


def check_packages() -> None:
    """Raise MachineError, naming all that is missing, unless this machine can run virtual machines."""
    lacking = missing("machines")
    if lacking:
        raise MachineError(explain_missing("running a local virtual machine", lacking))
