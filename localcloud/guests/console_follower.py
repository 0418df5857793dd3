"""Follows the serial consoles of machines that come and go, and tells of the lines by which a boot can be judged."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from localcloud.guests.marks import MARK
from localcloud.machines.serial_log import SerialLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOOK_SECONDS = 0.5
SHOWN = 110
"""Characters of a line: the kernel's first one names its compiler too."""
# GRUB's entry, the kernel, the initrd and the root as systemd greets in them, the agent, the end.
_TELLING = re.compile(rf"^Loading |Linux version|Welcome to |{MARK} |reboot: Power down")
# The kernel's stamp before a line; the prompt of a login that the agent's mark came to stand behind.
_BEFORE = re.compile(rf"^\[ *\d+\.\d+\] |^.*(?={MARK} )")


@contextmanager
def following(machines: Path, on_line: Callable[[float, str], None]) -> Iterator[None]:
    """Within the block `on_line` gets each telling line, in a thread of its own, and the second after its machine's
    start in which it was seen. `machines` is a driver's folder: one folder a start.
    """
    over = threading.Event()
    follower = threading.Thread(target=_follow, args=(machines, on_line, over), name="console", daemon=True)
    follower.start()
    try:
        yield
    finally:
        over.set()
        follower.join()


def _follow(machines: Path, on_line: Callable[[float, str], None], over: threading.Event) -> None:
    consoles: dict[Path, tuple[float, SerialLog]] = {}
    ending = False
    while not ending:
        # One look more after the end: what was written until then is told.
        ending = over.wait(LOOK_SECONDS)
        for path in sorted(machines.glob("*/console.log")):
            began, log = consoles.setdefault(path, (time.monotonic(), SerialLog(path)))
            known = len(log.lines) + log.dropped
            log.update()
            for line in log.lines[max(known - log.dropped, 0) :]:
                if _TELLING.search(line):
                    on_line(time.monotonic() - began, _BEFORE.sub("", line)[:SHOWN])
