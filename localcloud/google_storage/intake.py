"""A body on its way to a file: nothing of it is held in memory beyond a chunk, and zeros take no room."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from localcloud.google_identity.refusal import ApiRefusal
from localcloud.google_storage.record import Promise
from localcloud.objects.store import CHUNK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from localcloud.google_storage.digests import Digests
    from localcloud.google_storage.exchange import Body

_ZEROS = bytes(CHUNK)


def take(body: Body, path: Path, digests: Digests, length: int, *, quantum: int = 1) -> bool:
    """Append `length` bytes to a file that holds `digests.size`; says whether the client sent them all.

    Of a body that breaks off, only whole multiples of `quantum` are kept.
    """
    with path.open("r+b" if path.exists() else "xb", buffering=0) as file:
        # Bytes of a chunk that broke off may stand here, and zeros are only passed over.
        file.truncate(digests.size)
        file.seek(digests.size)
        while length:
            chunk = body.read(min(CHUNK, length))
            whole = len(chunk) == min(CHUNK, length)
            if not whole:
                chunk = chunk[: len(chunk) - len(chunk) % quantum]
            _append(file.fileno(), chunk)
            digests.update(chunk)
            length -= len(chunk)
            if not whole:
                break
        file.truncate(digests.size)
    return length == 0


def _append(descriptor: int, chunk: bytes) -> None:
    if chunk == _ZEROS[: len(chunk)]:
        os.lseek(descriptor, len(chunk), os.SEEK_CUR)
        return
    left = memoryview(chunk)
    while left:
        left = left[os.write(descriptor, left) :]


def promised(headers: Mapping[str, str], given: Promise) -> Promise:
    """The checksums of a document and of the headers; two that differ are refused."""
    result = given.model_dump()
    pairs = [pair.strip().partition("=") for pair in headers.get("x-goog-hash", "").split(",") if pair.strip()]
    if "content-md5" in headers:
        pairs.append(("md5", "=", headers["content-md5"]))
    for name, _, value in pairs:
        if name not in result or not value:
            raise ApiRefusal(400, "invalid", f"Invalid X-Goog-Hash header: {name} isn't a checksum that's known.")
        if result[name] not in (None, value):
            raise ApiRefusal(400, "invalid", f"Two values of {name} were given that differ.")
        result[name] = value
    return Promise(**result)
