"""What people decide while a run goes on, and batches of launches: both are noted before they're acted on."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from failback.model.agent import Identifier
from failback.model.facts import Facts

Subject = Literal["approval", "commit", "hold", "stop"]
Verdict = Literal["approve", "refuse", "accept", "give_back", "retry", "stop"]
VERDICTS: dict[Subject, tuple[Verdict, ...]] = {
    "approval": ("approve", "refuse"),
    "commit": ("accept", "give_back"),
    "hold": ("retry", "give_back"),
    "stop": ("stop",),
}
WHOLE_RUN = "run"


def wave_scope(wave: str) -> str:
    """What a decision on a whole wave is noted under."""
    return f"wave:{wave}"


class Decision(Facts):
    """One decision, never changed: on a server (`scope` is its id), a wave ("wave:NAME") or all of a run ("run").

    `actor` is who made it and `known_by` how that's known. With `discard` a server that was launched at home already is
    given back too: what it wrote there since is lost.
    """

    subject: Subject
    scope: str
    verdict: Verdict
    actor: str
    known_by: str
    at: datetime
    why: str = ""
    discard: bool = False


class DecisionRequest(Facts):
    """What the door for decisions takes; without `servers` and `wave` it's about the whole run."""

    run: Identifier
    subject: Subject
    verdict: Verdict
    actor: str = ""
    why: str = ""
    servers: tuple[str, ...] = ()
    wave: Identifier | None = None
    discard: bool = False


class LaunchBatch(Facts):
    """Servers that are launched by one job: written down first, then asked of DRS, then followed by its `job`.

    `split`: DRS refused it for one of its servers, and smaller batches have taken its place; `refused` is why a batch
    of one was.
    """

    id: str
    run: str
    servers: tuple[str, ...]
    at: datetime
    job: str = ""
    split: bool = False
    refused: str = ""
