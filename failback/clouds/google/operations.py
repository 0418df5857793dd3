"""What Compute has under way: operations of a zone, a region or the project, looked at by their own clients.

The SDK's `insert().result()` asks the real Compute, whatever the endpoint is: calls are made by their `*_unary` forms.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from failback.clouds.google.place import last_part

if TYPE_CHECKING:
    from google.cloud import compute_v1 as compute

    from failback.clouds.google.place import GooglePlace

SETTLE_SECONDS = 20.0
"""How long a call waits for a short operation. A disk takes two to ten seconds, a start about twenty; what takes longer
is looked at again by the next call."""
FIRST_LOOK, LAST_LOOK = 0.05, 2.0
"""Seconds between two looks, twice as long each time: what ends at once is seen at once, and what takes twenty seconds
is looked at fourteen times."""

NAMESPACE = uuid.UUID("6b0c5a3e-4d2f-5c8a-9e71-2f64d8b1a90d")
"""Request ids are made within it."""


def request_id(*words: str) -> str:
    """The id of a request that's made of these words: Compute does the same request once only (for an hour or so)."""
    return str(uuid.uuid5(NAMESPACE, "\n".join(words)))


def settled(place: GooglePlace, operation: Any, seconds: float = SETTLE_SECONDS) -> bool:  # noqa: ANN401 - see below
    """Whether the operation ends within `seconds`; raises what it failed with, as an error of google.api_core.

    `operation` is what any `*_unary` call of Compute's SDK has answered; it says itself whose it is.
    """
    end = time.monotonic() + seconds
    pause = FIRST_LOOK
    while not operation.done:
        left = end - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 2, LAST_LOOK)
        operation = _again(place, operation)
    check_operation(operation)
    return True


def check_operation(operation: compute.Operation) -> None:
    """Raise what an operation that has ended failed with; its first error's code is the error's `reason_of`."""
    from google.api_core.exceptions import from_http_status

    errors = [{"reason": each.code, "message": each.message} for each in operation.error.errors]
    status = operation.http_error_status_code
    if not errors and status < 400:
        return
    text = "; ".join(each["message"] for each in errors) or operation.http_error_message
    message = f"{operation.operation_type} {last_part(operation.target_link)}: {text}"
    # An operation that's refused after it was taken has no status sometimes.
    make: Any = from_http_status
    raise make(status if status >= 400 else 400, message, errors=errors)


def reason_of(error: Exception) -> str:
    """What a refusal is called by Compute or Storage, in one spelling: `resourceInUseByAnotherResource`, say.

    Requests and operations spell it differently (RESOURCE_IN_USE_BY_ANOTHER_RESOURCE); empty if it isn't said.
    """
    errors = getattr(error, "errors", None) or []
    first = errors[0] if errors and isinstance(errors[0], dict) else {}
    return spelled(str(first.get("reason") or getattr(error, "reason", None) or ""))


def spelled(reason: str) -> str:
    """A reason as requests spell it: `quotaExceeded` for QUOTA_EXCEEDED, too."""
    if reason.upper() != reason:
        return reason
    head, *rest = reason.lower().split("_")
    return head + "".join(each.capitalize() for each in rest)


def _again(place: GooglePlace, operation: compute.Operation) -> compute.Operation:
    clients, name = place.clients, operation.name
    if operation.zone:
        return clients.zone_operations.get(project=place.project, zone=last_part(operation.zone), operation=name)
    if operation.region:
        region = last_part(operation.region)
        return clients.region_operations.get(project=place.project, region=region, operation=name)
    return clients.global_operations.get(project=place.project, operation=name)
