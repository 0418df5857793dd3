"""The managed identities of machines: their own, and those that somebody made before and that are assigned to them.

Source: the SDK's model of VirtualMachineIdentity. The error for an identity that isn't there is the one that users of
the service report.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.azure.refusals import ArmRefusal, Json, refuse_missing, refuse_value
from localcloud.azure.state import ResourceId

if TYPE_CHECKING:
    from collections.abc import Mapping

IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """A user-assigned identity that's there from the start, of resource group `group`; two GUIDs (lower case)."""

    group: str
    name: str
    principal_id: str
    client_id: str

    def resource_id(self, subscription: str) -> str:
        """Its resource id, as a target names it."""
        return str(ResourceId(subscription, self.group, IDENTITIES, self.name))


@dataclass(frozen=True, slots=True)
class IdentityDesk:
    """Gives machines their identities. `known` are the user-assigned ones by their resource ids in lower case."""

    tenant: str
    known: Mapping[str, UserIdentity]

    def assign(self, document: Json, wanted: Json | None, *, merge: bool = False) -> None:
        """Give the machine what's asked for; its own identity keeps its ids, and None leaves all as it is.

        `merge` is how a PATCH has it: assigned ones stay that aren't named, and null takes one away.
        """
        if wanted is None:
            return
        kind, old = wanted.get("type", "None"), document.pop("identity", {})
        given = _merged(old, wanted) if merge else _named(wanted)
        if given and "UserAssigned" not in kind:
            refuse_value(f"Identities can't be assigned with type {kind}.", "identity.userAssignedIdentities")
        if kind == "None":
            return
        identity: Json = {"type": kind}
        if "SystemAssigned" in kind:
            identity |= {"principalId": old.get("principalId") or str(uuid.uuid4()), "tenantId": self.tenant}
        if "UserAssigned" in kind:
            if not given:
                refuse_missing("identity.userAssignedIdentities")
            identity["userAssignedIdentities"] = {each: self._ids(document, each) for each in given}
        document["identity"] = identity

    def _ids(self, document: Json, resource_id: str) -> Json:
        found = self.known.get(resource_id.lower())
        if found is None:
            message = (
                f"Identity operation for resource '{document['id']}' failed with error 'Failed to perform resource "
                f"identity operation. Status: 'BadRequest'. Response: \"Resource '{resource_id}' was not found.\"'."
            )
            raise ArmRefusal(400, "FailedIdentityOperation", message)
        return {"principalId": found.principal_id, "clientId": found.client_id}


def _named(identity: Json) -> Json:
    return {name: each for name, each in (identity.get("userAssignedIdentities") or {}).items() if each is not None}


def _merged(old: Json, wanted: Json) -> Json:
    if "UserAssigned" not in wanted.get("type", "None"):
        return _named(wanted)
    changed = wanted.get("userAssignedIdentities") or {}
    spoken_of = {name.lower() for name in changed}
    return {name: each for name, each in _named(old).items() if name.lower() not in spoken_of} | _named(wanted)
