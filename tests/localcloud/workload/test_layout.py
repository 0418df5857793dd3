"""The workload's record: what goes in comes out, in one sector, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from localcloud.workload.layout import Record


@pytest.mark.parametrize("record", [Record("bios"), Record("uefi", "n-1"), Record("bios", "a" * 64)], ids=str)
def test_what_goes_in_comes_out(record: Record) -> None:
    sector = record.to_bytes()
    assert len(sector) == 512
    assert Record.parse(sector) == record


def test_the_record_is_a_line_that_a_shell_reads() -> None:
    line, rest = Record("uefi", "n.1").to_bytes().split(b"\n")
    assert line == b"DRS-FAILBACK-WORKLOAD 1 nonce=n.1 firmware=uefi"
    assert set(rest) == {0}


@pytest.mark.parametrize("nonce", ["", "-", "two words", "a" * 65, "new\nline", "ü", "$(reboot)"])
def test_what_a_shell_would_stumble_over_is_no_nonce(nonce: str) -> None:
    with pytest.raises(ValueError, match="is no nonce"):
        Record("bios", nonce).to_bytes()


@pytest.mark.parametrize(
    "sector",
    [
        b"",
        bytes(512),
        b"DRS-FAILBACK-WORKLOAD 2 nonce=- firmware=bios\n",
        b"DRS-FAILBACK-WORKLOAD 1 nonce=- firmware=none\n",
        b" DRS-FAILBACK-WORKLOAD 1 nonce=- firmware=bios\n",
    ],
    ids=["nothing", "zeros", "version", "firmware", "place"],
)
def test_other_bytes_are_no_record(sector: bytes) -> None:
    assert Record.parse(sector) is None
