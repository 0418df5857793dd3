"""Google's errors in our own words: what to wait for, and what somebody has to set right.

Source: "Troubleshooting API errors" and "Resource availability errors" of Compute Engine, "HTTP status and error codes
for JSON" of Cloud Storage, `google.api_core.exceptions`, `google.auth.exceptions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failback.clouds.google.operations import reason_of, spelled
from failback.clouds.google.sessions import without_secrets
from failback.errors import CloudBusy, CloudRefused, CloudUnreachable, FailbackError, SignInRefused
from failback.model.target import WorkloadIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.api_core.exceptions import GoogleAPICallError

    from failback.model.target import GoogleTarget

BUSY = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that mean: less, or again."""
THROTTLED = frozenset(
    {"rateLimitExceeded", "userRateLimitExceeded", "resourceNotReady", "operationRateExceeded", "backendError",
     "internalError"}
)  # fmt: skip
"""So said with other answers too: 403 and 400."""

PERMISSION = (
    "The target's identity isn't allowed to do that. Give it the roles that docs/deploy-google.md lists, in the "
    "project {project}, on the bucket {bucket} and on the subnet {subnetwork}, and wait some minutes for them to work."
)
ADVICE = {
    "forbidden": PERMISSION,
    "accessNotConfigured": "An API isn't enabled in the project {project}. Enable Compute Engine, Cloud Storage and, "
    "for federation, Security Token Service and IAM Service Account Credentials, and wait some minutes.",
    "billingNotEnabled": "The project {project} has no billing account. Link one, or correct the target's `project`.",
    "quotaExceeded": "The project's quota is used up. Ask for more in the console (Quotas, region {region}), or name "
    "a `machine_type` of another family.",
    "zoneResourcePoolExhausted": "{zone} has no room for that now. Try again later, name another `machine_type`, or "
    "take another zone of {region} as target.",
    "conditionNotMet": "Usually a policy of the organisation forbids it (trusted images, locations, external "
    "addresses, shielded machines); ask for an exemption for the project {project}. Or something was changed by "
    "somebody else meanwhile; then start again.",
    "notFound": "Something that the target names isn't there: usually its `project`, `subnetwork` or `bucket`. Correct "
    "the target, or create it.",
    "invalid": "Google's text says which value doesn't do.",
    "serviceAccountAccessDenied": "The target's identity may not act as the service account that the machine has or "
    "gets. Give it roles/iam.serviceAccountUser on that account: on the target's `client`, and on the own account of a "
    "machine that's taken over (docs/deploy-google.md), and wait some minutes for it to work.",
    "resourceInUseByAnotherResource": "Something else uses it; detach or remove that first.",
    "unsupportedOperation": "Usually the machine's series can't do that: name a `machine_type` of N1, N2 or E2.",
}  # fmt: skip
SAME = {
    "iamPermissionDenied": "forbidden",
    "permissionDenied": "forbidden",
    "permissionsError": "forbidden",
    "required": "forbidden",
    "serviceDisabled": "accessNotConfigured",
    "billingDisabled": "billingNotEnabled",
    "accountDisabled": "billingNotEnabled",
    "zoneResourcePoolExhaustedWithDetails": "zoneResourcePoolExhausted",
    "resourcePoolExhausted": "zoneResourcePoolExhausted",
    "stockout": "zoneResourcePoolExhausted",
    "resourceNotFound": "notFound",
    "badRequest": "invalid",
    "invalidUsage": "invalid",
    "resourceInUse": "resourceInUseByAnotherResource",
    "limitExceeded": "quotaExceeded",
    "quotaExceededInfo": "quotaExceeded",
}
BY_STATUS = {403: "forbidden", 404: "notFound", 412: "conditionNotMet", 400: "invalid"}
"""What an answer means that doesn't say its reason in a word of ours."""


