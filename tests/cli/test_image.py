"""The command as a user meets it: real processes, their output, their exit codes, what they leave behind."""

from __future__ import annotations

import hashlib
import json
import resource
import signal
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from cli.main import app
from failback.model.image import BuiltImage, ImageReport
from tests.client_iso import ClientIso

if TYPE_CHECKING:
    from pathlib import Path

    from failback.image.grub import GrubImages


@pytest.fixture
def grub_folder(tmp_path: Path, grub: GrubImages) -> Path:
    folder = tmp_path / "grub"
    folder.mkdir()
    for name, content in {"boot.img": grub.boot, "core.img": grub.core, "grubx64.efi": grub.efi}.items():
        (folder / name).write_bytes(content)
    (folder / "version").write_text("test", encoding="ascii")
    return folder


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "cli.main", *map(str, words)]


def failback(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def test_inspect_as_json(whole_iso: Path) -> None:
    done = failback("image", "inspect", whole_iso, "--json")
    assert done.returncode == 0, done.stderr
    report = ImageReport.model_validate_json(done.stdout)
    assert report.iso.label == "DRSFAILBACK"
    assert report.boot.kernel == "/isolinux/vmlinuz"
    assert report.system.client_start == "/usr/bin/start.sh"
    assert [launcher.path for launcher in report.system.launchers] == ["/etc/rc.d/rc.local"]
    assert {each.cloud: each.bootable for each in report.drivers} == {"azure": True, "google": True, "aws": True}
    assert report.build.refusals == ()
    assert report.build.disk_size == 1024**3


def test_inspect_as_a_table(tmp_path: Path) -> None:
    iso = ClientIso(root_drivers=("nvme",), start_script="").write(tmp_path / "iso")
    done = failback("image", "inspect", iso, env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    for word in ("DRSFAILBACK", "Amazon Linux 2", "hv_netvsc", "Refusal", "DRS-FAILBACK-STATE"):
        assert word in done.stdout


def test_build_by_hash_file(tmp_path: Path, whole_iso: Path, grub_folder: Path) -> None:
    published = tmp_path / "iso.sha512"
    published.write_text(hashlib.sha512(whole_iso.read_bytes()).hexdigest(), encoding="ascii")
    words = ("--format", "vhd", "-o", tmp_path / "c.vhd", "--sha512", published, "--grub", grub_folder)
    done = failback("image", "build", whole_iso, *words, "--json")
    assert done.returncode == 0, done.stderr
    built = BuiltImage.model_validate_json(done.stdout)
    assert built.clouds == ("azure",)
    assert (tmp_path / "c.vhd").stat().st_size == built.disk_size + 512


def test_build_for_google(tmp_path: Path, whole_iso: Path, grub_folder: Path) -> None:
    words = ("--format", "gce", "-o", tmp_path / "c.tar.gz", "--grub", grub_folder)
    done = failback("image", "build", whole_iso, *words, "--json")
    assert done.returncode == 0, done.stderr
    built = BuiltImage.model_validate_json(done.stdout)
    assert (built.format, built.clouds) == ("gce", ("google",))
    with tarfile.open(tmp_path / "c.tar.gz") as archive:
        assert [(member.name, member.size) for member in archive] == [("disk.raw", built.disk_size)]


def test_build_says_what_came_of_it(tmp_path: Path, whole_iso: Path, grub_folder: Path) -> None:
    words = ("--format", "raw", "-o", tmp_path / "c.raw", "--cloud", "google", "--cloud", "aws", "--grub", grub_folder)
    done = failback("image", "build", whole_iso, *words, env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    for word in ("google, aws", "Planned and written", "Read back and checked", str(tmp_path / "c.raw")):
        assert word in done.stdout


def test_a_refusal_is_one_message_and_exit_code_1(tmp_path: Path, grub_folder: Path) -> None:
    (tmp_path / "no.iso").write_bytes(b"[red]no ISO[/]" * 9999)
    words = ("--format", "raw", "-o", tmp_path / "c.raw", "--grub", grub_folder)
    done = failback("image", "build", tmp_path / "no.iso", *words)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "c.raw").exists()


def test_wrong_usage_is_exit_code_2() -> None:
    assert failback("image", "build", "x.iso").returncode == 2


@pytest.mark.parametrize("words", [("image", "inspect"), ("image", "frob"), ("--frob",)])
def test_usage_that_is_wrong_in_another_way_is_too(words: tuple[str, ...]) -> None:
    """In this process, as the one above shows what becomes of the exit code."""
    assert CliRunner().invoke(app, words).exit_code == 2


def test_a_full_disk_leaves_nothing(tmp_path: Path, whole_iso: Path, grub_folder: Path) -> None:
    """A limit on a file's size stops writing where a full disk would."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024**3 // 4, 1024**3 // 4))

    words = ("--format", "raw", "-o", tmp_path / "c.raw", "--grub", grub_folder)
    done = failback("image", "build", whole_iso, *words, preexec_fn=limit)
    assert done.returncode == 1
    assert "disk is full" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["grub"]


def heed_interrupts() -> None:
    """A test that runs in a shell's background inherits that SIGINT is ignored; a person's command doesn't."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupted_build_leaves_nothing(tmp_path: Path, grub_folder: Path) -> None:
    iso = ClientIso(files={"padding": bytes(300 * 1024 * 1024)}).write(tmp_path / "iso")
    out = tmp_path / "out"
    out.mkdir()
    words = ("--format", "raw", "-o", out / "c.raw", "--grub", grub_folder)
    for number in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen(
            command("image", "build", iso, *words), stderr=subprocess.DEVNULL, preexec_fn=heed_interrupts
        )
        while process.poll() is None and not any(out.iterdir()):
            time.sleep(0.001)
        process.send_signal(number)
        assert process.wait(20) != 0, number
        assert not list(out.iterdir()), number


def test_boot_refuses_what_is_no_disk(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(b"odd")
    done = failback("image", "boot", tmp_path / "disk")
    assert done.returncode == 1
    assert "no disk" in done.stderr


def test_json_goes_to_standard_output_alone(whole_iso: Path) -> None:
    done = failback("image", "inspect", whole_iso, "--json")
    assert json.loads(done.stdout)
    assert done.stderr == ""
