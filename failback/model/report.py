"""A run's report, as JSON: everything that a person has to know afterwards, and what the image at home is made of."""

from __future__ import annotations

from failback.model.facts import Facts
from failback.model.record import RunHistory
from failback.model.run import Ami, ExportedImage, HomeImage, Outcome, PublishedIso, Returned, StoredIso


class Provenance(Facts):
    """From AWS's ISO to the image at home, as far as the run has seen it; `mark` is what the agent said at home."""

    key: str
    published: PublishedIso | None = None
    iso: StoredIso | None = None
    ami: Ami | None = None
    export: ExportedImage | None = None
    image: HomeImage | None = None
    mark: str = ""


class RunReport(Facts):
    """The whole run: its outcome, its stages in time, provenance, and what a failed one gave back."""

    outcome: Outcome
    history: RunHistory | None
    provenance: Provenance | None
    given_back: Returned | None = None
