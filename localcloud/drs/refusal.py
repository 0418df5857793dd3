"""How DRS says no: an error of its model with an HTTP status and the members that this error has."""

from __future__ import annotations


class DrsRefusal(Exception):
    """Ends a call; `name` is an error of the service's model, `more` that error's further members."""

    def __init__(self, status: int, name: str, message: str, **more: object) -> None:
        super().__init__(message)
        self.status, self.name, self.message, self.more = status, name, message, more


def invalid(field: str, message: str) -> DrsRefusal:
    """A member that has a value it mustn't have."""
    faults = [{"name": field, "message": message}]
    text = f"Validation failed: {field} {message}"
    return DrsRefusal(400, "ValidationException", text, reason="fieldValidationFailed", fieldList=faults)


def other_fault(message: str, reason: str = "other") -> DrsRefusal:
    """A ValidationException that names no member; `reason` is of the model's enum."""
    return DrsRefusal(400, "ValidationException", message, reason=reason)


def conflict(resource: str, message: str) -> DrsRefusal:
    """The recovery instance isn't in a state for that."""
    return DrsRefusal(409, "ConflictException", message, resourceId=resource, resourceType="RecoveryInstance")


def missing(resource: str, kind: str = "RecoveryInstance") -> DrsRefusal:
    """There is no such thing."""
    message = f"{kind} {resource} doesn't exist"
    return DrsRefusal(404, "ResourceNotFoundException", message, resourceId=resource, resourceType=kind)


def over_quota(code: str, message: str) -> DrsRefusal:
    """One of the service's quotas, by its code; DRS answers these with 402."""
    return DrsRefusal(402, "ServiceQuotaExceededException", message, serviceCode="drs", quotaCode=code)


def denied(message: str) -> DrsRefusal:
    """The caller has no right to that, or its key isn't one."""
    return DrsRefusal(403, "AccessDeniedException", message)
