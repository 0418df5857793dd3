"""Writes a disk image's pages to the page blob behind a disk: what's zeros is left out, since it's zeros there anyway.

Source: "Blob service REST API", Put Page: whole pages of 512 bytes, at most 4 MiB a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clouds.azure.signatures import without_signature
from failback.errors import CloudBusy, CloudRefused, CloudUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from azure.core.exceptions import AzureError, HttpResponseError

    from failback.errors import FailbackError

PAGE = 512
LARGEST_WRITE = 4 << 20

SMALLEST_GAP = 64 << 10
"""Zeros shorter than this are written along. A call of its own costs 20 ms; with 16 at once that's 1.25 ms of the
line, in which 60 MiB/s (a page blob's classic bound) carry 75 KiB. A client image grows by 0.1 % through it."""

CONNECT_SECONDS, ANSWER_SECONDS = 5, 20
"""4 MiB take 70 ms at 60 MiB/s; one call that gets a hundredth of that is better made again."""

BUSY = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that mean: less, or again."""

_ZERO_PAGE = bytes(PAGE)
_ZERO_BLOCK = bytes(SMALLEST_GAP // 2)
"""Every gap has one of these at a multiple of its length, so only those places are looked at: 128 in 4 MiB."""


def page_runs(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of what has to be written of `data`, in whole pages: without zeros at its ends and long gaps.

    The length of `data` is a multiple of 512.
    """
    first, last = _after_zeros(data, 0), len(data)
    while last > first and data.startswith(_ZERO_PAGE, last - PAGE):
        last -= PAGE
    for start, end in _gaps(data, first, last):
        yield first, start
        first = end
    if first < last:
        yield first, last


def _gaps(data: bytes, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The gaps between `first` and `last`, where pages with data are."""
    while (inside := _zero_block(data, first, last)) is not None:
        start, end = inside, _after_zeros(data, inside)
        while data.startswith(_ZERO_PAGE, start - PAGE):
            start -= PAGE
        if end - start >= SMALLEST_GAP:
            yield start, end
        first = end


def _after_zeros(data: bytes, first: int) -> int:
    """The next page from `first` on that isn't zeros, or the end."""
    for step in (_ZERO_BLOCK, _ZERO_PAGE):
        while data.startswith(step, first):
            first += len(step)
    return first


def _zero_block(data: bytes, first: int, last: int) -> int | None:
    step = len(_ZERO_BLOCK)
    places = range(-(-first // step) * step, last - step, step)
    return next((at for at in places if data.startswith(_ZERO_BLOCK, at)), None)


class PageWriter:
    """Writes to one blob, by many threads at once over kept connections; the blob's URL is known to it alone.

    It tries nothing again: an answer that's worth another attempt is CloudBusy, and who runs the transfers decides.
    """

    def __init__(self, url: str, *, connections: int) -> None:
        import requests
        from azure.core.pipeline.transport import RequestsTransport
        from azure.storage.blob import BlobClient
        from requests.adapters import HTTPAdapter

        self._session = requests.Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0))
        transport = RequestsTransport(session=self._session, session_owner=False)
        self._blob = BlobClient.from_blob_url(
            url, transport=transport, retry_total=0, connection_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._blob.close()
        self._session.close()

    def write(self, offset: int, data: bytes) -> None:
        """Write whole pages at `offset`. TLS keeps them whole on their way; an MD5 besides would cost a third more."""
        from azure.core.exceptions import AzureError

        try:
            self._blob.upload_page(data, offset, len(data))
        except AzureError as error:
            failure = write_failure(error)
        else:
            return
        # Raised out here, it doesn't bring the SDK's error along: that one may have the URL in its text.
        raise failure


def write_failure(error: AzureError) -> FailbackError:
    """What a failed write means."""
    from azure.core.exceptions import HttpResponseError

    if not isinstance(error, HttpResponseError):
        text = f"the disk's blob can't be reached ({type(error).__name__}); usually the network is down for a moment"
        return CloudUnreachable(text)
    code = str(getattr(error, "error_code", "") or error.status_code)
    if error.status_code in BUSY:
        busy = CloudBusy(f"Azure takes no more pages for the moment ({code})")
        busy.retry_after = retry_after(error)
        return busy
    if error.status_code == 403 and code == "AuthenticationFailed":
        return CloudBusy("the access to the disk ended before all was written; it's asked for again")
    text = f"Azure refuses to take pages of the disk: {without_signature(str(error.message))} ({code})."
    if error.status_code == 403:
        text += " Usually the disk's network access policy or a private endpoint keeps AWS out."
    return CloudRefused(text)


def retry_after(error: HttpResponseError) -> float:
    """Seconds that the answer asks to wait, 0 if it doesn't say."""
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0
