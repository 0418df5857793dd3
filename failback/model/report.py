"""A run's report, as JSON: all that a person has to know afterwards, and what the servers at home are made of."""

from __future__ import annotations

from datetime import datetime

from failback.model.decision import Decision, LaunchBatch
from failback.model.ending import LeftBehind, Outcome, Returned
from failback.model.facts import Facts
from failback.model.record import RunHistory, StageEntry
from failback.model.run import Ami, ExportedImage, HomeImage, PublishedIso, StoredIso
from failback.model.server import ServerRecord
from failback.model.way_home import Approval, Commitment, Verified


class Provenance(Facts):
    """From AWS's ISO to the image at home, as far as the run has seen it; `mark` is what the agent said at home."""

    key: str
    published: PublishedIso | None = None
    iso: StoredIso | None = None
    ami: Ami | None = None
    export: ExportedImage | None = None
    image: HomeImage | None = None
    mark: str = ""


class TimelineEntry(Facts):
    """One stage of the run, or of a `server` of it: when, for how long, in how many calls, how it stands.

    `bytes` is what it copied, of `total`; None where it copies nothing.
    """

    server: str = ""
    stage: str
    status: str
    began: datetime
    ended: datetime
    seconds: float
    calls: int
    bytes: int | None = None
    total: int | None = None
    error: str = ""


class MadeAtHome(Facts):
    """The end of the provenance, for one server: from the client image to the machine that the server is at home.

    `client_machine` booted the client from `client_disk`, a copy of the image with `image_key`; `disks` took the
    server's volumes, what it boots from first.
    """

    image_key: str = ""
    image: str = ""
    client_machine: str
    client_disk: str
    machine: str
    disks: tuple[str, ...]


class Measured(Facts):
    """What the server's way home took, in seconds; None where it isn't known. Each `_by` says what it's made of.

    `rto`: from the approval to the first sign of life at home. `rpo`: how old the last data is that came home with it.
    `copied` is in bytes, of `total`; `to_original` says that only a difference had to be sent.
    """

    rto_seconds: float | None = None
    rto_by: str = ""
    rpo_seconds: float | None = None
    rpo_by: str = ""
    copied: int | None = None
    total: int | None = None
    to_original: bool | None = None


class ServerReport(Facts):
    """One server's part: what was asked and planned, how it was before, how far it came, its stages and how it ended.

    `began` and `ended` are those of its first and last stage, `seconds` lie between them. `decisions` are people's on
    it, oldest first; `batch` is the launch that counted. `protected` is None where nothing is known. `left` couldn't be
    undone.
    """

    record: ServerRecord
    stages: tuple[StageEntry, ...] = ()
    began: datetime | None = None
    ended: datetime | None = None
    seconds: float = 0.0
    decisions: tuple[Decision, ...] = ()
    approval: Approval | None = None
    batch: LaunchBatch | None = None
    verified: Verified | None = None
    commitment: Commitment | None = None
    made: MadeAtHome | None = None
    measured: Measured = Measured()
    protected: bool | None = None
    left: tuple[LeftBehind, ...] = ()
    findings: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


class RunReport(Facts):
    """The whole run: its outcome (None while it goes on), its stages in time, provenance, what a failed one gave back.

    `servers` are all of the run, in the order of their ids; the history doesn't repeat them, but has all decisions and
    launch batches. `timeline` is of the run and its servers together, in the order in which the stages began.
    """

    outcome: Outcome | None
    history: RunHistory | None
    provenance: Provenance | None
    servers: tuple[ServerReport, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    given_back: Returned | None = None
    findings: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
