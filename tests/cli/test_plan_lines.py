"""What will be made for a server, as it's shown before anything is."""

from __future__ import annotations

from typing import Any

import pytest

from cli.plan_lines import plan_lines
from failback.model.server import PlannedDisk
from tests.cli.servers_of_runs import DISKS, IDS, PLAN

VM = "/subscriptions/s/resourceGroups/home/providers/Microsoft.Compute/disks"


def test_a_plan_names_every_volume_and_what_takes_it() -> None:
    lines = plan_lines(PLAN)
    assert lines[0] == (f"{IDS[0]}  web (linux, UEFI, its client by BIOS): way helper, machine client-1, Standard_B2ms")
    assert lines[1] == "  own machine: web, a new one, Standard_D2s_v5; it takes the disks at the end"
    words = [line.split() for line in lines]
    assert words[3][:6] == ["/dev/xvda", "8", "GiB", "->", "web-data-0", "(boots)"]
    assert words[4] == ["/dev/xvdb", "9.25", "GiB", "->", "web-data-1", "10", "GiB", "1", "Premium_LRS"]
    assert words[5] == ["/dev/xvdc", "->", "left", "out"]
    assert lines[6:] == [
        "  3.0 GiB at most to be copied by the private address, at most 100 Mbit/s",
        "  note: port 1500 is open to everybody",
    ]


def test_a_new_machine_of_its_own_needs_no_words_of_its_own() -> None:
    lines = plan_lines(PLAN.model_copy(update={"way": "new", "machine": "web", "wave": "first"}))
    assert "wave" not in lines[0]
    assert lines[1].split()[0] == "volume"


def original(**more: Any) -> list[str]:  # noqa: ANN401 - any field of the plan
    """Lines of a plan that takes the original machine over; its data disk comes from LUN 7 and goes back there."""
    boot, data = DISKS
    disks = (
        boot.model_copy(update={"original": f"{VM}/web-os"}),
        PlannedDisk.model_validate({**data.model_dump(), "original": f"{VM}/web-data", "home_lun": 7}),
    )
    change = {"way": "original", "machine": "web", "original": "web", "disks": disks, "wave": "databases"}
    return plan_lines(PLAN.model_copy(update={**change, **more}))


def test_with_way_original_it_says_which_disk_is_a_clone_of_which() -> None:
    lines = original()
    assert lines[0].endswith("way original, machine web, Standard_B2ms, wave databases")
    assert lines[1] == "  own machine: web, the one that was failed over, is taken over; its own disks stay as they are"
    words = [" ".join(line.split()) for line in lines]
    assert words[2] == "volume size disk at home size which is unit unit at the end kind"
    assert words[3] == "/dev/xvda 8 GiB -> web-data-0 (boots) 8 GiB a clone of web-os 0 boots the target's kind"
    assert words[4] == "/dev/xvdb 9.25 GiB -> web-data-1 10 GiB a clone of web-data 1 7 Premium_LRS"


def test_overwriting_is_said() -> None:
    lines = original(overwrite=True)
    assert lines[1].endswith("its own disks are written to, once there are snapshots of them")
    assert " the original " in lines[3]
    assert "clone" not in "".join(lines)


@pytest.mark.parametrize(("known", "said"), [("web", "the one that was failed over, is taken over"), ("", "a new one")])
def test_a_helper_says_where_the_disks_go(known: str, said: str) -> None:
    line = plan_lines(PLAN.model_copy(update={"original": known}))[1]
    assert line.startswith(f"  own machine: web, {said}")
