"""The demo's way of running commands: told before, timed, summed up; what fails ends it with the cause."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from failback.errors import LocalCloudError
from localcloud import demo_commands
from localcloud.demo import main, refuse_company
from localcloud.demo_commands import Demo, finish
from localcloud.demo_homes import HOMES, DemoHome, home_named
from localcloud.demo_nonce import PIECE, check_nowhere_else, console_file, object_files, search, show_console
from localcloud.demo_server import Pair, compare
from localcloud.embedded.google import ZONE
from localcloud.embedded.state_file import LOCK_FILE, start_of
from localcloud.objects.record import BucketRecord
from localcloud.objects.store import ObjectStore, now, put_file
from localcloud.sparse_files import create_sparse
from localcloud.workload.layout import UP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_command_that_fails_ends_it(capfd: pytest.CaptureFixture[str]) -> None:
    shown = Demo(Console(soft_wrap=True))
    shown.note("something before", 1.25, "two\nlines")
    with pytest.raises(LocalCloudError, match=r"`failback image inspect nowhere\.iso` has ended with exit code"):
        shown.run("failback image inspect nowhere.iso")
    assert "$ failback image inspect nowhere.iso\n" in capfd.readouterr().out
    lines = shown.closing().splitlines()
    assert lines[1:4] == ["      1.2  something before", f"{'':13}two", f"{'':13}lines"]
    assert lines[4].endswith("  failback image inspect nowhere.iso")
    assert "exit code" in lines[5]


def test_a_command_that_does_not_end_is_made_to() -> None:
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        finish(child, grace=0.1)
    assert child.returncode == -signal.SIGTERM
    assert time.monotonic() - began < 20


PATIENT = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
print("watching", flush=True)
time.sleep(60)
"""


