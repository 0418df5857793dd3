"""The stand-in's scripts on this machine: files stand for its disks, and nothing restarts."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "localcloud" / "standin"
SCRIPTS = ("start.sh", "failback_entry.sh", "failback_mapping.sh", "failback_calls.sh", "failback_copy.sh")
SECRET, TOKEN = "very/secret+key", "very-long-token"
INSTANCE = "i-0123456789abcdef0"
ENOUGH = {
    "AWS_REGION": "eu-central-1",
    "S3_ENDPOINT": "",
    "AWS_DRS_ENDPOINT": "",
    "AWS_ACCESS_KEY": "ASIAEXAMPLE",
    "AWS_SECRET_KEY": SECRET,
    "AWS_SESSION_TOKEN": TOKEN,
    "RECOVERY_INSTANCE_ID": INSTANCE,
    "DEVICE_MAPPING": "/dev/nvme0n1=EXCLUDE",
    "NO_PROMPT": "1",
}


@dataclass(frozen=True, slots=True)
class StandinPlace:
    """Copies of the scripts in a folder, to be run by one shell; waits are a hundredth of what they are.

    `instance` is where the recovery instance is reached, if not where DRS says.
    """

    shell: str
    folder: Path
    instance: str = "$address:$port"
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def install(self) -> StandinPlace:
        """Write the scripts with this machine's paths turned into the folder's."""
        paths = {
            "/etc/standin/newer-iso": "newer-iso",
            "/proc/cmdline": "cmdline",
            "/proc/meminfo": "meminfo",
            "/sys/class/block": "block",
        }
        changes = {
            '"/dev/${path##*/}': f'"{self.folder}/${{path##*/}}',
            "at_instance=http://$address:$port": f"at_instance=http://{self.instance}",
            "PROGRAM=/usr/lib/standin/failback_entry": f"PROGRAM={self.folder}/failback_entry.sh",
            'as_root "$PROGRAM"': f'{self.shell} "$PROGRAM"',
            "as_root shutdown -r now": "say RESTART",
            "[ -b ": "[ -f ",
            "POLL=2": "POLL=0.02",
            "RETRY_AFTER=2": "RETRY_AFTER=0.02",
        }
        for name in SCRIPTS:
            text = (FOLDER / name).read_text()
            for old, new in (changes | {old: str(self.folder / new) for old, new in paths.items()}).items():
                text = text.replace(old, new)
            (self.folder / name).write_text(text)
        (self.folder / "block").mkdir()
        self.boot_with("standin.launched")
        self.have_memory(4_000_000)
        return self

    def boot_with(self, argument: str) -> None:
        """The kernel's arguments."""
        (self.folder / "cmdline").write_text(f"root=live:CDLABEL=X {argument} quiet\n")

    def have_memory(self, kilobytes: int) -> None:
        """What the kernel tells of the machine's memory."""
        (self.folder / "meminfo").write_text(f"MemTotal:  {kilobytes} kB\nMemFree: 1 kB\n")

    def add_disk(self, name: str, size: int) -> Path:
        """A disk of zeros, in bytes."""
        (self.folder / "block" / name / "device").mkdir(parents=True)
        (self.folder / "block" / name / "size").write_text(f"{size // 512}\n")
        path = self.folder / name
        with path.open("wb") as file:
            file.truncate(size)
        return path

    def start(self, **environment: str | None) -> subprocess.Popen[str]:
        """Run the start script; a variable that's None isn't set."""
        variables = {name: value for name, value in (ENOUGH | environment).items() if value is not None}
        process = subprocess.Popen(
            [self.shell, str(self.folder / "start.sh")],
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.folder), **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process
