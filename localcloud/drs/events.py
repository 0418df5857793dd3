"""DRS's events of recovery instances, on the account's default bus.

Source: EventBridge's reference of DRS events; `detail` carries the state only. None tells FAILBACK_READY_FOR_LAUNCH.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Literal

from localcloud.accounts import ACCOUNT
from localcloud.drs.records import arn_of
from localcloud.drs.states import COMPLETED, ERROR, IN_PROGRESS

if TYPE_CHECKING:
    from localcloud.drs.records import RecoveryInstance

DETAIL_TYPE = "DRS Recovery Instance Failback State Change"
# A bus takes no more than that in one call.
_AT_ONCE = 10
_TOLD = frozenset({IN_PROGRESS, COMPLETED, ERROR})


class FailbackEvents:
    """Notes events while a call is at work, and puts them when it has taken effect."""

    def __init__(self, region: str, ids: Literal["ri", "i"]) -> None:
        self._region, self._ids = region, ids
        self._lock = threading.Lock()
        self._noted: list[dict[str, object]] = []

    def note(self, instance: RecoveryInstance, state: str) -> None:
        """Keep an event for the state, if there is one for it."""
        if state not in _TOLD:
            return
        name = instance.id if self._ids == "i" else f"r{instance.id}"
        event: dict[str, object] = {
            "Source": "aws.drs",
            "DetailType": DETAIL_TYPE,
            "Resources": [arn_of(self._region, "recovery-instance", name)],
            "Detail": json.dumps({"state": state}),
        }
        with self._lock:
            self._noted.append(event)

    def put(self) -> None:
        """Give moto's bus what was noted; its rules take it from there."""
        with self._lock:
            noted, self._noted = self._noted, []
        for start in range(0, len(noted), _AT_ONCE):
            from moto.events.models import events_backends

            events_backends[ACCOUNT][self._region].put_events(noted[start : start + _AT_ONCE])
