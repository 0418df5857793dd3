"""What a machine has written to its first serial port, of which Compute keeps the last MiB.

Unconfirmed: how a machine that's off is answered for; a refusal as not ready counts as nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failback.clouds.google.operations import reason_of

if TYPE_CHECKING:
    from failback.clouds.google.place import GooglePlace

PORT = 1
LONGEST = 1 << 20
MOST_PAGES = 8
"""A guest that writes faster than it's read doesn't hold us."""


def console_text(place: GooglePlace, name: str) -> str:
    """The serial log, as far as it's kept; empty while there's none."""
    from google.api_core.exceptions import BadRequest, Conflict, NotFound

    pages: list[str] = []
    start = 0
    for _ in range(MOST_PAGES):
        request: Any = {
            "project": place.project, "zone": place.zone, "instance": name, "port": PORT, "start": start,
        }  # fmt: skip
        try:
            page = place.clients.instances.get_serial_port_output(request=request)
        except NotFound:
            return ""
        except (BadRequest, Conflict) as error:
            if reason_of(error) != "resourceNotReady":
                raise
            return ""
        pages.append(page.contents)
        if not page.contents or page.next_ <= start:
            break
        start = page.next_
    return "".join(pages)[-LONGEST:]
