"""A machine for the agent without a machine: its hook run in a folder, sysfs as files, and only the listed tools."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.image.agent import package
from failback.image.agent.package import HOOK_COMMANDS, AgentFacts, agent_members, tool_names
from localcloud.tokens import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GIB = 1 << 30
SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"]}
# Waits that fit a test; in production they're seconds and minutes.
QUICK = {
    "first-wait": 50,
    "longest-wait": 200,
    "settings-deadline": 8000,
    "credentials-deadline": 8000,
    "keys-deadline": 8000,
    "disks-deadline": 0,
    "poll": 50,
    "mark-interval": 50,
    "heartbeat": 300,
    "repeat": 200,
    "grace": 300,
}
MOUNT = """#!/bin/sh
echo "$*" >>'{log}'
[ ! -e '{log}.refuse' ] || exit 32
while [ $# -gt 2 ]; do
    [ "$1" != --bind ] || bind=yes
    shift
done
[ -z "${{bind:-}}" ] || /bin/ln -f "$1" "$2"
"""


class FakeSystem:
    """A live root with /sys, /proc and /dev as the agent looks at them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for directory in (
            "sys/block",
            "sys/class/block",
            "sys/class/dmi/id",
            "proc",
            "dev/disk/by-id",
            "home/ec2-user",
        ):
            (root / directory).mkdir(parents=True)
        (root / "proc/swaps").write_text("Filename Type Size Used Priority\n")
        self.mounts: list[str] = ["proc /proc proc rw 0 0"]
        self.write_mounts()

    def write_mounts(self) -> None:
        (self.root / "proc/mounts").write_text("".join(f"{line}\n" for line in self.mounts))

    def mount(self, source: str, point: str) -> None:
        """Show something as mounted."""
        self.mounts.append(f"{source} {point} ext4 rw,relatime 0 0")
        self.write_mounts()

    def set_vendor(self, vendor: str) -> None:
        """What the firmware says of the maker."""
        (self.root / "sys/class/dmi/id/sys_vendor").write_text(f"{vendor}\n")

    def add_scsi(self, name: str, address: str, size: int, *, links: tuple[str, ...] = ()) -> Path:
        """A SCSI disk at host:channel:target:lun."""
        place = self.root / "sys/devices/pci0000:00/host" / address
        disk = self._add_disk(place / "block" / name, size, links)
        (disk / "device").symlink_to(f"../../../{address}")
        return disk

    def add_nvme(self, name: str, size: int, *, serial: str = "", links: tuple[str, ...] = ()) -> Path:
        """A namespace of an NVMe controller."""
        controller = self.root / "sys/devices/pci0000:00/nvme" / name.partition("n1")[0]
        disk = self._add_disk(controller / name, size, links)
        (disk / "device").symlink_to(f"../../{controller.name}")
        (controller / "serial").write_text(f"{serial:<20}\n")
        return disk

    def add_plain(self, name: str, size: int) -> Path:
        """A disk, or something like one, that has no address."""
        return self._add_disk(self.root / "sys/devices/virtual/block" / name, size, ())

    def _add_disk(self, disk: Path, size: int, links: tuple[str, ...]) -> Path:
        disk.mkdir(parents=True)
        (disk / "size").write_text(f"{size // 512}\n")
        (disk / "ro").write_text("0\n")
        (disk / "uevent").write_text(f"DEVNAME={disk.name}\nDEVTYPE=disk\n")
        self._show(disk)
        (self.root / "sys/block" / disk.name).symlink_to(os.path.relpath(disk, self.root / "sys/block"))
        for link in links:
            (self.root / "dev/disk/by-id" / link).symlink_to(f"../../{disk.name}")
        return disk

    def add_partition(self, disk: Path, number: int, label: str = "") -> str:
        """A partition of a disk; returns its kernel name."""
        name = f"{disk.name}{'p' if disk.name[-1].isdigit() else ''}{number}"
        (disk / name).mkdir()
        (disk / name / "partition").write_text(f"{number}\n")
        (disk / name / "uevent").write_text(f"DEVNAME={name}\nDEVTYPE=partition\nPARTN={number}\nPARTNAME={label}\n")
        self._show(disk / name)
        return name

    def _show(self, device: Path) -> None:
        (self.root / "sys/class/block" / device.name).symlink_to(os.path.relpath(device, self.root / "sys/class/block"))
        (self.root / "dev" / device.name).write_bytes(bytes(512))

    def add_client_disk(self, disk: Path) -> None:
        """Make a disk the one that the client was booted from."""
        for number, label in ((1, "DRS-FAILBACK-GRUB"), (2, "DRS-FAILBACK-BOOT"), (3, "DRS-FAILBACK-ISO")):
            self.add_partition(disk, number, label)
        state = self.add_partition(disk, 4, "DRS-FAILBACK-STATE")
        self.mount(f"/dev/{state[:-1]}3", "/run/initramfs/live")


class Machine:
    """One boot: the hook has run, the agent can be started."""

    def __init__(self, folder: Path, shell: str, client: str) -> None:
        self.folder = folder
        program, *options = SHELLS[shell]
        self.shell = [shutil.which(program) or program, *options]
        self.system = FakeSystem(folder / "root")
        self.initrd, self.record = folder / "initrd", folder / "record"
        self.work = self.initrd / "run/drs-failback"
        self.serial, self.powered_off = folder / "serial", folder / "powered-off"
        self.mount_log = folder / "mounts"
        self.record.mkdir()
        self.serial.touch()
        self.tools = self._make_tools("tools", tool_names())
        self._make_root(client)
        self.agents: list[subprocess.Popen[bytes]] = []
        self.errors = folder / "errors"

    def _make_tools(self, name: str, names: tuple[str, ...]) -> Path:
        directory = self.folder / name
        directory.mkdir()
        for tool in names:
            found = self.shell[0] if tool == "sh" else shutil.which(tool)
            if found and tool not in {"mount", "umount", "systemctl", "insmod"}:
                (directory / tool).symlink_to(found)
        self.write_script(directory / "mount", MOUNT.format(log=self.mount_log))
        return directory

    def write_script(self, path: Path, text: str) -> Path:
        """An executable file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def _make_root(self, client: str) -> None:
        root = self.system.root
        self.start = self.write_script(root / "usr/bin/start.sh", client.replace("@RECORD@", str(self.record)))
        systemctl = self.write_script(
            root / "usr/bin/systemctl", '#!/bin/sh\necho "${0##*/} $*" >>@RECORD@/systemctl\n'
        )
        systemctl.write_text(systemctl.read_text().replace("@RECORD@", str(self.record)))
        (root / "usr/sbin").mkdir()
        (root / "sbin").symlink_to("usr/sbin")
        for name in ("shutdown", "reboot"):
            (root / "usr/sbin" / name).symlink_to("../bin/systemctl")
        self.write_script(root / "usr/bin/eject", f"#!/bin/sh\necho ejected >>{self.record}/eject\n")
        self.poweroff = self.write_script(self.folder / "poweroff", f"#!/bin/sh\necho off >>'{self.powered_off}'\n")

    def run_hook(self) -> None:
        """Unpack the agent's archive and source its pre-pivot hook, with only the initrd's commands."""
        members = agent_members(
            hook_directory="usr/lib/dracut/hooks",
            client_start="/usr/bin/start.sh",
            drivers=(),
            facts=AgentFacts(state_partition="DRS-FAILBACK-STATE", image="0123abcd"),
        )
        for member in members:
            path = self.initrd / member.name
            if stat.S_ISDIR(member.mode):
                path.mkdir(parents=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(member.data)
            path.chmod(stat.S_IMODE(member.mode))
        self.source(self.initrd / "usr/lib/dracut/hooks/pre-pivot/90-drs-failback.sh")

    def source(self, hook: Path) -> str:
        """Source a hook as dracut does and go on afterwards; returns what it wrote."""
        commands = self.folder / "initrd-commands"
        if not commands.exists():
            self._make_tools("initrd-commands", HOOK_COMMANDS)
            self.write_script(commands / "insmod", f"#!/bin/sh\n. '{self.folder}/insmod'\n")
        environment = {
            "PATH": str(commands),
            "NEWROOT": str(self.system.root),
            "DRS_FAILBACK_PREFIX": str(self.initrd),
        }
        done = subprocess.run(
            [*self.shell, "-c", '. "$1"; echo "went on"', "dracut", str(hook)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.endswith("went on\n"), done
        return done.stdout.removesuffix("went on\n") + done.stderr

    def command(self, metadata: str, **options: object) -> list[str]:
        """The command line of an agent; `options` replace the quick ones, `_` for `-`."""
        given = QUICK | {name.replace("_", "-"): value for name, value in options.items()}
        words = [f"--{name}={value}".partition("=")[::2] for name, value in given.items()]
        base = [*self.shell, str(self.work / "agent.sh"), "--sysroot", str(self.system.root), "--metadata", metadata]
        base += ["--serial", str(self.serial), "--work", str(self.work), "--poweroff", str(self.poweroff)]
        return base + [word for pair in words for word in pair]

    def start_agent(self, metadata: str, **options: object) -> subprocess.Popen[bytes]:
        """Start an agent in a process group of its own."""
        with self.errors.open("ab") as errors:
            agent = subprocess.Popen(
                self.command(metadata, **options),
                env={"PATH": str(self.tools)},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        self.agents.append(agent)
        return agent

    def marks(self) -> list[str]:
        """The marks so far, without their first word."""
        return [line.removeprefix("FAILBACK-AGENT ") for line in self.serial.read_text().splitlines()]

    def states(self) -> list[str]:
        """The first word of each mark so far, repeated ones once."""
        words = [mark.split()[0] for mark in self.marks()]
        return [word for number, word in enumerate(words) if number == 0 or words[number - 1] != word]

    def wait_for(self, state: str, *, count: int = 1, seconds: float = 15) -> str:
        """The mark of that state once there are `count` of them; fails with everything that's known."""
        return str(self.wait_until(lambda: [m for m in self.marks() if m.split()[0] == state][count - 1 :], seconds)[0])

    def wait_until(self, condition: Callable[[], list[str]], seconds: float = 15) -> list[str]:
        """What `condition` returns once it isn't empty."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, "\n".join([*self.marks(), self.errors.read_text()])
            time.sleep(0.02)
        return found

    def wait_off(self) -> list[str]:
        """All marks once the agent has powered off and ended."""
        self.wait_for("poweroff")
        for agent in self.agents:
            agent.wait(5)
        assert self.powered_off.exists()
        return self.marks()

    def end(self) -> None:
        """End what was started, by the groups that it was started in."""
        for agent in self.agents:
            try:
                os.killpg(agent.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            finally:
                agent.wait(5)


def sole_environment(machine: Machine) -> dict[str, str]:
    """The environment of the one client that ran."""
    records = sorted(machine.record.glob("env.*"))
    assert len(records) == 1, records
    return dict(line.partition("=")[::2] for line in records[0].read_text().splitlines() if "=" in line)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    """Each shell that the agent has to work with."""
    name = str(request.param)
    if not shutil.which(name):
        pytest.skip(f"{name} isn't installed")
    return name


@pytest.fixture
def build_machine(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Makes machines (shell, the client's script) and ends whatever they started."""
    machines: list[Machine] = []

    def build(shell: str, client: str) -> Machine:
        folder = tmp_path / str(len(machines))
        folder.mkdir()
        machines.append(Machine(folder, shell, client))
        return machines[-1]

    yield build
    for machine in machines:
        machine.end()


@pytest.fixture(scope="session")
def signer() -> TokenSigner:
    """One key for all tests: making one takes a tenth of a second and more."""
    return TokenSigner()


@pytest.fixture
def agent_folder() -> Path:
    """Where the agent's scripts lie."""
    return Path(package.__file__).parent
