"""Unpacks what an image is made of: a gzip of a tar with one file, `disk.raw`, of whole GiB; holes stay holes.

Source: cloud.google.com, "Manually import boot disks" (name, `--format=oldgnu`, gzip, whole GB); GNU tar's manual,
"Basic Tar Format" (the magic of GNU archives, sparse members).

Unconfirmed: the words of the refusals but for the archive's form and its member's name, which users report.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from typing import IO, TYPE_CHECKING, Any, BinaryIO, NoReturn

from localcloud.google.refusals import GoogleRefusal
from localcloud.sparse_files import create_sparse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMBER = "disk.raw"
GIB = 1 << 30
# A header's magic and version: GNU's, of the old format and of the newer one alike; POSIX's has a NUL and "00".
_MAGIC_AT, _GNU_MAGIC = 257, b"ustar  \0"
_STEP = 1 << 20
_ZEROS = bytes(64 << 10)
_BROKEN = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)


def unpack(archive: Path, target: Path) -> int:
    """Write the archive's disk to a new sparse file and give its size in bytes; raises GoogleRefusal."""
    try:
        with gzip.open(archive) as plain:
            if plain.read(512)[_MAGIC_AT : _MAGIC_AT + len(_GNU_MAGIC)] != _GNU_MAGIC:
                _refuse("The tar archive is not a valid image.")
        with gzip.open(archive) as plain:
            return _unpacked(plain, target)
    except _BROKEN as error:
        target.unlink(missing_ok=True)
        message = "The tar archive is not a valid image."
        raise GoogleRefusal(400, "invalid", message) from error


def _unpacked(plain: gzip.GzipFile, target: Path) -> int:
    with tarfile.open(fileobj=plain, mode="r|", bufsize=_STEP) as tar:
        member = tar.next()
        if member is None:
            _refuse("The tar archive is not a valid image.")
        if member.name != MEMBER or not (member.isreg() or member.issparse()):
            _refuse(f"The file inside the tar archive was named ''{member.name}''. It should be named ''{MEMBER}''.")
        if not member.size or member.size % GIB:
            _refuse(f"The size of {MEMBER} inside the tar archive, {member.size} bytes, isn't a multiple of 1 GB.")
        create_sparse(target, member.size)
        # Read past tarfile's own files, which look for the holes' zeros again and again.
        content: Any = tar.fileobj
        content.seek(member.offset_data)
        with target.open("r+b") as file:
            for start, end in _data(member):
                _copy(content, file, start, end)
        if tar.next() is not None:
            target.unlink()
            _refuse(f"The tar archive has more than one file inside. It should have {MEMBER} alone.")
    while plain.read(_STEP):
        # To its end: there stands the checksum.
        pass
    return member.size


def _data(member: tarfile.TarInfo) -> Iterator[tuple[int, int]]:
    """The parts of the file that the archive holds."""
    sparse = getattr(member, "sparse", None)
    if sparse is None:
        yield 0, member.size
    else:
        yield from ((offset, offset + length) for offset, length in sparse if length)


def _copy(content: IO[bytes], file: BinaryIO, start: int, end: int) -> None:
    while start < end:
        data = content.read(min(_STEP, end - start))
        if not data:
            raise EOFError
        for at in range(0, len(data), len(_ZEROS)):
            piece = data[at : at + len(_ZEROS)]
            if piece != _ZEROS[: len(piece)]:
                os.pwrite(file.fileno(), piece, start + at)
        start += len(data)


def _refuse(message: str) -> NoReturn:
    raise GoogleRefusal(400, "invalid", message)
