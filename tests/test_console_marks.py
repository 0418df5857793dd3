"""Marks on a console: whole lines of the agent, in order, with nothing that a terminal would act on."""

from __future__ import annotations

import pytest

from failback.console_marks import LONGEST_MARK, TAIL, Mark, mark_of, read_marks, since, tail
from localcloud.guests.marks import MARK, read_mark


@pytest.mark.parametrize(
    ("console", "marks"),
    [
        ("", []),
        ("GRUB\r\nFAILBACK-AGENT started image=x", []),
        ("[ 1.0] FAILBACK-AGENT started image=x\r\n", ["started image=x"]),
        ("FAILBACK-AGENT settings azure run=a\nFAILBACK-AGENT client-running 5 %\r\n", ["settings azure run=a",
                                                                                      "client-running 5 %"]),
        ("FAILBACK-AGENT poweroff\r\n", ["poweroff"]),
        ("FAILBACK-AGENT client-running \x1b[31mred\x07\n", ["client-running red"]),
        ("FAILBACK-AGENT Started\n", []),
    ],
    ids=["empty", "half-a-line", "after-a-time", "several", "no-detail", "escapes", "no-state"],
)  # fmt: skip
def test_marks_are_whole_lines(console: str, marks: list[str]) -> None:
    assert [mark.text for mark in read_marks(console)] == marks


def test_what_the_embedded_guests_write_is_read() -> None:
    line = f"{MARK} credentials-wanted run-1 i-0a1b2c3d"
    assert read_marks(f"{line}\r\n") == [Mark("credentials-wanted", "run-1 i-0a1b2c3d")]
    assert read_mark(line) == read_marks(f"{line}\r\n")[0].text


def test_a_note_takes_a_mark_s_beginning() -> None:
    assert len(Mark("failed", "x" * 4000).short) == LONGEST_MARK


def test_a_console_s_end_is_short_and_printable() -> None:
    text = tail("x" * 5000 + "\x1b[0;32mOK\x1b[0m\x07\r\nend\r\n")
    assert text.endswith("OK\nend")
    assert len(text) <= TAIL


def test_only_what_has_come_since_counts() -> None:
    before = "Ubuntu 22.04 web ttyS0\n\nweb login: "
    mark = mark_of(before)
    assert since(f"{before}\nbooting\nweb login: ", mark) == "\nbooting\nweb login: "
    assert since(before, mark) == ""


@pytest.mark.parametrize("console", ["", "it has begun anew", "Ubuntu 22.04 web ttyS1\n\nweb login: and more"])
def test_a_console_that_has_begun_anew_counts_wholly(console: str) -> None:
    assert since(console, mark_of("Ubuntu 22.04 web ttyS0\n\nweb login: ")) == console
    assert since(console, "") == console
