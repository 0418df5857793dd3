"""What the stand-in is made of: packages, tools, files of ours, and the keys that tell when to make it anew."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from failback.errors import StandinError
from failback.image.agent.package import tool_names
from localcloud import packages
from localcloud.standin import __main__ as command
from localcloud.standin import apt, build, root_tar
from localcloud.standin.apt import Kernel, read_kernel, read_mirrors, read_options
from localcloud.standin.build import build_standin
from localcloud.standin.filler import PAGE, write_filler
from localcloud.standin.programs import run_program
from localcloud.standin.recipe import MIB, SIZES, recipe_key
from localcloud.standin.root_image import CLIENT_PARTS, overlay, write_overlay
from localcloud.standin.root_tar import mmdebstrap_command, root_tar_key
from localcloud.standin.tools import list_tools, read_tools

ROOT = Path(__file__).resolve().parents[2]
KERNEL = Kernel("linux-image-6.1.0-1-cloud-amd64", "6.1.1-1")


def test_the_agents_tools_are_offered() -> None:
    assert set(tool_names()) <= {name for name, purpose in read_tools().items() if purpose == "offered"}


def test_what_the_agent_may_not_count_on_is_not_there() -> None:
    unlisted = ("grep", "find", "xargs", "perl", "python3", "lsblk", "jq", "tar", "gzip", "ip", "dig", "wget")
    assert not set(unlisted) & set(read_tools())
    assert read_tools()["blkid"] == "private"
    assert "awk offered\n" in list_tools()


def test_our_files_belong_to_root_and_the_user_whoever_builds(tmp_path: Path) -> None:
    write_overlay(tmp_path / "one.tar")
    write_overlay(tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as archive:
        members = {member.name: member for member in archive}
    assert len(members) == len(overlay())
    start, profile = members["./usr/bin/start.sh"], members["./home/ec2-user/.bash_profile"]
    assert (start.uid, start.mode) == (0, 0o755)
    assert (profile.uid, profile.gid) == (1000, 1000)
    program = members["./usr/lib/standin/failback_entry"]
    assert (program.uid, program.mode) == (0, 0o755)
    assert {f"./usr/lib/standin/{name}" for name in CLIENT_PARTS} <= set(members)
    assert members["./etc/sudoers.d/ec2-user"].mode == 0o440


def test_the_filler_is_always_the_same_and_never_sparse(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_filler(tmp_path / name, 120 * PAGE - 1)
    data = b"".join(path.read_bytes() for path in sorted((tmp_path / "a").rglob("0*/0*")))
    assert data == b"".join(path.read_bytes() for path in sorted((tmp_path / "b").rglob("0*/0*")))
    assert len(data) == 120 * PAGE
    assert len({data[place : place + PAGE] for place in range(0, len(data), PAGE)}) == 120
    write_filler(tmp_path / "none", 0)
    assert not (tmp_path / "none").exists()


def test_the_real_size_is_the_real_ones() -> None:
    assert SIZES["real"].root_bytes == 3891 * MIB
    assert SIZES["real"].filler_bytes < SIZES["real"].root_bytes


@pytest.mark.parametrize(("as_root", "mode"), [(True, "--mode=root"), (False, "--mode=unshare")])
def test_mmdebstrap_takes_the_archives_from_its_input(tmp_path: Path, as_root: bool, mode: str) -> None:
    words = mmdebstrap_command(tmp_path / "root.tar", apt_options=('Acquire::Retries "3"',), as_root=as_root)
    assert mode in words
    assert '--aptopt=Acquire::Retries "3"' in words
    assert words[-1] == "-"
    assert not any("://" in word for word in words)


def test_keys_change_with_what_they_stand_for(monkeypatch: pytest.MonkeyPatch) -> None:
    key = root_tar_key(KERNEL)
    assert root_tar_key(KERNEL) == key
    assert root_tar_key(Kernel(KERNEL.package, "6.1.1-2")) != key
    monkeypatch.setattr(root_tar, "PACKAGES", (*root_tar.PACKAGES, "vim"))
    assert root_tar_key(KERNEL) != key
    assert recipe_key(key, SIZES["small"]) != recipe_key(key, SIZES["real"])


def test_apt_is_asked_for_the_kernel_once_and_again_when_its_lists_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def answer(words: list[str]) -> str:
        asked.append(words)
        return f"Package: x\nDepends: {KERNEL.package} (= {KERNEL.version})\n"

    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "debian_Packages.lz4").write_bytes(b"1")
    monkeypatch.setattr(apt, "LISTS", lists)
    monkeypatch.setattr(apt, "run_program", answer)
    memo = tmp_path / "cache" / "kernel.json"
    assert read_kernel(memo) == read_kernel(memo) == KERNEL
    assert len(asked) == 1
    (lists / "debian_Packages.lz4").write_bytes(b"12")
    read_kernel(memo)
    assert len(asked) == 2
    (lists / "debian_Packages.lz4").unlink()
    read_kernel(memo)
    assert len(asked) == 2
    assert json.loads(memo.read_text())["package"] == KERNEL.package


def test_apt_without_lists_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "LISTS", tmp_path)
    monkeypatch.setattr(apt, "run_program", lambda _words: "")
    with pytest.raises(StandinError, match="apt-get update"):
        read_kernel(tmp_path / "kernel.json")
    with pytest.raises(StandinError, match="apt-get update"):
        read_mirrors()


def test_only_options_about_fetching_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    dumped = (
        "Acquire::http::Proxy http://proxy:1\nAcquire::Check-Date false\n"
        "Acquire::cdrom::mount /media\nAcquire::http::Proxy-Exec run-me\n"
    )
    monkeypatch.setattr(apt, "run_program", lambda _words: dumped)
    assert read_options() == ('Acquire::http::Proxy "http://proxy:1"', 'Acquire::Check-Date "false"')


def test_a_current_iso_is_handed_out_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "read_kernel", lambda _memo: KERNEL)
    monkeypatch.setattr(build, "missing", lambda *_: pytest.fail("nothing is built, so nothing is needed"))
    iso = tmp_path / "small" / build.ISO_NAME
    iso.parent.mkdir()
    iso.write_bytes(b"iso")
    (iso.parent / "key").write_text(recipe_key(root_tar_key(KERNEL), SIZES["small"]))
    assert build_standin(tmp_path) == iso


def test_everything_missing_is_listed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "read_kernel", lambda _memo: KERNEL)
    monkeypatch.setattr(build, "running_as_root", lambda: False)
    monkeypatch.setattr(build, "missing", lambda *uses: packages.missing(*uses, present=lambda _: False))
    assert command.main(["--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    for package in ("mmdebstrap", "xorriso", "squashfs-tools", "isolinux", "uidmap"):
        assert package in said
    assert "qemu" not in said


def test_set_up_installs_what_the_table_names() -> None:
    present_everywhere = {"apt", "dpkg", "tar", "util-linux"}
    lines = (ROOT / "setup" / "packages.txt").read_text().splitlines()
    installed = {line.split("#")[0].strip() for line in lines}
    needed = {need.package for need in packages.NEEDS if need.use != "standin without root"}
    assert needed - present_everywhere <= installed


def test_a_failing_program_shows_the_end_of_what_it_said() -> None:
    with pytest.raises(StandinError, match=r"(?s)status 3.*\nline 99$") as caught:
        run_program(["sh", "-c", "for n in $(seq 99); do echo line $n >&2; done; exit 3"])
    assert "line 50" not in str(caught.value)
    with pytest.raises(StandinError, match="no such program"):
        run_program(["no-such-program"])


def test_programs_run_with_a_fixed_time() -> None:
    assert run_program(["sh", "-c", "echo $SOURCE_DATE_EPOCH $TZ $EXTRA"], env={"EXTRA": "x"}) == "1700000000 UTC x\n"
