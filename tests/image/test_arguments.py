"""The kernel's arguments of a client image."""

from __future__ import annotations

from failback.image.arguments import client_arguments

ISO = ["root=live:CDLABEL=DRSFAILBACK", "rd.live.image", "quiet", "rhgb", "rd.live.check", "rootfstype=auto"]


def test_what_hides_the_boot_goes_and_consoles_come_last() -> None:
    assert client_arguments(ISO, to_ram=False, selinux=False) == (
        *("root=live:CDLABEL=DRSFAILBACK", "rd.live.image", "rootfstype=auto", "rd.live.overlay.size=2048"),
        *("console=tty0", "console=ttyS0,115200n8"),
    )


def test_memory_and_selinux_when_asked() -> None:
    words = client_arguments(ISO, to_ram=True, selinux=True)
    assert "rd.live.ram=1" in words
    assert "enforcing=0" in words


def test_what_the_iso_says_itself_stands() -> None:
    own = ["rd.live.overlay.size=512", "rd.live.ram", "selinux=0", "console=ttyS0,9600", "console=tty0"]
    words = client_arguments(own, to_ram=True, selinux=True)
    assert words == (
        *("rd.live.overlay.size=512", "rd.live.ram", "selinux=0", "console=ttyS0,9600"),
        *("console=tty0", "console=ttyS0,115200n8"),
    )
