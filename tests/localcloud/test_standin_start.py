"""The stand-in's start script: the real one's environment, prompts and refusals, run by the shells it may meet."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.localcloud.standin_client import ENOUGH, SECRET, TOKEN, StandinPlace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=["dash", "bash"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Run the script; its client program is told that the server was launched, so it ends at once."""
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"{request.param} isn't installed")
    place = StandinPlace(shell, tmp_path).install()

    def run(
        stdin: str = "", *, newer_iso: bool = False, memory: int = 4_000_000, **environment: str | None
    ) -> subprocess.CompletedProcess[str]:
        newer = tmp_path / "newer-iso"
        newer.touch() if newer_iso else newer.unlink(missing_ok=True)
        place.have_memory(memory)
        process = place.start(**environment)
        out, errors = process.communicate(stdin, timeout=20)
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

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
        ({"DEVICE_MAPPING": "/dev/xvda=/dev/disk/by-path/pci-0:4.0"}, "/dev/disk/by-path/pci-0:4.0 is no block device"),
        ({"DEVICE_MAPPING": "c:0=/dev/sdb"}, "0=/dev/sdb is no block device"),
        ({"DEVICE_MAPPING": '[{"recoveryInstanceDeviceName":"/dev/xvda"}]'}, "the last volume or its device"),
        ({"DEVICE_MAPPING": "[]"}, "it names no volume"),
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


@pytest.mark.parametrize(
    "mapping",
    [
        '[{"recoveryInstanceDeviceName":"c:0","failbackClientDeviceName":"EXCLUDE"},'
        '{"failbackClientDeviceName":"EXCLUDE","recoveryInstanceDeviceName":"c:1"}]',
        '{"c:0":"EXCLUDE","c:1":"EXCLUDE"}',
    ],
    ids=["list", "object"],
)
def test_a_mapping_in_json_may_name_volumes_with_colons(start: Start, mapping: str) -> None:
    done = start(DEVICE_MAPPING=mapping)
    assert done.returncode == 0, done.stdout
    assert "mapping: c:0 -> EXCLUDE\nmapping: c:1 -> EXCLUDE\n" in done.stdout


def test_shell_words_in_an_answer_stay_text(start: Start, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    done = start(f"$(touch {mark})\neu-central-1\n", AWS_REGION=None)
    assert done.returncode == 0
    assert not mark.exists()
