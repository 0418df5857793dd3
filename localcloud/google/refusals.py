"""How Compute Engine says no: a status, a reason and a message in the error envelope of Google's JSON interfaces.

Source: cloud.google.com, "Handling API responses" (Compute Engine) and the errors that clients report of it.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

Json = dict[str, Any]

CONDITION = "conditionNotMet"


class GoogleRefusal(Exception):
    """Ends a request with an error answer, or an operation with an error."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    @property
    def body(self) -> Json:
        """The whole answer."""
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.reason == CONDITION:
            detail |= {"location": "If-Match", "locationType": "header"}
        return {"error": {"code": self.status, "message": self.message, "errors": [detail]}}

    @property
    def in_operation(self) -> Json:
        """What stands under an operation's `error`: there, reasons are written in capitals."""
        code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.reason).upper()
        return {"errors": [{"code": code, "message": self.message}]}


def refuse_value(field: str, value: object, why: str = "") -> NoReturn:
    """A value that Google never takes at this place."""
    raise GoogleRefusal(400, "invalid", f"Invalid value for field '{field}': '{value}'. {why}".rstrip())


def refuse_missing(field: str) -> NoReturn:
    """A field that must be given."""
    raise GoogleRefusal(400, "required", f"Required field '{field}' not specified")


def refuse_usage(what: str) -> NoReturn:
    """Something that the resource's present state or use forbids."""
    raise GoogleRefusal(400, "invalidResourceUsage", f"Invalid resource usage: '{what}'.")


def refuse_unready(path: str) -> NoReturn:
    """A resource that's being made or changed."""
    raise GoogleRefusal(400, "resourceNotReady", f"The resource '{path}' is not ready")


def refuse_in_use(kind: str, path: str, user: str) -> NoReturn:
    """A resource that another one holds; `kind` is one of Google's words, as `disk`."""
    message = f"The {kind} resource '{path}' is already being used by '{user}'"
    raise GoogleRefusal(400, "resourceInUseByAnotherResource", message)


def refuse_absent(path: str) -> NoReturn:
    """A resource that isn't there."""
    raise GoogleRefusal(404, "notFound", f"The resource '{path}' was not found")


def refuse_condition(message: str) -> NoReturn:
    """A fingerprint that isn't that of now."""
    raise GoogleRefusal(412, CONDITION, message)


def refuse_unemulated(field: str, what: str) -> NoReturn:
    """Something that Google knows and this emulator doesn't: said by name, so that nothing is taken silently."""
    raise GoogleRefusal(400, "notEmulated", f"The embedded Google doesn't emulate {what} ('{field}').")
