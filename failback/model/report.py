"""A run's report, as JSON: everything that a person has to know afterwards, and what the image at home is made of."""

from __future__ import annotations

from datetime import datetime

from failback.model.facts import Facts
from failback.model.record import RunHistory, StageEntry
from failback.model.run import Ami, ExportedImage, HomeImage, Outcome, PublishedIso, Returned, StoredIso
from failback.model.server import ServerRecord


class Provenance(Facts):
    """From AWS's ISO to the image at home, as far as the run has seen it; `mark` is what the agent said at home."""

    key: str
    published: PublishedIso | None = None
    iso: StoredIso | None = None
    ami: Ami | None = None
    export: ExportedImage | None = None
    image: HomeImage | None = None
    mark: str = ""


class ServerReport(Facts):
    """One server's part: what was asked and planned, how it was before, how far it came, its stages and how it ended.

    `began` and `ended` are those of its first and last stage, `seconds` lie between them.
    """

    record: ServerRecord
    stages: tuple[StageEntry, ...] = ()
    began: datetime | None = None
    ended: datetime | None = None
    seconds: float = 0.0


class RunReport(Facts):
    """The whole run: its outcome, its stages in time, provenance, and what a failed one gave back.

    `servers` are all of the run, in the order of their ids; the history doesn't repeat them.
    """

    outcome: Outcome
    history: RunHistory | None
    provenance: Provenance | None
    servers: tuple[ServerReport, ...] = ()
    given_back: Returned | None = None
