"""Functions' code as folders: each archive is unpacked once, by its hash."""

from __future__ import annotations

import hashlib
import io
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
    size = sum(member.file_size for member in package.infolist())
    if size > MAX_UNPACKED_BYTES:
        message = f"Unzipped size must be smaller than {MAX_UNPACKED_BYTES} bytes; this package has {size}."
        raise LocalCloudError(message)
