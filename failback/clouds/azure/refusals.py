"""Azure's errors in our own words: what to wait for, and what somebody has to set right.

Source: "Common ARM error codes" ("Troubleshoot common Azure deployment errors"), azure-core's exceptions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from failback.clouds.azure.pages import BUSY, retry_after
from failback.clouds.azure.signatures import without_signature
from failback.errors import CloudBusy, CloudRefused, CloudUnreachable, FailbackError, ImportFailed, SignInRefused
from failback.model.target import Federation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.exceptions import HttpResponseError

    from failback.model.target import AzureTarget

THROTTLED = frozenset({"TooManyRequests", "OperationPreempted", "RetryableError", "ServerBusy", "InternalServerError"})
ADVICE = {
    "AuthorizationFailed": "The target's identity isn't allowed to{action}. Give it the role that docs/deploy-azure.md "
    "describes on the resource group {group} (for the subnet: on its network), and wait some minutes for it to work.",
    "LinkedAuthorizationFailed": "The target's identity isn't allowed to{action} on something that's referred to: "
    "the subnet (give it Microsoft.Network/virtualNetworks/subnets/join/action there), or the managed identity of "
    "client machines (give it the role Managed Identity Operator on that).",
    "FailedIdentityOperation": "The managed identity that client machines are to get isn't there, or can't be given "
    "to them. Create it, or correct `identity_id` of the target's `client`.",
    "InvalidParameter": "Azure's text says which value doesn't do. Premium disks, say, take a machine size that has "
    "them (an s behind its number of processors): name another `size` or `disk_sku`.",
    "BadRequest": "Usually machine size and disks don't go together: name another `size`, one of generation 1 for a "
    "BIOS, or none.",
    "RequestDisallowedByPolicy": "A policy of the subscription forbids it. Usually it wants tags, another location, "
    "other sizes, or disks without public network access; ask for an exemption for the resource group {group}.",
    "QuotaExceeded": "The subscription's quota in {location} is used up. Ask for more in the portal (Quotas), or name "
    "a `size` of another family.",
    "SkuNotAvailable": "{location} doesn't offer that size to the subscription now. Name another `size` in the request "
    "or the target.",
    "NetworkAccessPolicy": "The network access policy of disks (DenyAll, or private only) keeps uploads out. Allow "
    "AllowAll for disks tagged drs-failback:image in {group}; it's needed only while they're uploaded.",
    "OperationNotAllowed": "Usually that's a quota of the subscription in {location} (ask for more in the portal, or "
    "name a `size` of another family), more disks than the size takes, a disk's network access policy (uploads need "
    "AllowAll, not DenyAll), or something that's in use; Azure's text says which.",
    "ResourceGroupNotFound": "Create the resource group {group}, or correct the target's `resource_group`.",
    "SubscriptionNotFound": "Correct the target's `subscription_id`, or let the identity see the subscription.",
    "InvalidSubscriptionId": "Correct the target's `subscription_id`.",
    "InvalidResourceReference": "Something that the target names isn't there, usually its subnet. Correct the target.",
}  # fmt: skip
SAME = {
    "OperationNotAllowedByPolicy": "RequestDisallowedByPolicy",
    "OperationNotAllowedOnQuota": "QuotaExceeded",
    "ResourceQuotaExceeded": "QuotaExceeded",
    "AllocationFailed": "SkuNotAvailable",
    "ZonalAllocationFailed": "SkuNotAvailable",
    "PublicNetworkAccessDisabled": "NetworkAccessPolicy",
    "DiskNetworkAccessPolicyDenyAll": "NetworkAccessPolicy",
    "PrivateEndpointRequired": "NetworkAccessPolicy",
}
_ACTION = re.compile(r"perform action\(?s?\)? '([^']+)'")


def foreign() -> tuple[type[Exception], ...]:
    """The SDKs' errors."""
    from azure.core.exceptions import AzureError

    return (AzureError,)


def translate(error: Exception, target: AzureTarget, claims: Mapping[str, str]) -> FailbackError:
    """The error of our vocabulary that this one is; `claims` are the last identity token's, for advice."""
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError
    from azure.core.exceptions import ServiceResponseError as NoAnswer

    if isinstance(error, ClientAuthenticationError):
        cause = error.__cause__
        if isinstance(cause, FailbackError):
            return cause
        if isinstance(cause, ServiceRequestError | NoAnswer):
            return CloudUnreachable(_unreachable("Entra ID", cause))
        return SignInRefused(_sign_in_advice(_first_line(error), target, claims))
    if isinstance(error, ServiceRequestError | NoAnswer):
        return CloudUnreachable(_unreachable("Azure", error))
    if isinstance(error, HttpResponseError):
        return _answered(error, target)
    return CloudRefused(f"Azure's SDK gave up: {_first_line(error)}. Look at the function's log, and start again.")


def _answered(error: HttpResponseError, target: AzureTarget) -> FailbackError:
    code = (error.error.code if error.error else None) or str(error.status_code or "")
    text = without_signature(error.error.message if error.error and error.error.message else _first_line(error))
    seconds = retry_after(error)
    if error.status_code in BUSY or code in THROTTLED or (seconds and error.status_code == 409):
        busy = CloudBusy(f"Azure is busy or fails for a while ({code}): {text}")
        busy.retry_after = seconds
        return busy
    if code == "InvalidVhd":
        advice = "Usually the exported image is damaged; remove it from the image bucket, and start again."
        return ImportFailed(f"Azure doesn't take the upload for a disk: {text} {advice}")
    return CloudRefused(f"Azure refuses ({code}): {text} {_advice(error, code, text, target)}")


def _advice(error: HttpResponseError, code: str, text: str, target: AzureTarget) -> str:
    if code == "Forbidden" or (error.status_code == 403 and code not in ADVICE and code not in SAME):
        code = "AuthorizationFailed"
    template = ADVICE.get(SAME.get(code, code), "Look the code up in Azure's documentation, and start again.")
    # The one that's missing is named last: a linked refusal begins with the one that's there.
    actions = _ACTION.findall(text)
    missing = f" do {actions[-1]}" if actions else " do that"
    return template.format(action=missing, group=target.resource_group, location=target.location)


def _sign_in_advice(text: str, target: AzureTarget, claims: Mapping[str, str]) -> str:
    who = f"the application {target.client_id} of the tenant {target.tenant_id}"
    if not isinstance(target.credential, Federation):
        return (
            f"Entra ID refuses the sign-in of {who}: {text} Usually the stored secret has expired or belongs "
            f"to another application; put a new one into {target.credential.secret_arn}."
        )
    return (
        f"Entra ID refuses the sign-in of {who}: {text} Usually its federated credential is missing or differs in a "
        "letter. Set one up with exactly: "
        f"issuer {claims.get('iss', '(the account has given no token; see the stage log)')}, "
        f"subject {claims.get('sub', '(the ARN of the function role)')}, "
        f"audience {claims.get('aud', target.credential.audience)}. A new one takes some minutes to work."
    )


def _unreachable(what: str, error: Exception) -> str:
    return (
        f"{what} can't be reached, or not in time ({type(error).__name__}). Usually that passes; where the function is "
        "in a VPC, it needs a way to the public network."
    )


def _first_line(error: Exception) -> str:
    return without_signature(str(error).strip().partition("\n")[0])
