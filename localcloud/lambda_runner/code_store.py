"""Functions' code as folders: each archive is unpacked once, by its hash, and a folder on this machine not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import tempfile
import threading
import zipfile
from pathlib import Path

from failback.errors import LocalCloudError

MAX_UNPACKED_BYTES = 250 * 1024 * 1024
"""The largest unpacked deployment package (Lambda quotas, "Deployment package (.zip file archive) size")."""


class CodeStore:
    """Unpacked deployment packages in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def unpack(self, archive: bytes) -> tuple[Path, str]:
        """The folder that holds the archive's files, and the archive's SHA-256; raises LocalCloudError."""
        digest = hashlib.sha256(archive).hexdigest()
        place = self._folder / digest
        with self._lock:
            if not place.is_dir():
                self._extract(archive, place)
        return place, digest

    def stage(self, folder: Path) -> bytes:
        """A small archive that stands for a folder: unpacking it gives the folder's very files, by hard links.

        The archive names the folder and goes wherever a package's archive goes. Raises LocalCloudError as `unpack`.
        """
        _refuse_size(sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()))
        archive = _stand_in(str(folder.resolve()))
        place = self._folder / hashlib.sha256(archive).hexdigest()
        half = Path(tempfile.mkdtemp(dir=self._folder, prefix="staging-"))
        with self._lock:
            try:
                shutil.copytree(folder, half, symlinks=True, copy_function=_link, dirs_exist_ok=True)
                # Staged again, it may hold other files: workers that run go on with those they have open.
                shutil.rmtree(place, ignore_errors=True)
                half.rename(place)
            finally:
                shutil.rmtree(half, ignore_errors=True)
        return archive

    def _extract(self, archive: bytes, place: Path) -> None:
        half = Path(tempfile.mkdtemp(dir=self._folder, prefix="unpacking-"))
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as package:
                _check_size(package)
                for member in package.infolist():
                    _extract_member(package, member, half)
            half.rename(place)
        except zipfile.BadZipFile as error:
            message = "The deployment package is no ZIP archive: Could not unzip uploaded file. Upload it again."
            raise LocalCloudError(message) from error
        finally:
            shutil.rmtree(half, ignore_errors=True)


def _extract_member(package: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    # ZipFile drops drive letters, leading slashes and dots itself; it doesn't keep the permissions.
    written = Path(package.extract(member, folder))
    mode = member.external_attr >> 16 & 0o777
    if mode and not member.is_dir():
        written.chmod(mode | 0o400)


def _check_size(package: zipfile.ZipFile) -> None:
    _refuse_size(sum(member.file_size for member in package.infolist()))


def _refuse_size(size: int) -> None:
    if size > MAX_UNPACKED_BYTES:
        message = f"Unzipped size must be smaller than {MAX_UNPACKED_BYTES} bytes; this package has {size}."
        raise LocalCloudError(message)


def _stand_in(text: str) -> bytes:
    """A ZIP archive of one file, the same bytes for the same text."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        # Without a time of its own, a member gets the present one.
        package.writestr(zipfile.ZipInfo("STAGED"), text)
    return buffer.getvalue()


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK}:
            raise
        shutil.copy2(source, target, follow_symlinks=False)
