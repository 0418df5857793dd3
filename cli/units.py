"""Sizes, rates and times as they're shown: MiB, MiB/s, minutes:seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1024 * 1024


def mib(size: float) -> str:
    """A size in bytes."""
    return f"{mebibytes(size)} MiB"


def mebibytes(size: float) -> str:
    """The same without its unit: whole above 10 MiB, with two digits below."""
    return f"{size / MIB:,.0f}" if size >= 10 * MIB or size == 0 else f"{size / MIB:.2f}"


def rate(bytes_a_second: float) -> str:
    """A rate."""
    return f"{bytes_a_second / MIB:,.1f} MiB/s" if bytes_a_second < 10 * MIB else f"{bytes_a_second / MIB:,.0f} MiB/s"


def clock(seconds: float) -> str:
    """A duration: 0:07, 12:34, 1:02:03."""
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def aligned(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Rows of text in columns two blanks apart; those numbered in `right` end flush, the last one isn't padded."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_padded(row, widths, right)).rstrip() for row in rows]


def _padded(row: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> list[str]:
    pairs = enumerate(zip(row, widths, strict=True))
    return [text.rjust(width) if number in right else text.ljust(width) for number, (text, width) in pairs]
