"""beginGetAccess and endGetAccess, the same for disks and snapshots.

Unconfirmed: that asking for access again gives the same SAS with a later end.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Literal, cast

from failback.sinks.vhd import vhd_footer
from localcloud.azure.blob_content import DiskContent
from localcloud.azure.refusals import Json, refuse_state, refuse_value
from localcloud.azure.schema import BodySchema, emulated

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.azure.access import AccessDesk
    from localcloud.azure.operations import Operation, OperationBoard
    from localcloud.azure.state import Resource

GRANT = BodySchema("compute", "GrantAccessData", emulated("access", "durationInSeconds", "fileFormat"))
# Sixty days: the longest that the service signs for.
LONGEST = 60 * 24 * 3600


def grant_access(
    board: OperationBoard, desk: AccessDesk, resource: Resource, body: object, *, name: str, upload: bool
) -> Operation:
    """Give out a signature, at the operation's end; `upload` is whether the resource waits for its bytes."""
    wanted = GRANT.clean(body)
    access, seconds = wanted.get("access"), wanted.get("durationInSeconds", 0)
    if access not in {"Read", "Write"}:
        refuse_value(f"The value '{access}' of parameter 'access' is invalid.", "access")
    if not 0 < seconds <= LONGEST:
        refuse_value(f"'durationInSeconds' has to be from 1 to {LONGEST}.", "durationInSeconds")
    if wanted.get("fileFormat", "VHD") != "VHD":
        refuse_value("Only fileFormat VHD is available.", "fileFormat")
    _check_grant(desk, resource, access, upload=upload)
    # A second write signature for the same upload opens the same file; a read one opens it with a footer behind.
    content = _content(board, resource, upload=upload)

    def finish() -> Json:
        grant = desk.grant(str(resource.id), content, cast("Literal['Read', 'Write']", access), seconds)
        return {"accessSAS": desk.url(grant)}

    return board.begin(name, resource, finish)


def revoke_access(
    board: OperationBoard, desk: AccessDesk, resource: Resource, *, name: str, after: Callable[[], None]
) -> Operation:
    """End every signature at once; `after` runs at the operation's end."""
    desk.revoke(str(resource.id))

    def finish() -> None:
        after()

    return board.begin(name, resource, finish)


def _check_grant(desk: AccessDesk, resource: Resource, access: str, *, upload: bool) -> None:
    name, properties = resource.id.name, resource.properties
    if resource.busy or properties["provisioningState"] != "Succeeded":
        refuse_state(f"Access to '{name}' isn't available in state {properties['provisioningState']}.")
    if properties.get("networkAccessPolicy") == "DenyAll" or properties.get("publicNetworkAccess") == "Disabled":
        refuse_state(f"Access to '{name}' is denied by its network access policy.")
    if upload != (access == "Write"):
        state = "awaits its upload, only Write is" if upload else "isn't awaiting an upload, only Read is"
        refuse_state(f"'{name}' {state} available.")
    active = desk.active(str(resource.id))
    if active and active.access != access:
        refuse_state(f"'{name}' has an active shared access signature for {active.access}; revoke it first.")


def _content(board: OperationBoard, resource: Resource, *, upload: bool) -> DiskContent:
    path, size = board.state.folder / resource.hidden["file"], resource.hidden["size"]
    if upload:
        return DiskContent(path, resource.properties["creationData"]["uploadSizeBytes"])
    return DiskContent(path, size, vhd_footer(size, uuid.UUID(resource.properties["uniqueId"])))
