"""The kernel's arguments of a client image."""

from __future__ import annotations

from failback.image.arguments import client_arguments

ISO = ["root=live:CDLABEL=DRSFAILBACK", "rd.live.image", "quiet", "rhgb", "rd.live.check", "rootfstype=auto"]


def test_what_hides_the_boot_goes_and_consoles_come_last() -> None:
    assert client_arguments(ISO, iso_partition="NAME", to_ram=False, selinux=False) == (
        *("root=live:CDLABEL=DRSFAILBACK", "rd.live.image", "rootfstype=auto", "rd.live.overlay.size=2048"),
        *("console=tty0", "console=ttyS0,115200n8"),
    )


def test_memory_and_selinux_when_asked() -> None:
    words = client_arguments(ISO, iso_partition="NAME", to_ram=True, selinux=True)
    assert "rd.live.ram=1" in words
    assert "enforcing=0" in words


def test_what_the_iso_says_itself_stands() -> None:
    own = ["rd.live.overlay.size=512", "rd.live.ram", "selinux=0", "console=ttyS0,9600", "console=tty0"]
    words = client_arguments(own, iso_partition="NAME", to_ram=True, selinux=True)
    assert words == (
        *("rd.live.overlay.size=512", "rd.live.ram", "selinux=0", "console=ttyS0,9600"),
        *("console=tty0", "console=ttyS0,115200n8"),
    )


def test_a_label_that_grub_would_change_gives_way_to_the_partitions_name() -> None:
    words = client_arguments(
        ["root=live:CDLABEL=A\\x20B", "rd.live.image"], iso_partition="NAME", to_ram=False, selinux=False
    )
    assert words[:2] == ("root=live:/dev/disk/by-partlabel/NAME", "rd.live.image")


def test_quotes_are_left_to_grub() -> None:
    words = client_arguments(['dyndbg="file a.c +p"'], iso_partition="NAME", to_ram=False, selinux=False)
    assert words[0] == "dyndbg=file a.c +p"
