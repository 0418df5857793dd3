"""Access to write to a disk that awaits its upload: asked for by each call anew, never kept, ended at the upload's end.

Ending the access ends the upload too: the disk becomes a disk and takes no page any more. So between two slices of one
upload, or two attempts at one slice, nothing is ended; nobody knows the signature then, and it runs out by itself.
Every other way out ends it.

Unconfirmed: that asking again while an earlier access is active is answered, and that an upload outlives an access
that has run out. Where Azure refuses either, the disk is made again and the upload begins over.

Why so: docs/decisions/0008-access-between-slices.md.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from failback.clouds.azure.place import settled
from failback.errors import CloudBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from failback.clouds.azure.place import AzurePlace

ACCESS_SECONDS = 200
"""A slice of 20 s, then the worst end of its last write: 6 attempts of 25 s with waits of 16 s in all."""

ANSWER_SECONDS = 60.0
"""Granting and revoking take some seconds each."""


@contextmanager
def write_access(place: AzurePlace, name: str, *, again: bool) -> Iterator[tuple[str, Callable[[], None]]]:
    """The blob's URL with a signature for writing, and what keeps the access open beyond the block for another slice.

    Without that the access has been ended when the block is left, unless by CloudBusy: the slice is tried again then,
    and what other slices have written isn't lost. `again`: an earlier call has had access to the same upload; if Azure
    refuses it now, that's CloudBusy, and the next call makes the disk anew.
    """

    def end(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        from azure.core.exceptions import AzureError

        if isinstance(error, CloudBusy):
            return
        # What went wrong before says more than that a half upload is no disk.
        with suppress(AzureError, CloudBusy) if error else nullcontext():
            end_access(place, name)

    url = _asked(place, name, again=again)
    with ExitStack() as exits:
        exits.push(end)
        yield url, lambda: _forget(exits)


def end_access(place: AzurePlace, name: str) -> None:
    """End every access to a disk, and wait until it's ended; raises what Azure has against the uploaded disk."""
    if not settled(place.compute.disks.begin_revoke_access(place.group, name), ANSWER_SECONDS):
        message = f"Azure is still ending the access to disk {name}"
        raise CloudBusy(message)


def _asked(place: AzurePlace, name: str, *, again: bool) -> str:
    from azure.core.exceptions import AzureError, HttpResponseError

    data: Any = {"access": "Write", "durationInSeconds": ACCESS_SECONDS}
    try:
        poller = place.compute.disks.begin_grant_access(place.group, name, data)
        given = settled(poller, ANSWER_SECONDS)
    except HttpResponseError as error:
        if not again or error.status_code != 409:
            raise
        with suppress(AzureError, CloudBusy):
            end_access(place, name)
        message = f"Azure gives no second access to disk {name}: its upload begins over"
        raise CloudBusy(message) from error
    if not given:
        message = f"Azure hasn't given access to disk {name} within {ANSWER_SECONDS:.0f} seconds"
        raise CloudBusy(message)
    return str(poller.result().access_sas)


def _forget(exits: ExitStack) -> None:
    exits.pop_all()
