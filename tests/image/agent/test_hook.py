"""The dracut hooks, sourced by real shells with only the initrd's commands, and the guard that they put in place."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.errors import ClientStartUnknown, DriverMissing, InitrdUnsuitable
from failback.image.agent.package import PARTS, AgentFacts, agent_members, tool_names
from failback.image.cpio import write_cpio

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.image.agent.conftest import Machine

CLIENT = "#!/bin/sh\necho ran >>@RECORD@/ran\n"
ELF = b"\x7fELF\x02"
FACTS = AgentFacts(state_partition="DRS-FAILBACK-STATE", image="0123abcd")


def members_by_name(**changes: object) -> dict[str, tuple[int, bytes]]:
    arguments: dict[str, object] = {
        "hook_directory": "usr/lib/dracut/hooks",
        "client_start": "/usr/bin/start.sh",
        "drivers": (),
        "facts": FACTS,
    }
    members = agent_members(**{**arguments, **changes})  # type: ignore[arg-type]
    write_cpio(members)
    return {member.name: (member.mode, member.data) for member in members}


def test_only_directories_of_its_own_are_made() -> None:
    members = members_by_name(drivers=[("virtio_scsi.ko", ELF)])
    assert [name for name, (mode, _) in members.items() if mode & 0o40000] == ["drs-failback", "drs-failback/modules"]
    assert members["drs-failback/modules/01-virtio_scsi.ko"][1] == ELF
    assert members["drs-failback/modules/list"][1] == b"01-virtio_scsi.ko\n"
    assert members["drs-failback/facts"][1] == (
        b"client_start=/usr/bin/start.sh\nstate_partition=DRS-FAILBACK-STATE\nimage=0123abcd\n"
    )
    assert members["drs-failback/client-guard.sh"][0] == 0o100755


def test_driver_hook_is_there_only_with_drivers() -> None:
    assert not [name for name in members_by_name() if "pre-udev" in name]
    assert [name for name in members_by_name(drivers=[("a.ko", ELF)]) if "pre-udev" in name]


def test_every_part_that_the_agent_sources_is_packed() -> None:
    agent = members_by_name()["drs-failback/agent.sh"][1].decode()
    assert [line.split('"')[1] for line in agent.splitlines() if line.startswith(". ")] == [
        f"$HERE/{part}" for part in PARTS
    ]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"hook_directory": "/usr/lib/dracut/hooks"}, InitrdUnsuitable),
        ({"hook_directory": "usr/../lib"}, InitrdUnsuitable),
        ({"client_start": "usr/bin/start.sh"}, ClientStartUnknown),
        ({"client_start": "/usr/bin/start client.sh"}, ClientStartUnknown),
        ({"client_start": "/usr/../start.sh"}, ClientStartUnknown),
        ({"drivers": [("a.ko.xz", ELF)]}, DriverMissing),
        ({"drivers": [("a.ko", b"\xfd7zXZ")]}, DriverMissing),
        ({"facts": AgentFacts(state_partition="a b", image="x")}, ValueError),
    ],
)
def test_unusable_arguments_are_refused(changes: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        members_by_name(**changes)


def test_hook_carries_the_agent_and_guards_the_client(build_machine: Callable[..., Machine], shell: str) -> None:
    machine = build_machine(shell, CLIENT)
    original = machine.start.read_bytes()
    machine.run_hook()
    assert (machine.work / "client/start.sh").read_bytes() == original
    assert os.access(machine.work / "client/start.sh", os.X_OK)
    assert machine.start.samefile(machine.work / "client-guard.sh")
    units = machine.initrd / "run/systemd/system"
    wanted = units / "multi-user.target.wants/failback-agent.service"
    assert wanted.is_symlink()
    assert "ExecStart=/bin/sh /run/drs-failback/agent.sh" in wanted.read_text()
    assert not (machine.work / "warnings").exists()
    tmpfs, bind = machine.mount_log.read_text().splitlines()
    assert tmpfs == f"-n -t tmpfs -o mode=0755,nosuid,nodev,size=64m drs-failback {machine.work}"
    assert bind == f"-n --bind {machine.work}/client-guard.sh {machine.start}"


def test_hook_goes_on_without_mounts_and_says_so(build_machine: Callable[..., Machine], shell: str) -> None:
    machine = build_machine(shell, CLIENT)
    (machine.folder / "mounts.refuse").touch()
    machine.run_hook()
    warnings = (machine.work / "warnings").read_text().splitlines()
    assert len(warnings) == 2
    assert "no file system of its own" in warnings[0]
    assert "the guard isn't in the place of /usr/bin/start.sh" in warnings[1]
    assert (machine.work / "client/start.sh").exists()


def test_hook_leaves_a_link_to_the_agent(build_machine: Callable[..., Machine], shell: str) -> None:
    machine = build_machine(shell, CLIENT)
    real = machine.start.with_name("real.sh")
    machine.start.rename(real)
    machine.start.symlink_to("/usr/bin/real.sh")
    machine.run_hook()
    assert "/usr/bin/start.sh is no plain file" in (machine.work / "warnings").read_text()
    assert not (machine.work / "client").exists()
    assert len(machine.mount_log.read_text().splitlines()) == 1


def test_guard_never_runs_the_client_and_waits(build_machine: Callable[..., Machine], shell: str) -> None:
    machine = build_machine(shell, CLIENT)
    machine.run_hook()
    environment = {"PATH": str(machine.tools)}
    launchers = [
        [str(machine.start)],
        [*machine.shell, str(machine.start)],
        [*machine.shell, "-c", f". {machine.start}"],
    ]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True)
        for command in launchers * 2
    ]
    try:
        for launched in started:
            assert launched.stdout is not None
            assert b"drs-failback agent runs" in launched.stdout.readline()
        time.sleep(0.3)
        assert [launched.poll() for launched in started] == [None] * 6
        for launched in started:
            assert Path(f"/proc/{launched.pid}/cmdline").read_bytes().startswith(b"sleep\0")
    finally:
        for launched in started:
            os.killpg(launched.pid, signal.SIGKILL)
            launched.communicate()
    assert not (machine.record / "ran").exists()


def test_drivers_are_loaded_in_order_and_known_ones_tolerated(
    build_machine: Callable[..., Machine], shell: str
) -> None:
    machine = build_machine(shell, CLIENT)
    loaded = machine.folder / "loaded"
    machine.write_script(
        machine.folder / "insmod",
        f"""echo "${{1##*/}}" >>'{loaded}'
        case $1 in
            *-known.ko) echo "insmod: ERROR: could not insert module $1: File exists" >&2; exit 1 ;;
            *-broken.ko) echo "insmod: ERROR: could not insert module $1: Invalid module format" >&2; exit 1 ;;
            *-needy.ko) echo "insmod: ERROR: could not insert module $1: Unknown symbol in module" >&2; exit 1 ;;
            *-hv_vmbus.ko) echo "insmod: ERROR: could not insert module $1: No such device" >&2; exit 1 ;;
            *-hv_storvsc.ko) echo "insmod: ERROR: could not insert module $1: Unknown symbol in module" >&2; exit 1 ;;
        esac
        """,
    )
    (machine.initrd / "dev").mkdir(parents=True)
    (machine.initrd / "dev/kmsg").touch()
    names = ("scsi_mod", "known", "broken", "needy", "hv_vmbus", "hv_storvsc", "sd_mod")
    members = members_by_name(drivers=[(f"{name}.ko", ELF) for name in names])
    for name in ("drs-failback/modules/list", "usr/lib/dracut/hooks/pre-udev/10-drs-failback.sh"):
        path = machine.initrd / name
        path.parent.mkdir(parents=True)
        path.write_bytes(members[name][1])
    machine.source(machine.initrd / "usr/lib/dracut/hooks/pre-udev/10-drs-failback.sh")
    assert loaded.read_text().split() == [f"{number:02}-{name}.ko" for number, name in enumerate(names, 1)]
    said = (machine.initrd / "dev/kmsg").read_text()
    assert "Invalid module format" in said
    assert "-needy.ko: insmod: ERROR" in said
    # Another cloud's drivers are no reason to worry.
    assert not any(name in said for name in ("-known.ko", "hv_"))


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck isn't installed")
def test_shellcheck_finds_nothing(agent_folder: Path) -> None:
    scripts = sorted(map(str, agent_folder.glob("*.sh")))
    root = agent_folder.parents[2]
    done = subprocess.run(
        ["shellcheck", "--external-sources", "--shell=sh", *scripts],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_script_is_read_by_each_shell(agent_folder: Path, shell: str) -> None:
    options = ["--posix"] if shell == "bash" else []
    for script in sorted(agent_folder.glob("*.sh")):
        subprocess.run([shell, *options, "-n", str(script)], check=True)


def test_every_listed_tool_is_used(agent_folder: Path) -> None:
    names = tool_names()
    assert list(names) == sorted(set(names))
    words = set(re.findall(r"[a-z0-9]+", "\n".join(path.read_text() for path in agent_folder.glob("*.sh"))))
    assert not [name for name in names if name not in words]
