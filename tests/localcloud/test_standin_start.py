"""The stand-in's start script: the real one's environment, prompts and refusals, run by the shells it may meet."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., subprocess.CompletedProcess[str]]

SCRIPT = Path(__file__).resolve().parents[2] / "localcloud" / "standin" / "start.sh"
SECRET, TOKEN = "very/secret+key", "very-long-token"
ENOUGH = {
    "AWS_REGION": "eu-central-1",
    "S3_ENDPOINT": "",
    "AWS_DRS_ENDPOINT": "",
    "AWS_ACCESS_KEY": "ASIAEXAMPLE",
    "AWS_SECRET_KEY": SECRET,
    "AWS_SESSION_TOKEN": TOKEN,
    "RECOVERY_INSTANCE_ID": "i-0123456789abcdef0",
    "DEVICE_MAPPING": "/dev/nvme0n1=EXCLUDE",
    "NO_PROMPT": "1",
}


@pytest.fixture(params=["dash", "bash"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Run the script; its client program is made to end at once instead of waiting for ever."""
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"{request.param} isn't installed")
    newer = tmp_path / "newer-iso"
    text = SCRIPT.read_text().replace("/etc/standin/newer-iso", str(newer))
    text = text.replace("/proc/cmdline", str(tmp_path / "cmdline"))
    (tmp_path / "cmdline").write_text("root=live:CDLABEL=X standin.launched quiet\n")
    text = text.replace("as_root shutdown -r now", "say RESTART").replace("/proc/meminfo", str(tmp_path / "meminfo"))
    copy = tmp_path / "start.sh"
    copy.write_text(text)

    def run(
        stdin: str = "", *, newer_iso: bool = False, memory: int = 4_000_000, **environment: str | None
    ) -> subprocess.CompletedProcess[str]:
        newer.touch() if newer_iso else newer.unlink(missing_ok=True)
        (tmp_path / "meminfo").write_text(f"MemTotal:  {memory} kB\nMemFree: 1 kB\n")
        variables = {name: value for name, value in (ENOUGH | environment).items() if value is not None}
        return subprocess.run(
            [shell, str(copy)],
            input=stdin,
            env={"PATH": os.environ["PATH"], **variables},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    return run


def test_everything_given_runs_without_a_question(start: Start) -> None:
    done = start()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "mapping: /dev/nvme0n1 -> EXCLUDE" in done.stdout
    assert "RESTART" in done.stdout
    assert "Enter" not in done.stdout


def test_secrets_are_masked(start: Start) -> None:
    output = start().stdout
    assert SECRET not in output
    assert TOKEN not in output
    assert ENOUGH["AWS_ACCESS_KEY"] not in output


@pytest.mark.parametrize(
    ("stdin", "environment", "prompt"),
    [
        ("eu-central-1\n", {"AWS_REGION": None}, "Enter AWS region to fail back from:"),
        ("eu-central-1\n", {"AWS_REGION": "nowhere"}, "There is no region nowhere."),
        ("\n", {"S3_ENDPOINT": None}, "Enter a custom S3 endpoint"),
        ("\n", {"newer_iso": True}, "Press Enter to go on"),
        ("key\n", {"NO_PROMPT": None, "AWS_SECRET_KEY": None}, "Enter AWS secret access key:"),
        ("/dev/xvda=EXCLUDE\n", {"NO_PROMPT": None, "DEVICE_MAPPING": None}, "Enter the device mapping:"),
    ],
)
def test_a_prompt_reads_one_line_and_input_that_ends_is_no_answer(
    start: Start, stdin: str, environment: dict[str, str | None], prompt: str
) -> None:
    answered = start(stdin, **environment)
    assert prompt in answered.stdout
    assert answered.returncode == 0, answered.stdout
    unanswered = start("", **environment)
    assert unanswered.returncode == 1
    assert "standard input ended at a prompt" in unanswered.stdout


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"memory": 3_799_999}, "needs 4 GB of memory"),
        (
            {"CONFIG_NETWORK": "1", "IPADDR": "10.0.0.4", "NETMASK": "255.0.0.0", "GATEWAY": "10.0.0.1"},
            "DNS is missing",
        ),
        ({"AWS_ACCESS_KEY": None}, "no AWS access key"),
        ({"AWS_SECRET_KEY": ""}, "no AWS secret key"),
        ({"RECOVERY_INSTANCE_ID": "s-0123456789abcdef0"}, "no recovery instance's ID"),
        ({"RECOVERY_INSTANCE_ID": "i-XYZ"}, "no recovery instance's ID"),
        ({"DEVICE_MAPPING": None}, "no device mapping"),
        ({"DEVICE_MAPPING": "/dev/xvda=EXCLUDE, /dev/xvdb=EXCLUDE"}, "holds no blanks"),
        ({"DEVICE_MAPPING": "/dev/xvda"}, "isn't RECOVERY_DEVICE=LOCAL_DEVICE"),
        ({"DEVICE_MAPPING": "/dev/xvda="}, "isn't RECOVERY_DEVICE=LOCAL_DEVICE"),
        ({"DEVICE_MAPPING": "/dev/xvda=/dev/disk/by-path/pci-0000:00:04.0"}, "more than one way"),
        ({"DEVICE_MAPPING": "/dev/xvda:/dev/null"}, "no block device"),
        ({"DEVICE_MAPPING": "/dev/xvda=EXCLUDE,/dev/xvdb=/dev/no-such-disk"}, "no block device"),
    ],
)
def test_refusals(start: Start, environment: dict[str, str | int | None], reason: str) -> None:
    done = start(**environment)
    assert done.returncode == 1
    assert reason in done.stdout
    assert "RESTART" not in done.stdout


def test_both_separators_split_a_mapping(start: Start) -> None:
    done = start(DEVICE_MAPPING="/dev/xvda:EXCLUDE,/dev/xvdb=EXCLUDE")
    assert done.returncode == 0
    assert "mapping: /dev/xvda -> EXCLUDE\nmapping: /dev/xvdb -> EXCLUDE\n" in done.stdout


def test_shell_words_in_an_answer_stay_text(start: Start, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    done = start(f"$(touch {mark})\neu-central-1\n", AWS_REGION=None)
    assert done.returncode == 0
    assert not mark.exists()
