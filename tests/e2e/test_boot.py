"""Client images boot in QEMU, and the agent inside reaches the client's start with real settings and credentials."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.image.gpt import read_partitions
from failback.image.layout import STATE_PARTITION
from failback.image.source import FileSource
from localcloud.client_boot import MARK, RECOVERY_INSTANCE, ROLE, BootedClient, ClientBoot, boot_client
from localcloud.standin.variant import variant_iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.model.image import BuiltImage, ImageFormat
    from localcloud.machines.spec import Bus, Firmware

pytestmark = [pytest.mark.boot, pytest.mark.timeout(600)]

# The modules without which the live system finds neither its disk nor its root file system.
DROPPED = ("squashfs", "virtio_scsi", "hv_storvsc", "sd_mod", "scsi_mod", "isofs")


# Its answer to the mapping, or that it waits for a DRS that isn't there: the boots end with either.
SAID = r"mapping: /dev/nvme0n1 -> /dev/|STANDIN-CLIENT"


def check(booted: BootedClient, home: str) -> None:
    """The agent went all the way, in order, and once; what the client says meanwhile makes marks of its own."""
    states = list(dict.fromkeys(mark.split(" ", 1)[0] for _, mark in booted.marks))
    wanted = ["started", "settings", "credentials", "mapping", "client-start", "client-running"]
    # Another writer on the same console, the kernel say, may break into a line: what's left is a mark's beginning.
    assert len(states) == len(wanted), states
    assert all(state and whole.startswith(state) for state, whole in zip(states, wanted, strict=True)), states
    said = {mark.split(" ", 1)[0]: mark for _, mark in booted.marks}
    assert f" {home} " in said.get("settings", f" {home} ")
    assert re.search(SAID, said["client-running"])
    assert booted.log.count(f"{MARK} client-start") == 1
    (session,) = booted.sessions
    assert session.role_arn == ROLE
    assert session.secret_key not in booted.log
    assert session.session_token not in booted.log


# That a BIOS boots with Azure's metadata and credentials, test_azure_machine shows on a disk of the embedded Azure.
@pytest.mark.matrix
def test_bios_from_a_vhd_with_azures_metadata(
    standin_iso: Path, make_image: Callable[[Path, ImageFormat], BuiltImage]
) -> None:
    built = make_image(standin_iso, "vhd")
    booted = boot_client(ClientBoot(image=Path(built.output), format="vpc", firmware="bios", home="azure", said=SAID))
    check(booted, "azure")
    assert any("userData" in request for request in booted.metadata_requests)


def test_uefi_with_googles_metadata_and_drivers_from_the_root(
    tmp_path: Path, standin_iso: Path, make_image: Callable[[Path, ImageFormat], BuiltImage]
) -> None:
    """The initrd lacks what it needs to find the disk: the image brings that along from the ISO's root."""
    poor = variant_iso(standin_iso, tmp_path / "poor.iso", drop_modules=DROPPED, initrd_compression="xz")
    built = make_image(poor, "raw")
    names = {path.rpartition("/")[2].partition(".")[0] for path in built.injected}
    assert set(DROPPED) <= names
    booted = boot_client(ClientBoot(image=Path(built.output), format="raw", firmware="uefi", home="google", said=SAID))
    check(booted, "google")
    assert any("failback-settings" in request for request in booted.metadata_requests)


def test_a_client_that_is_done_is_not_started_over(
    tmp_path: Path, standin_iso: Path, make_image: Callable[[Path, ImageFormat], BuiltImage]
) -> None:
    """The client ends by asking for a restart; the machine powers off instead, and another boot changes nothing."""
    done = variant_iso(standin_iso, tmp_path / "done.iso", kernel_arguments="standin.launched")
    image = Path(make_image(done, "raw").output)
    boot = ClientBoot(image=image, format="raw", until="poweroff", keep=True, run="run-7")
    first = boot_client(boot)
    assert [mark.split(" ", 1)[0] for _, mark in first.marks][-3:] == ["client-running", "completed", "poweroff"]
    with FileSource(image) as disk:
        state = disk.read(read_partitions(disk)[STATE_PARTITION - 1].offset, 512)
    assert state.rstrip(b"\0\n") == f"DRS-FAILBACK-STATE 1 completed {RECOVERY_INSTANCE} run-7".encode()
    second = boot_client(boot)
    assert [mark.split(" ", 1)[0] for _, mark in second.marks] == [
        *("started", "settings", "already-completed", "poweroff")
    ]
    assert second.sessions == ()


@pytest.mark.matrix
@pytest.mark.parametrize("bus", ["virtio-scsi", "nvme", "ide"])
@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_every_firmware_and_bus(
    standin_iso: Path, make_image: Callable[[Path, ImageFormat], BuiltImage], firmware: Firmware, bus: Bus
) -> None:
    built = make_image(standin_iso, "raw")
    check(
        boot_client(ClientBoot(image=Path(built.output), format="raw", firmware=firmware, bus=bus, said=SAID)), "azure"
    )


@pytest.mark.matrix
def test_the_command_boots_a_vhd_as_an_ide_disk(
    standin_iso: Path, make_image: Callable[[Path, ImageFormat], BuiltImage]
) -> None:
    """As Azure's first generation attaches it; the console comes to the terminal as it's written."""
    image = make_image(standin_iso, "vhd").output
    command = [sys.executable, "-m", "cli.main", "image", "boot", image, "--firmware", "bios", "--bus", "ide"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{MARK} client-start /usr/bin/start.sh" in done.stdout
    assert "The agent's marks" in done.stdout