def test_watching_is_left_as_by_a_person(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    @contextmanager
    def child(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        assert words == ["failback", "watch", "home"]
        with subprocess.Popen([sys.executable, "-c", PATIENT]) as running:
            yield running

    monkeypatch.setattr(demo_commands, "child", child)
    shown, began = Demo(Console(soft_wrap=True)), time.monotonic()
    shown.watch("failback watch home", lambda: time.monotonic() - began > 1, "seen enough")
    assert "watching" in capfd.readouterr().out
    assert shown.rows[0][2] == "seen enough"
    assert time.monotonic() - began < 30


def test_a_command_that_ends_before_what_was_waited_for_ends_the_demo() -> None:
    shown = Demo(Console(soft_wrap=True))
    with pytest.raises(LocalCloudError, match="`failback --help` has ended with exit code 0"):
        shown.watch("failback --help", lambda: False)


def test_clouds_of_another_demo_are_left_alone(tmp_path: Path) -> None:
    refuse_company(tmp_path)
    (tmp_path / LOCK_FILE).write_text(f"{os.getpid()} {start_of(os.getpid())}\n")
    with pytest.raises(LocalCloudError, match=rf"process {os.getpid()}\).*DRS_FAILBACK_LOCAL={tmp_path} failback"):
        refuse_company(tmp_path)


def test_what_a_machine_says_is_kept_while_a_command_draws(capfd: pytest.CaptureFixture[str]) -> None:
    shown = Demo(Console(soft_wrap=True))
    shown.hear(1.5, "Linux")
    assert capfd.readouterr().out == f"{'':9}serial console,   1.5 s: Linux\n"
    shown = Demo(Console(soft_wrap=True), drawn=True)
    shown.hear(1.5, "Linux")
    assert capfd.readouterr().out == ""
    shown.run("failback --help")
    assert capfd.readouterr().out.splitlines()[-1] == f"{'':9}serial console,   1.5 s: Linux"
    assert shown.heard == []


def test_a_home_that_nobody_knows_is_one_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["mars"]) == 1
    said = capfd.readouterr()
    assert said.err == "error: TARGET=mars: the demo doesn't know this home. There are azure and google.\n"
    assert said.out == ""


AZURE_IMAGE = "/subscriptions/s/resourceGroups/home/providers/Microsoft.Compute/disks/client"


@pytest.mark.parametrize(
    ("name", "image", "record"),
    [
        ("azure", AZURE_IMAGE, {"id": ["s"], "document": {"id": AZURE_IMAGE.replace("client", "web-1")}}),
        ("google", "projects/p/global/images/client", {"id": f"projects/p/zones/{ZONE}/disks/web-1", "document": {}}),
    ],
    ids=["azure", "google"],
)
def test_a_servers_disk_is_found_at_either_home(
    tmp_path: Path, name: str, image: str, record: dict[str, object]
) -> None:
    home = home_named(name)
    assert home.target == f"{name}-home"
    (tmp_path / "resources.json").write_text(json.dumps([{**record, "hidden": {"file": "disks/1.raw"}}]))
    there = DemoHome(home.name, home.title, tmp_path)
    assert there.disk("web-1", image=image) == tmp_path / "disks/1.raw"
    with pytest.raises(LocalCloudError, match=r"has no disk .*/web-2\."):
        there.disk("web-2", image=image)
    assert list(HOMES) == ["azure", "google"]


def pair(folder: Path, volume: bytes, disk: bytes) -> Pair:
    (folder / "volume").write_bytes(volume)
    (folder / "disk").write_bytes(disk)
    return Pair("/dev/xvda", folder / "volume", "web-1-data-0", folder / "disk")


def test_a_disk_may_be_larger_than_its_volume(tmp_path: Path) -> None:
    shown = Demo(Console(soft_wrap=True))
    compare(shown, [pair(tmp_path, b"content", b"content" + bytes(9))])
    first, second = shown.rows[0][2].splitlines()
    assert first.split()[0] == second.split()[0] == hashlib.sha256(b"content").hexdigest()
    assert "the same: disk web-1-data-0 at home" in second


@pytest.mark.parametrize("disk", [b"contenT", b"conten"])
def test_bytes_that_differ_end_it(tmp_path: Path, disk: bytes) -> None:
    shown = Demo(Console(soft_wrap=True))
    with pytest.raises(LocalCloudError, match="aren't those in AWS: web-1-data-0"):
        compare(shown, [pair(tmp_path, b"content", disk)])
    assert "DIFFERENT: disk web-1-data-0" in shown.closing()


NONCE = "0123456789abcdef"


def test_a_text_is_found_wherever_it_lies_in_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    create_sparse(folder / "disk", 64 << 20)
    with (folder / "disk").open("r+b") as file:
        file.seek(32 << 20)
        file.write(b"x" * (PIECE - 3) + NONCE.encode())
    (folder / "other").write_text(NONCE[:-1])
    (folder / "link").symlink_to(folder / "disk")
    told = search(tmp_path, NONCE.encode())
    assert told.found == {folder / "disk"}
    assert told.files == 2
    assert PIECE < told.bytes < 32 << 20


def nonce_places(folder: Path) -> dict[Path, str]:
    for name in ("volume", "disk", "log"):
        (folder / name).write_text(f"before {NONCE if name != 'log' else ''}")
    return {folder / "volume": "the volume", folder / "disk": "the disk"}


def test_a_nonce_where_it_has_to_be_and_nowhere_else_is_told(tmp_path: Path) -> None:
    shown = Demo(Console(soft_wrap=True))
    check_nowhere_else(shown, NONCE, nonce_places(tmp_path), folder=tmp_path)
    lines = [line.strip() for line in shown.closing().splitlines()[2:]]
    assert lines == [
        "in volume: the volume",
        "in disk: the disk",
        "nowhere else: 3 files written since then, 0.0 GiB of content",
    ]


def test_who_reads_the_console_may_have_the_nonce(tmp_path: Path) -> None:
    known = nonce_places(tmp_path)
    (tmp_path / "log").write_text(f"its console's last line is {NONCE}")
    shown = Demo(Console(soft_wrap=True))
    check_nowhere_else(shown, NONCE, known, readers="l*", folder=tmp_path)
    assert "in log: what a function has read of that console" in shown.closing()


def test_files_older_than_the_nonce_are_not_read(tmp_path: Path) -> None:
    known = nonce_places(tmp_path)
    os.utime(tmp_path / "log", (1, 1))
    assert search(tmp_path, NONCE.encode(), since=2.0).files == len(known)


def test_a_nonce_that_is_told_elsewhere_or_missing_ends_it(tmp_path: Path) -> None:
    known = nonce_places(tmp_path)
    (tmp_path / "log").write_text(f"the nonce is {NONCE}")
    (tmp_path / "disk").write_text("nothing")
    with pytest.raises(LocalCloudError, match="it's in log; it isn't in the disk"):
        check_nowhere_else(Demo(Console(soft_wrap=True)), NONCE, known, folder=tmp_path)


def test_the_last_start_counts_and_has_to_say_the_nonce(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number, said in ((2, "-"), (9, NONCE), (10, "another machine's")):
        folder = tmp_path / f"{number:03d}-web-{'1' if number < 10 else '2'}"
        folder.mkdir()
        (folder / "console.log").write_bytes(f"Linux\r\n{UP}{said}\r\n{UP}{said}\r\nlogin: ".encode())
    console = console_file(tmp_path, "web-1")
    assert console.parent.name == "009-web-1"
    shown = Demo(Console(soft_wrap=True))
    show_console(shown, console, NONCE)
    assert capfd.readouterr().out.count(f"{UP}{NONCE}\n") == 2
    assert f"{UP}{NONCE}" in shown.closing()
    with pytest.raises(LocalCloudError, match="doesn't say what it was given on AWS, other"):
        show_console(shown, console, "other")
    with pytest.raises(LocalCloudError, match="no serial console of a machine web-3"):
        console_file(tmp_path, "web-3")


def test_an_object_is_found_in_its_files(tmp_path: Path) -> None:
    record = BucketRecord(name="images", owner="a", created=now(), region="us-east-1")
    bucket = ObjectStore(tmp_path / "s3").create(record)
    (tmp_path / "report").write_text(NONCE)
    put_file(bucket, "reports/home.json", tmp_path / "report")
    (file,) = object_files(tmp_path / "s3", "images", "reports/home.json")
    assert file.read_text() == NONCE
    assert object_files(tmp_path / "s3", "images", "reports/other.json") == []
    assert object_files(tmp_path / "s3", "others", "reports/home.json") == []
