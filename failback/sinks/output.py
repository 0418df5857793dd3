"""A new file that appears whole or not at all: written beside its final name, moved there at the end."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from failback.errors import OutputRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def new_file(path: Path, *, inputs: Sequence[Path], needed: int) -> Iterator[int]:
    """Yield a file descriptor whose content becomes `path` when the block ends well, and vanishes when it doesn't.

    `inputs` are files that `path` must not be, `needed` the bytes that will be written. Raises OutputRefused before
    anything is written where `path` can't be made, and afterwards where the disk filled up.
    """
    _check(path, inputs, needed)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    # Whatever ends the block, a signal right after the file came into being included, the partial file goes.
    try:
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(path)
    except OSError as error:
        if error.errno in _FULL:
            raise _refused(path, "the disk is full; nothing was left behind") from error
        raise _refused(path, error.strerror or "can't be written") from error
    finally:
        partial.unlink(missing_ok=True)


def _check(path: Path, inputs: Sequence[Path], needed: int) -> None:
    if not path.parent.is_dir():
        raise _refused(path, f"there is no folder {path.parent}")
    if path.exists():
        if any(path.samefile(each) for each in inputs):
            raise _refused(path, "it's the input itself; name another file")
        if not stat.S_ISREG(path.stat().st_mode):
            raise _refused(path, "it exists and is no regular file; name a file, not a folder or a device")
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise _refused(path, f"{needed:,} bytes are needed and {free:,} are free there")


def _refused(path: Path, reason: str) -> OutputRefused:
    return OutputRefused(f"{path}: {reason}")
