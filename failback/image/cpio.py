"""Archives in the "newc" format, which the kernel unpacks as its first root file system: written whole, read by stream.

Format: Linux kernel, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Never

from failback.errors import DataCorrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAME_LIMIT = 4096
"""Bytes of a name or a link's target with its NUL: the kernel's PATH_MAX; it skips what is longer."""
MEMBER_LIMIT = 100_000
"""A generic initrd of dracut has 2,000 to 4,000 members, a whole minimal distribution about 30,000."""
KEPT_LIMIT = 32 << 20
"""Bytes of names and kept contents: 4,000 names of 80 bytes and two module lists of 40 KiB are 400 KiB."""

_BLOCK = 512
_ALIGN = 4
_HEADER = struct.Struct(">13I")
_HEADER_LENGTH = 6 + 13 * 8
_MAGICS = (b"070701", b"070702")  # the second also carries a checksum, which the kernel ignored until 5.18
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class CpioMember:
    """Something to write: `name` relative without "./", `mode` with its type, `data` the content or link target."""

    name: str
    mode: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class CpioEntry:
    """Something read: `name` as stored, `inode` (device major, minor, number) ties hard links, `content` if wanted."""

    name: str
    mode: int
    size: int
    inode: tuple[int, int, int]
    links: int
    content: bytes | None = None


@dataclass(slots=True)
class CpioBudget:
    """What readers may still take, shared by all archives of one input; members, and bytes of names and contents."""

    members: int = MEMBER_LIMIT
    kept: int = KEPT_LIMIT


def write_cpio(members: Sequence[CpioMember]) -> bytes:
    """An archive of `members` in their order, the same bytes for the same members: no times, no owners but root.

    Raises ValueError for names that are unsafe, repeated or come before their own directory, and for modes that aren't
    those of a file, directory or symbolic link: the kernel would skip such a member without a word.
    """
    seen: set[str] = set()
    directories = {member.name for member in members if stat.S_ISDIR(member.mode)}
    archive = bytearray()
    for number, member in enumerate(members, start=1):
        _check_member(member, seen, directories)
        seen.add(member.name)
        archive += _packed(number, member)
    archive += _packed(0, CpioMember(_TRAILER, 0))
    return bytes(archive) + bytes(-len(archive) % _BLOCK)


def _check_member(member: CpioMember, seen: set[str], directories: set[str]) -> None:
    if _is_unsafe(member.name):
        message = f"{member.name!r} is no safe name in an archive: it must be relative and plain, without '.' or '..'"
        raise ValueError(message)
    if member.name in seen:
        message = f"{member.name!r} is there twice"
        raise ValueError(message)
    late = [str(p) for p in PurePosixPath(member.name).parents if str(p) in directories and str(p) not in seen]
    if late:
        message = f"{member.name!r} comes before its directory {late[0]!r}, so the kernel would skip it"
        raise ValueError(message)
    if not _is_packable(member):
        message = f"{member.name!r}: mode {member.mode:o} and {len(member.data)} bytes make no file, directory or link"
        raise ValueError(message)


def _is_unsafe(name: str) -> bool:
    plain = name != _TRAILER and "\0" not in name and len(_encoded(name)) <= NAME_LIMIT
    return not plain or not {"", ".", ".."}.isdisjoint(name.split("/"))


def _is_packable(member: CpioMember) -> bool:
    kind = stat.S_IFMT(member.mode)
    if kind == stat.S_IFDIR:
        return not member.data
    if kind == stat.S_IFLNK:
        return 0 < len(member.data) < NAME_LIMIT and b"\0" not in member.data
    return kind == stat.S_IFREG and member.mode < 1 << 16 and len(member.data) < 1 << 32


def _packed(number: int, member: CpioMember) -> bytes:
    name = _encoded(member.name)
    links = 2 if stat.S_ISDIR(member.mode) else 1
    fields = (number, member.mode, 0, 0, links, 0, len(member.data), 0, 0, 0, 0, len(name), 0)
    head = _MAGICS[0] + _HEADER.pack(*fields).hex().upper().encode() + name
    return _padded(head) + _padded(member.data)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape") + b"\0"


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)


class CpioReader:
    """One archive pushed through piece by piece; only the contents that `wants` says yes to are held, within `budget`.

    `what` names the input in errors. `used` counts the archive's bytes so far; once `ended`, feed() takes no more and
    `used` is the archive's length up to its trailer, without the padding that may follow.
    """

    def __init__(self, wants: Callable[[CpioEntry], bool], *, what: str, budget: CpioBudget | None = None) -> None:
        self.used = 0
        self.ended = False
        self._wants, self._what = wants, what
        self._budget = budget or CpioBudget()
        self._found: list[CpioEntry] = []
        self._collected = bytearray()
        self._entry = CpioEntry("", 0, 0, (0, 0, 0), 0)
        self._await_header()

    def feed(self, data: bytes | memoryview) -> list[CpioEntry]:
        """The members that are complete after `data` (a skipped content isn't waited for); raises DataCorrupt."""
        self._found = []
        view = memoryview(data)
        at = 0
        while at < len(view) and not self.ended:
            part = view[at : at + self._missing]
            at += len(part)
            self._missing -= len(part)
            if self._collecting:
                self._collected += part
            while not self._missing and not self.ended:
                self._advance()
        self.used += at
        return self._found

    def finish(self) -> None:
        """Say that there's no more input; raises DataCorrupt where the trailer hasn't come."""
        if not self.ended:
            message = f"{self._what}: the cpio archive ends before its trailer; the file is cut off. Fetch it again"
            raise DataCorrupt(message)

    def _await(self, length: int, then: Callable[[bytes], None], *, collecting: bool = True) -> None:
        self._missing, self._then, self._collecting = length, then, collecting

    def _await_header(self, _: bytes = b"") -> None:
        self._await(_HEADER_LENGTH, self._take_header)

    def _advance(self) -> None:
        block = bytes(self._collected)
        self._collected.clear()
        self._then(block)

    def _take_header(self, block: bytes) -> None:
        number, mode, _, _, links, _, size, major, minor, _, _, name_length, _ = self._fields(block)
        if not 0 < name_length <= NAME_LIMIT:
            self._refuse(f"a name of {name_length} bytes")
        self._spend(members=1, kept=name_length)
        self._entry = CpioEntry("", mode, size, (major, minor, number), links)
        padding = -(_HEADER_LENGTH + name_length) % _ALIGN
        self._await(name_length + padding, lambda name: self._take_name(name[:name_length]))

    def _fields(self, block: bytes) -> tuple[int, ...]:
        if not block.startswith(_MAGICS):
            self._refuse(f"{block[:6]!r} where a member's header should begin")
        try:
            packed = bytes.fromhex(block[6:].decode("ascii"))
            return _HEADER.unpack(packed)
        except (ValueError, struct.error) as error:
            self._refuse("a header that isn't hexadecimal", error)

    def _take_name(self, block: bytes) -> None:
        if block[-1]:
            self._refuse("a name without its end")
        # Tools that align contents for sharing blocks pad the name with further NULs.
        name = block[: block.index(0)].decode("utf-8", "surrogateescape")
        if name == _TRAILER:
            self.ended = True
            return
        self._entry = replace(self._entry, name=name)
        if stat.S_ISLNK(self._entry.mode) and self._entry.size >= NAME_LIMIT:
            self._refuse(f"a symbolic link with a target of {self._entry.size} bytes")
        self._await_content(self._entry.size)

    def _await_content(self, size: int) -> None:
        padding = -size % _ALIGN
        if self._wants(self._entry):
            self._spend(kept=size)
            self._await(size + padding, self._take_content)
        else:
            self._found.append(self._entry)
            self._await(size + padding, self._await_header, collecting=False)

    def _take_content(self, block: bytes) -> None:
        self._found.append(replace(self._entry, content=block[: self._entry.size]))
        self._await_header()

    def _spend(self, *, members: int = 0, kept: int = 0) -> None:
        self._budget.members -= members
        self._budget.kept -= kept
        if self._budget.members < 0 or self._budget.kept < 0:
            self._refuse("more members, names or lists than any initrd has")

    def _refuse(self, found: str, cause: Exception | None = None) -> Never:
        message = f"{self._what}: the cpio archive holds {found}; it's damaged. Fetch the file again"
        raise DataCorrupt(message) from cause
