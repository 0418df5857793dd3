"""How ARM says no: a status, a code and a message in the error envelope of the "common error response" contract."""

from __future__ import annotations

from typing import Any, NoReturn

Json = dict[str, Any]


class ArmRefusal(Exception):
    """Ends a request with an error answer; `target` is the path of the field at fault, where there's one."""

    def __init__(self, status: int, code: str, message: str, *, target: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.target = status, code, message, target

    @property
    def body(self) -> Json:
        """What stands under `error`."""
        body: Json = {"code": self.code, "message": self.message}
        return body | ({"target": self.target} if self.target else {})


def refuse_value(message: str, target: str) -> NoReturn:
    """A value that Azure never takes at this place."""
    raise ArmRefusal(400, "InvalidParameter", message, target=target)


def refuse_missing(target: str) -> NoReturn:
    """A field that must be given."""
    refuse_value(f"Required parameter '{target}' is missing (null).", target)


def refuse_state(message: str) -> NoReturn:
    """An operation that the resource's present state forbids."""
    raise ArmRefusal(409, "OperationNotAllowed", message)


def refuse_change(target: str) -> NoReturn:
    """A field that is fixed once the resource exists."""
    raise ArmRefusal(409, "PropertyChangeNotAllowed", f"Changing property '{target}' is not allowed.", target=target)


def refuse_unemulated(what: str, target: str) -> NoReturn:
    """Something that Azure knows and this emulator doesn't: said by name, so that nothing is taken silently."""
    raise ArmRefusal(400, "NotEmulated", f"The embedded Azure doesn't emulate {what}.", target=target)
