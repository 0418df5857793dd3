"""Builds a client image: reads the ISO, writes the composed disk, and checks what was written.

Why so: docs/decisions/0004-the-iso-is-copied-while-it-is-judged.md.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

from failback.errors import HashMismatch
from failback.image.client import read_client
from failback.image.compose import BuildOptions, plan_image
from failback.image.iso import IsoVolume
from failback.image.layout import SYSTEM_SIZE, iso_extent
from failback.image.plan import CHUNK
from failback.image.source import FileSource, OpenFile, SourceSlice
from failback.image.verify import check_vhd_footer, verify_disk
from failback.sinks.gce import write_gce
from failback.sinks.gce_check import check_gce
from failback.sinks.output import new_file
from failback.sinks.raw import write_ahead, write_raw
from failback.sinks.vhd import FOOTER_SIZE, write_vhd

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from failback.image.grub import GrubImages
    from failback.image.layout import Layout
    from failback.image.plan import DiskPlan
    from failback.image.source import ByteSource
    from failback.model.image import BuiltImage, ImageFormat

_SHA512 = re.compile(r"[0-9a-f]{128}")


class Progress(Protocol):
    """Told of a piece of work and its size in bytes; returns what takes each advance."""

    def __call__(self, work: str, total: int, /) -> Callable[[int], None]: ...


def build_image(
    iso: Path,
    output: Path,
    *,
    image_format: ImageFormat,
    grub: GrubImages,
    options: BuildOptions,
    sha512: str = "",
    progress: Progress,
) -> BuiltImage:
    """Write the client image of `iso` to `output` and check it; on any error no output is left behind.

    `sha512` is the hash, in hexadecimal, that the ISO must have.
    """
    with FileSource(iso) as source:
        if sha512:
            _check_hash(source, sha512, progress)
        clock = _Clock()
        # What's no ISO at all is refused before anything is written.
        volume = IsoVolume.open(source)
        with new_file(output, inputs=(iso,), needed=source.size + SYSTEM_SIZE) as descriptor:
            with _ahead(source, descriptor, image_format, progress):
                planned = plan_image(source, read_client(volume, clouds=options.clouds), grub, options)
                built = planned.report(output=str(output), image_format=image_format)
            _write(planned.layout, source, descriptor, image_format, progress)
            build_seconds = clock.lap()
            _check(planned.layout, source, OpenFile(descriptor, str(output)), image_format, progress)
    return built.model_copy(update={"build_seconds": build_seconds, "check_seconds": clock.lap()})


class _Clock:
    """Seconds since it was made or last asked."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def lap(self) -> float:
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        return seconds


def _check_hash(source: ByteSource, expected: str, progress: Progress) -> None:
    wanted = expected.strip().lower()
    if not _SHA512.fullmatch(wanted):
        message = "--sha512 takes the 128 hexadecimal digits that AWS publishes beside the ISO, nothing else"
        raise HashMismatch(message)
    advance = progress("hashing", source.size)
    digest = hashlib.sha512()
    for offset in range(0, source.size, CHUNK):
        data = source.read(offset, min(CHUNK, source.size - offset))
        digest.update(data)
        advance(len(data))
    if digest.hexdigest() != wanted:
        message = (
            f"the ISO's SHA-512 is {digest.hexdigest()}, not {wanted}: it was changed, or damaged on its way, or AWS "
            "has published a newer one since; fetch the ISO and its hash again"
        )
        raise HashMismatch(message)


def _ahead(
    source: ByteSource, descriptor: int, image_format: ImageFormat, progress: Progress
) -> AbstractContextManager[None]:
    """Write the ISO while it's judged, into a disk; an archive says first where its data lies, so it waits for that."""
    if image_format == "gce":
        return nullcontext()
    part = iso_extent(source.size)
    return write_ahead(part, source, descriptor, progress=progress("writing", part.length))


def _write(layout: Layout, source: ByteSource, descriptor: int, image_format: ImageFormat, progress: Progress) -> None:
    """Write what isn't there yet, which is all of an archive and what stands around the ISO; wait for the medium."""
    if image_format == "gce":
        write_gce(layout.plan, source, descriptor, progress=progress("writing", layout.plan.data_bytes))
    else:
        rest = layout.plan.without(iso_extent(source.size))
        if image_format == "vhd":
            write_vhd(rest, source, descriptor, disk_id=layout.disk_guid, progress=_untold)
        else:
            write_raw(rest, source, descriptor, progress=_untold)
    os.fsync(descriptor)


def _untold(_count: int) -> None:
    """A few MiB around the ISO need no bar of their own."""


def _check(
    layout: Layout, source: ByteSource, written: OpenFile, image_format: ImageFormat, progress: Progress
) -> None:
    """Read everything back from the medium: what the system still holds in memory is dropped first."""
    os.posix_fadvise(written.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if image_format == "gce":
        # The archive holds the plan, and the plan is a disk that boots.
        check_gce(written, layout.plan, source, progress=progress("checking", layout.plan.data_bytes))
        verify_disk(layout, _Planned(layout.plan, source), source, progress=_untold)
        return
    size = layout.plan.size
    verify_disk(layout, SourceSlice(written, 0, size), source, progress=progress("checking", layout.iso_size))
    if image_format == "vhd":
        check_vhd_footer(written.read(size, FOOTER_SIZE), size=size)


class _Planned:
    """A planned disk as a source of bytes."""

    def __init__(self, plan: DiskPlan, iso: ByteSource) -> None:
        self._plan, self._iso = plan, iso

    @property
    def size(self) -> int:
        return self._plan.size

    def read(self, offset: int, length: int) -> bytes:
        return self._plan.read(self._iso, offset, length)
