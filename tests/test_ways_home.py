"""Which way a server goes home: every system, firmware and wish."""

from __future__ import annotations

import pytest

from failback.model.recovery import Firmware, Host, RecoveryInstance, Volume
from failback.model.request import ServerRequest, WayName
from failback.ways_home import choose_way, guest_os

ID = "i-0a1b2c3d4e5f60718"


def instance(system: str, *devices: str) -> RecoveryInstance:
    volumes = tuple(Volume(device=device, bytes=1 << 30) for device in devices)
    return RecoveryInstance(id=ID, arn="", source_server="", ec2_state="RUNNING", os=system, volumes=volumes)


def host(firmware: Firmware | None) -> Host:
    return Host(id=ID, state="running", firmware=firmware)


def request(*, way: WayName | None = None, firmware: Firmware | None = None) -> ServerRequest:
    return ServerRequest(recovery_instance=ID, way=way, firmware=firmware)


@pytest.mark.parametrize(
    ("system", "firmware", "way", "client"),
    [
        ("Linux", "bios", "new", "bios"),
        ("Linux", "uefi", "helper", "bios"),
        ("Windows", "bios", "new", "bios"),
        ("Windows", "uefi", "new", "uefi"),
    ],
)
def test_the_way_follows_system_and_firmware(system: str, firmware: Firmware, way: str, client: str) -> None:
    choice = choose_way(request(), instance(system), host(firmware))
    assert choice.way is not None
    assert not choice.faults
    assert (choice.way.way, choice.way.firmware, choice.way.client_firmware) == (way, firmware, client)


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("system", ["Linux", "Windows"])
def test_every_server_can_go_with_a_helper(system: str, firmware: Firmware) -> None:
    choice = choose_way(request(way="helper"), instance(system), host(firmware))
    assert choice.way is not None
    assert choice.way.way == "helper"


def test_linux_that_boots_by_uefi_cannot_go_without() -> None:
    choice = choose_way(request(way="new"), instance("Linux"), host("uefi"))
    assert choice.way is None
    assert "say helper, or leave way out" in choice.faults[0]


def test_the_request_counts_before_ec2_and_both_are_told() -> None:
    choice = choose_way(request(firmware="uefi"), instance("Windows"), host("bios"))
    assert choice.way is not None
    assert choice.way.firmware == "uefi"
    assert "uefi is asked for, and EC2 boots the recovery instance by bios" in choice.hints[0]
    assert not choose_way(request(firmware="bios"), instance("Windows"), host("bios")).hints


def test_where_a_fact_may_be_wrong_a_hint_says_so() -> None:
    hints = "\n".join(choose_way(request(), instance("Linux"), host("uefi")).hints)
    assert "as EC2 says" in hints
    assert "unconfirmed" in hints


def test_what_is_not_known_is_asked_for_all_at_once() -> None:
    choice = choose_way(request(), instance("Solaris 11"), None)
    assert choice.way is None
    assert len(choice.faults) == 2
    assert "'Solaris 11'" in choice.faults[0]
    assert "say firmware" in choice.faults[1]


@pytest.mark.parametrize(
    ("words", "devices", "expected"),
    [
        ("Microsoft Windows Server 2019 Datacenter 10.0.17763 AMD64", (), "windows"),
        ("Ubuntu 22.04.3 LTS", (), "linux"),
        ("Red Hat Enterprise Linux 8.9", (), "linux"),
        ("SLES 15", (), "linux"),
        ("", ("/dev/sda", "/dev/sdb"), "linux"),
        ("", ("c:0", "d:0"), "windows"),
        ("", ("c:0", "/dev/sdb"), None),
        ("FreeBSD", (), None),
    ],
)
def test_a_system_is_known_by_words_or_by_its_volumes(
    words: str, devices: tuple[str, ...], expected: str | None
) -> None:
    assert guest_os(instance(words, *devices)) == expected
