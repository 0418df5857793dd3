"""How AWS is asked and what stands in its answers: portions of ids, error codes, bodies that have to arrive whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from botocore.exceptions import ClientError
    from botocore.response import StreamingBody

# botocore tries a call again until its answer begins, but not one whose body breaks off.
BODY_ATTEMPTS = 3


def code_of(error: ClientError) -> str:
    """The service's code of an error; a HEAD has no body, so its code is the status ("404")."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """The HTTP status of an error; 0 where there was no answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def whole_body(ask: Callable[[], StreamingBody]) -> bytes:
    """All of a body; asked for again where it breaks off, the last time with botocore's error."""
    from botocore.exceptions import HTTPClientError, IncompleteReadError

    for _ in range(BODY_ATTEMPTS - 1):
        try:
            return bytes(ask().read())
        except (HTTPClientError, IncompleteReadError):
            continue
    return bytes(ask().read())


def portions(ids: Sequence[str], most: int) -> Iterator[list[str]]:
    """The ids, each once, in portions that one call takes."""
    unique = list(dict.fromkeys(ids))
    for first in range(0, len(unique), most):
        yield unique[first : first + most]
