"""The archives that the embedded Compute Engine makes images of: objects of the embedded Cloud Storage as files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.google.images import StoredObject

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.google_storage.service import StorageService


@dataclass(frozen=True, slots=True)
class Archives:
    """An ObjectReader; a file stays as long as its object does, and until the next one is asked for."""

    storage: StorageService
    folder: Path

    def read_object(self, bucket: str, name: str) -> StoredObject | None:
        """The object, as it's now."""
        wanted = self._file(bucket, name)
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = {self._file(bucket, each) for each in self.storage.names(bucket)} - {wanted}
        for path in self.folder.iterdir():
            if path not in kept:
                path.unlink()
        crc32c = self.storage.copy_to(bucket, name, wanted)
        return None if crc32c is None else StoredObject(wanted, crc32c)

    def _file(self, bucket: str, name: str) -> Path:
        return self.folder / hashlib.sha256(f"{bucket}/{name}".encode()).hexdigest()