def foreign() -> tuple[type[Exception], ...]:
    """The SDKs' errors."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse  # type: ignore[import-untyped]
    from requests.exceptions import RequestException

    return (GoogleAPIError, GoogleAuthError, RequestException, InvalidResponse, DataCorruption)


def translate(error: Exception, target: GoogleTarget, claims: Mapping[str, str]) -> FailbackError:
    """The error of our vocabulary that this one is; `claims` are the last identity token's, for advice."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
    from requests.exceptions import RequestException

    if isinstance(error, RetryError) and isinstance(error.cause, Exception):
        return translate(error.cause, target, claims)
    if isinstance(error, TransportError | RequestException):
        return CloudUnreachable(_unreachable(error))
    if isinstance(error, GoogleAuthError):
        return _sign_in(error, target, claims)
    if isinstance(error, InvalidResponse):
        error = _answer(error)
    if isinstance(error, GoogleAPICallError):
        return _answered(error, target)
    if isinstance(error, DataCorruption):
        return CloudBusy("Cloud Storage has kept other bytes than were sent: they're sent again")
    return CloudRefused(f"Google's SDK gave up: {_first_line(error)}. Look at the function's log, and start again.")


def concerns_value(error: GoogleAPICallError) -> bool:
    """Whether it's about a value that was sent, and not about rights, quotas or what's there."""
    return _reason(error) == "invalid"


def _answer(error: Any) -> Exception:  # noqa: ANN401 - Cloud Storage's SDK has no types
    from google.api_core.exceptions import from_http_response

    make: Any = from_http_response
    made: Exception = make(error.response)
    return made


def _answered(error: GoogleAPICallError, target: GoogleTarget) -> FailbackError:
    reason, status = _reason(error), int(error.code or 0)
    text = _first_line(error)
    if reason in THROTTLED or (status in BUSY and reason not in ADVICE):
        busy = CloudBusy(f"Google is busy or fails for a while ({reason or status}): {text}")
        busy.retry_after = _retry_after(error)
        return busy
    if status == 401:
        return SignInRefused(f"Google doesn't take the token that it gave: {text} Usually the clock is wrong.")
    advice = ADVICE.get(reason, "Look the code up in Google's documentation, and start again.")
    filled = advice.format(
        project=target.project,
        bucket=target.bucket,
        subnetwork=target.subnetwork,
        region=target.region,
        zone=target.zone,
    )
    return CloudRefused(f"Google refuses ({reason_of(error) or status}): {text} {filled}")


def _reason(error: GoogleAPICallError) -> str:
    """The word of ours for it; what a detail says is more exact than the answer's first word."""
    for each in (spelled(error.reason or ""), reason_of(error)):
        word = SAME.get(each, each)
        if word in ADVICE or word in THROTTLED:
            return word
    return BY_STATUS.get(int(error.code or 0), "")


def _retry_after(error: GoogleAPICallError) -> float:
    headers: Mapping[str, str] = getattr(error.response, "headers", None) or {}
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _sign_in(error: Exception, target: GoogleTarget, claims: Mapping[str, str]) -> FailbackError:
    from google.auth.exceptions import OAuthError

    if getattr(error, "retryable", False):
        return CloudBusy(f"Google's sign-in fails for a while: {_first_line(error)}")
    text, way = _first_line(error), target.credential
    if not isinstance(way, WorkloadIdentity):
        return SignInRefused(
            f"Google refuses the stored key: {text} Usually it was deleted, or its service account is disabled; put a "
            f"new one into {way.secret_arn}."
        )
    issuer = claims.get("iss", "(the account has given no token; see the stage log)")
    subject = claims.get("sub", "(the ARN of the function role)")
    audience = claims.get("aud", way.audience)
    if isinstance(error, OAuthError):
        return SignInRefused(
            f"Google refuses the identity token: {text} Usually the pool's provider {way.provider} is missing or "
            f"differs in a letter. Set it up as OIDC provider with exactly: issuer {issuer}, allowed audience "
            f"{audience}, attribute mapping google.subject=assertion.sub, and no condition that keeps the subject "
            f"{subject} out."
        )
    pool = way.provider.partition("/providers/")[0]
    return SignInRefused(
        f"Google lets nobody act as {way.service_account or 'a service account'}: {text} Usually the account is "
        "missing, or the role Workload Identity User (roles/iam.workloadIdentityUser) on it. Give that to "
        f"principal://iam.googleapis.com/{pool}/subject/{subject} (issuer {issuer}, audience {audience}). It takes "
        "some minutes to work."
    )


def _unreachable(error: Exception) -> str:
    return (
        f"Google can't be reached, or not in time ({type(error).__name__}). Usually that passes; where the function is "
        "in a VPC, it needs a way to the public network."
    )


def _first_line(error: Exception) -> str:
    message = getattr(error, "message", None) or (error.args[0] if error.args else "")
    return without_secrets(str(message).strip().partition("\n")[0])
