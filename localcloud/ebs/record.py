"""What is known of a snapshot and of an image, as it's kept beside their bytes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pathlib import Path

Status = Literal["pending", "completed", "error"]

BLOCK = 512 * 1024
"""Bytes of a block of the EBS direct APIs."""
GIB = 1024**3
BLOCKS_PER_GIB = GIB // BLOCK


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def save(self, path: Path) -> None:
        """Write it so that a reader, also one after a crash, sees the old one or the new one."""
        fresh = path.with_suffix(".new")
        fresh.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        fresh.replace(path)


class SnapshotRecord(_Record):
    """A snapshot; `size` in GiB, `timeout` in minutes, `progress` in per cent as its writer stated it.

    `sealed` is when CompleteSnapshot was called, `settle` how many seconds it stays pending after that.
    """

    id: str
    owner: str
    size: int
    started: datetime
    lineage: str
    description: str | None = None
    parent: str | None = None
    encrypted: bool = False
    kms_key: str | None = None
    client_token: str | None = None
    timeout: int = 60
    tags: dict[str, str] = {}
    progress: int = 0
    sealed: datetime | None = None
    settle: float = 0.0

    @property
    def blocks(self) -> int:
        """How many blocks the volume has."""
        return self.size * BLOCKS_PER_GIB

    def completed_at(self) -> datetime | None:
        """When it is or was completed; None where nobody asked for it."""
        return None if self.sealed is None else self.sealed + timedelta(seconds=self.settle)

    def status(self, now: datetime, last_write: datetime) -> Status:
        """Unfinished ones fail when `timeout` has passed since the last block was written."""
        completed = self.completed_at()
        if completed is not None:
            return "completed" if now >= completed else "pending"
        return "pending" if now < last_write + timedelta(minutes=self.timeout) else "error"


class ImageMapping(_Record):
    """One device of an image, `size` in GiB; `virtual` is EC2's VirtualName."""

    device: str
    snapshot: str | None = None
    size: int | None = None
    type: str = "standard"
    delete_on_termination: bool = True
    iops: int | None = None
    throughput: int | None = None
    encrypted: bool = False
    virtual: str | None = None


class ImageRecord(_Record):
    """A machine image."""

    id: str
    owner: str
    name: str
    created: datetime
    root_device: str
    mappings: tuple[ImageMapping, ...]
    architecture: str
    virtualization: str
    description: str | None = None
    ena: bool = False
    sriov: str | None = None
    imds: str | None = None
    boot_mode: str | None = None
    tpm: str | None = None
    tags: dict[str, str] = {}
