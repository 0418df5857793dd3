"""How the two services say no: EBS direct by exception and reason, EC2 by code; both with an HTTP status."""

from __future__ import annotations


class EbsRefusal(Exception):
    """Ends a call of the EBS direct APIs; `name` is an error of the service's model, `reason` of that error's enum."""

    def __init__(self, status: int, name: str, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.status, self.name, self.message, self.reason = status, name, message, reason


class Ec2Refusal(Exception):
    """Ends a call of EC2 with a code of its list of errors."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def invalid(reason: str, message: str) -> EbsRefusal:
    """A ValidationException."""
    return EbsRefusal(400, "ValidationException", message, reason)
