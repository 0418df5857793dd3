"""Random-access bytes that something is read from: a file here, an object store's ranges or a snapshot elsewhere."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Protocol, Self

from failback.errors import ImageError, IsoTruncated

if TYPE_CHECKING:
    from pathlib import Path


class ByteSource(Protocol):
    """A sequence of bytes of known size that can be read anywhere."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`; raises IsoTruncated where they aren't there."""
        ...


class BytesSource:
    """Bytes in memory as a source."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        check_range(self.size, offset, length)
        return self._data[offset : offset + length]


class SourceSlice:
    """A part of another source (a file within an ISO), as a source of its own."""

    def __init__(self, source: ByteSource, offset: int, length: int) -> None:
        check_range(source.size, offset, length)
        self._source, self._offset, self._length = source, offset, length

    @property
    def size(self) -> int:
        return self._length

    def read(self, offset: int, length: int) -> bytes:
        check_range(self._length, offset, length)
        return self._source.read(self._offset + offset, length)


class OpenFile:
    """An open file as a source; whoever opened it closes it. `name` stands in errors."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self._name = descriptor, name
        self._size = os.fstat(descriptor).st_size

    @property
    def size(self) -> int:
        return self._size

    def fileno(self) -> int:
        """The open file's descriptor, for copies inside the kernel."""
        return self._descriptor

    def read(self, offset: int, length: int) -> bytes:
        check_range(self._size, offset, length, what=self._name)
        try:
            data = os.pread(self._descriptor, length, offset)
            while len(data) < length:
                more = os.pread(self._descriptor, length - len(data), offset + len(data))
                if not more:
                    message = f"{self._name}: became shorter while it was read"
                    raise IsoTruncated(message)
                data += more
        except OSError as error:
            message = f"{self._name}: can't be read at byte {offset}: {error.strerror}; its medium may be damaged"
            raise ImageError(message) from error
        return data


class FileSource(OpenFile):
    """A regular file by its path; a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            message = f"{path}: can't be opened: {error.strerror}"
            raise ImageError(message) from error
        super().__init__(descriptor, str(path))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self.close()
            message = f"{path}: is no regular file; copy its content to one"
            raise ImageError(message)

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_range(size: int, offset: int, length: int, *, what: str = "the file") -> None:
    """Raise IsoTruncated where `size` bytes don't hold the range; `what` names whose bytes they are."""
    if offset < 0 or length < 0 or offset + length > size:
        message = (
            f"{what}: bytes {offset} to {offset + length} were asked for, but it has {size}; it's probably cut off"
        )
        raise IsoTruncated(message)
