"""What proves that a server came up at home: a line of its console, its guest agent, an answer from the network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from failback.model.cutover import OWN_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from failback.model.cutover import VerifyChoice
    from failback.takeover_ports import Probes, Signs

Signal = Literal["serial", "agent", "tcp", "http", "function"]

USUAL_SERIAL = (
    r"^([\w.-]+ )?login:"
    r"|Reached target .*(Multi-User System|Graphical Interface)"
    r"|Cloud-init .*finished at"
    r"|The CMD command is now available"
)
"""A prompt to log in (getty), systemd's targets at the end of a boot, cloud-init's last line, and the first event of
Windows' Special Administration Console."""

LONGEST_SAID = 200
"""Characters of what one signal said: all of them together stand in the run's state."""
LONGEST_LINE = 1000
"""Characters of a console's line that a pattern is tried on: a pattern may take long on a long one."""

# What only the client's own system writes: the agent's marks, its unit, the kernel's arguments of a live system.
_OF_THE_CLIENT = re.compile(r"FAILBACK-AGENT|Failback Client|root=live:", re.IGNORECASE)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_UNPRINTABLE = re.compile(r"[^ -~]+")
_NOT_RUNNING = "the machine isn't running: it turned itself off, or the home couldn't start it"


class Sign(NamedTuple):
    """What one signal said; `positive` where it proves that the server came up."""

    signal: Signal
    positive: bool
    said: str

    @property
    def told(self) -> str:
        """The same for a person."""
        return f"{self.signal}: {self.said}"


def own_lines(console: str) -> list[str]:
    """The lines of a console that the server itself has written, without what a terminal would act on.

    A machine that has booted the client before may hold that on its console too, login prompts and all: nothing up to
    the last line that only a client writes is the server's.
    """
    lines = [_UNPRINTABLE.sub(" ", _ESCAPES.sub("", line)).strip() for line in re.split(r"[\r\n]+", console)]
    foreign = [number for number, line in enumerate(lines) if _OF_THE_CLIENT.search(line)]
    return [line for line in lines[foreign[-1] + 1 if foreign else 0 :] if line]


def look_for_signs(
    choice: VerifyChoice, seen: Signs, probes: Probes, ask: Callable[[], tuple[bool, str]], *, rehearsal: bool
) -> Iterator[Sign]:
    """What each signal of the choice says, one after the other; `ask` asks the customer's function.

    What isn't running proves nothing, and nothing else is asked then: another machine may answer in its place.
    """
    if not seen.running:
        yield Sign("serial", False, _NOT_RUNNING)
        return
    yield read_serial(choice.serial or USUAL_SERIAL, seen.console)
    if choice.agent:
        yield Sign("agent", bool(seen.agent), _short(seen.agent or "nothing of the guest agent"))
    for address in choice.tcp:
        yield _probe("tcp", address, seen.address, probes.tcp, rehearsal=rehearsal)
    if choice.http:
        yield _probe("http", choice.http, seen.address, probes.http, rehearsal=rehearsal)
    if choice.function:
        verified, said = ask()
        yield Sign("function", verified, _short(said))


def read_serial(pattern: str, console: str) -> Sign:
    """Whether any line of the server's own matches."""
    wanted, lines = re.compile(pattern), own_lines(console)
    found = next((line for line in lines if wanted.search(line[:LONGEST_LINE])), None)
    if found is not None:
        return Sign("serial", True, _short(found))
    return Sign("serial", False, f"its console's last line is '{_short(lines[-1])}'" if lines else "nothing of it yet")


def _probe(
    signal: Literal["tcp", "http"], place: str, address: str, call: Callable[[str], str], *, rehearsal: bool
) -> Sign:
    if OWN_ADDRESS not in place and rehearsal:
        return Sign(signal, False, f"{place} isn't asked in a rehearsal: it isn't the rehearsed machine's own address")
    if OWN_ADDRESS in place and not address:
        return Sign(signal, False, "the machine's address isn't known")
    asked = place.replace(OWN_ADDRESS, address)
    wrong = call(asked)
    return Sign(signal, not wrong, _short(f"{asked}: {wrong or 'it answers'}"))


def _short(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text).strip()[:LONGEST_SAID]
