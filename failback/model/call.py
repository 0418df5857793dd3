"""One call of a stage's function, as long as it's at work."""

from __future__ import annotations

from datetime import datetime

from failback.model.facts import Facts


class Call(Facts):
    """By its request id; it has ended by `until`, since its function is ended then."""

    id: str
    until: datetime
