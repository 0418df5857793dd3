"""What a machine has written to its serial port, from boot diagnostics in Azure's own storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clouds.azure.pages import write_failure

if TYPE_CHECKING:
    from failback.clouds.azure.place import AzurePlace

ACCESS_MINUTES = 5
"""How long the log's address is good for: it's read at once."""
NOT_YET = frozenset({404, 409})
"""No machine or no log yet, or the machine is being changed."""


def console_text(place: AzurePlace, name: str) -> str:
    """The whole serial log (the service keeps 1 MiB); empty while there's none."""
    from azure.core.exceptions import HttpResponseError

    try:
        found = place.compute.virtual_machines.retrieve_boot_diagnostics_data(
            place.group, name, sas_uri_expiration_time_in_minutes=ACCESS_MINUTES
        )
    except HttpResponseError as error:
        if error.status_code in NOT_YET:
            return ""
        raise
    url = found.serial_console_log_blob_uri
    return _read(url).decode("utf-8", "replace") if url else ""


def _read(url: str) -> bytes:
    from azure.core.exceptions import AzureError, ResourceNotFoundError
    from azure.storage.blob import BlobClient

    try:
        with BlobClient.from_blob_url(url) as blob:
            return bytes(blob.download_blob().readall())
    except ResourceNotFoundError:
        return b""
    except AzureError as error:
        failure = write_failure(error)
    # Raised out here, it doesn't bring the SDK's error along: that one may have the address in its text.
    raise failure
