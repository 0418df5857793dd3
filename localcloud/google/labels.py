"""Labels and fingerprints: what labels may be, and the changes that need the fingerprint of what's there.

Source: cloud.google.com, "Organize resources using labels"; `labelFingerprint` in the SDK's messages.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING

from localcloud.google.refusals import Json, refuse_condition, refuse_value
from localcloud.google.schema import BodySchema, emulated

if TYPE_CHECKING:
    from localcloud.google.front import Call
    from localcloud.google.operations import Operation, OperationBoard
    from localcloud.google.state import CloudState

MOST = 64
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_STALE = "Labels fingerprint either invalid or resource labels have changed"
_MESSAGES = {
    "instances": "InstancesSetLabelsRequest",
    "disks": "ZoneSetLabelsRequest",
    "addresses": "RegionSetLabelsRequest",
}


def fingerprint(value: object) -> str:
    """Eight bytes in base64 that follow the value."""
    text = json.dumps(value, sort_keys=True)
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode("ascii")


def labelled(body: Json, field: str = "resource.labels") -> Json:
    """A body's labels, judged, and their fingerprint."""
    labels = body.get("labels", {})
    if len(labels) > MOST:
        refuse_value(field, "", f"There are more than {MOST} labels.")
    for key, value in labels.items():
        if _KEY.fullmatch(key) is None:
            why = f"Label key '{key}' violates format constraints: it has to match '{_KEY.pattern}'."
            refuse_value(field, "", why)
        if _VALUE.fullmatch(value) is None:
            why = f"Label value '{value}' violates format constraints: it has to match '{_VALUE.pattern}'."
            refuse_value(field, "", why)
    return ({"labels": dict(labels)} if labels else {}) | {"labelFingerprint": fingerprint(labels)}


def set_labels(state: CloudState, board: OperationBoard, call: Call) -> Operation:
    """A resource's method setLabels."""
    message = _MESSAGES.get(call.id.collection, "GlobalSetLabelsRequest")
    body = BodySchema(message, emulated("labels", "labelFingerprint")).clean(call.body)
    resource = state.get(call.id)
    new = labelled(body)
    if body.get("labelFingerprint") != resource.document["labelFingerprint"]:
        refuse_condition(_STALE)

    def finish() -> None:
        resource.document.pop("labels", None)
        resource.document.update(new)

    return board.begin(f"{call.id.collection}.setLabels", resource, finish)
