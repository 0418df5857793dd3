"""What the stages of one server leave in its state: its client machine, and how that registered with DRS."""

from __future__ import annotations

from datetime import datetime

from failback.model.facts import Facts


class Readiness(Facts):
    """How many servers can go home as planned; the plans themselves are in the run log."""

    servers: int
    hints: int = 0


class ClientCursor(Facts):
    """What's done for a client machine so far: its address at home, and the rule that lets it reach port 1500."""

    configured: bool = False
    address: str = ""
    rule: str = ""
    building: bool = False


class ClientMachine(Facts):
    """A running client machine: its name and address at home, and the security-group rule that admits it."""

    machine: str
    address: str
    rule: str


class RegisterCursor(Facts):
    """Which initiation step and which of the agent's marks were seen last.

    `keys` is when the agent's wish for keys was answered, `settings_clean` says that none is in the machine's settings
    any more. `failing` is what looked like a failure at the last look, `heard` when anything was new; `console` is how
    many characters the console had.
    """

    step: str = ""
    mark: str = ""
    keys: datetime | None = None
    settings_clean: bool = False
    failing: str = ""
    heard: datetime | None = None
    console: int = 0


class Registration(Facts):
    """A client that's paired with its recovery instance; `to_original` means that only a difference is sent."""

    client: str
    to_original: bool = False


class Approval(Facts):
    """Who said that the server may be launched, how that's known, when and why; `to_copy` is what's left, in bytes."""

    actor: str
    known_by: str
    at: datetime
    why: str = ""
    to_copy: int = 0


class FenceCursor(Facts):
    """A fence under way: what it's known by where it works (an SSM command's id), and since when it has been asked."""

    command: str = ""
    asked: datetime | None = None


class Fenced(Facts):
    """A recovery instance whose workload has been stopped, and by what (`none`: by nothing)."""

    kind: str
    said: str = ""


class Launched(Facts):
    """A launched server: DRS's job and what's to be remarked about it; `at` is when DRS called it completed."""

    job: str
    at: datetime
    remarks: tuple[str, ...] = ()


class CutOverCursor(Facts):
    """How far the change is: the client is off, its disks are free, the server's own machine has been told to start.

    `console` marks what its console held before that.
    """

    off: bool = False
    released: bool = False
    started: bool = False
    since_off: datetime | None = None
    console: str = ""


class CutOver(Facts):
    """A server whose own machine at home runs from the replicated disks.

    `console` marks what its console held before it was started.
    """

    machine: str
    started: datetime
    console: str = ""


class VerifyCursor(Facts):
    """When looking began; the first `signal` that was seen, what it said, and when: the traffic hook comes after."""

    began: datetime
    signal: str = ""
    said: str = ""
    seen: datetime | None = None


class Verified(Facts):
    """Whether a server came up: the first `signal` of it, what it said, and `seconds` from its start.

    Where it isn't known to have come up, `said` is what each signal had to say last. `console` is the end of what it
    wrote to its serial port; `remarks` are what a person should see in any case, though the server is proven.
    """

    verified: bool
    signal: str = ""
    said: str = ""
    seconds: float = 0.0
    console: str = ""
    remarks: tuple[str, ...] = ()


class Commitment(Facts):
    """Whether anybody accepted the server; by a person, or the policy."""

    accepted: bool
    actor: str = ""
    known_by: str = ""
    at: datetime
    why: str = ""


class HoldEnd(Facts):
    """How holding a failed server ended: given back, or `next` is the stage to be tried again."""

    next: str
    actor: str = ""
    known_by: str = ""
    at: datetime
    why: str = ""


class WaveStart(Facts):
    """Whether a wave is begun, and why not."""

    begun: bool
    why: str = ""
