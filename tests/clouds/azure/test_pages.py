"""What of an image's bytes is written: every page that isn't zeros, and hardly anything else."""

from __future__ import annotations

import random

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError

from failback.clouds.azure.pages import PAGE, SMALLEST_GAP, PageWriter, page_runs, write_failure
from failback.errors import CloudBusy, CloudRefused, CloudUnreachable

LONG = SMALLEST_GAP // PAGE


def pages(*counts: int) -> bytes:
    """So many pages of data, of zeros, of data, ..."""
    noise = random.Random(3)
    return b"".join(
        bytes(count * PAGE) if index % 2 else b"".join(noise.randbytes(PAGE - 1) + b"\1" for _ in range(count))
        for index, count in enumerate(counts)
    )


@pytest.mark.parametrize(
    ("counts", "runs"),
    [
        ((0, 8), []),
        ((8,), [(0, 8)]),
        ((0, 3, 5), [(3, 8)]),
        ((3, 5), [(0, 3)]),
        ((0, LONG + 3, 1, 1), [(LONG + 3, LONG + 4)]),
        ((2, LONG, 1), [(0, 2), (LONG + 2, LONG + 3)]),
        ((2, LONG - 1, 1), [(0, LONG + 2)]),
        ((2, LONG, 1, LONG + 7, 3, 1), [(0, 2), (LONG + 2, LONG + 3), (2 * LONG + 10, 2 * LONG + 13)]),
        ((0, LONG, 1, LONG), [(LONG, LONG + 1)]),
    ],
    ids=str,
)
def test_runs_leave_out_zeros_at_the_ends_and_long_gaps(counts: tuple[int, ...], runs: list[tuple[int, int]]) -> None:
    assert list(page_runs(pages(*counts))) == [(start * PAGE, end * PAGE) for start, end in runs]


def test_a_gap_counts_by_its_whole_pages() -> None:
    """Zeros that reach into the pages around the gap don't make it longer."""
    data = bytearray(pages(2, LONG - 1, 2))
    data[PAGE + 10 : 2 * PAGE] = bytes(PAGE - 10)
    data[(LONG + 1) * PAGE : (LONG + 1) * PAGE + 500] = bytes(500)
    assert list(page_runs(bytes(data))) == [(0, len(data))]


@pytest.mark.parametrize("seed", range(40))
def test_what_is_left_out_is_zeros_and_what_is_written_begins_and_ends_with_data(seed: int) -> None:
    draw = random.Random(seed)
    counts = [draw.choice([0, 1, 2, 60, LONG - 1, LONG, LONG + 1, 2 * LONG]) for _ in range(draw.randrange(1, 12))]
    data, last = pages(*counts), 0
    for start, end in page_runs(data):
        assert start % PAGE == end % PAGE == 0
        assert not data[last:start].strip(b"\0")
        assert data[start : start + PAGE].strip(b"\0")
        assert data[end - PAGE : end].strip(b"\0")
        last = end
    assert not data[last:].strip(b"\0")


def test_an_address_that_does_not_answer_is_unreachable_and_not_told() -> None:
    with (
        PageWriter("https://127.0.0.1:9/md-x/y/abcd?sv=1&sig=SECRET", connections=1) as writer,
        pytest.raises(CloudUnreachable) as caught,
    ):
        writer.write(0, bytes(512))
    assert "SECRET" not in repr(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


class Reply:
    """An HTTP answer as azure-core's errors take it."""

    def __init__(self, status: int, **headers: str) -> None:
        self.status_code, self.reason, self.headers = status, "reason", headers


def answered(status: int, code: str = "", **headers: str) -> HttpResponseError:
    error = HttpResponseError(message="no, ?sig=SECRET&x", response=Reply(status, **headers))  # type: ignore[arg-type]
    error.error_code = code  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_answers_say_how_long_to_wait(status: int) -> None:
    failure = write_failure(answered(status, "ServerBusy", **{"Retry-After": "7"}))
    assert isinstance(failure, CloudBusy)
    assert failure.retry_after == 7
    assert "ServerBusy" in str(failure)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (answered(403, "AuthenticationFailed"), CloudBusy, "asked for again"),
        (answered(403, "AuthorizationFailure"), CloudRefused, "network access policy"),
        (answered(400, "Md5Mismatch"), CloudRefused, "Md5Mismatch"),
        (answered(503), CloudBusy, "503"),
        (ServiceRequestError("at https://x/?sig=SECRET"), CloudUnreachable, "ServiceRequestError"),
    ],
    ids=["ended", "kept-out", "refused", "no-code", "unreachable"],
)
def test_what_a_failed_write_means(error: HttpResponseError, kind: type[Exception], text: str) -> None:
    failure = write_failure(error)
    assert type(failure) is kind
    assert text in str(failure)
    assert "SECRET" not in str(failure)
