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
