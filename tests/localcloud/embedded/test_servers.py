"""The servers that embedded clouds begin with: what lies on their volumes, and what's written while they're copied."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from localcloud.drs.records import ClientLink
from localcloud.drs.refusal import DrsRefusal
from localcloud.drs.service import DrsService
from localcloud.drs.volume import BLOCK
from localcloud.embedded.servers import (
    BOOT_DEVICE,
    CONTENT,
    GIB,
    MIB,
    WRITE_SECONDS,
    WRITES_AT_MOST,
    WRITTEN,
    Workload,
    add_servers,
    volume_files,
    write_nonce,
)
from localcloud.workload.layout import DISK_SIZE, RECORD_OFFSET
from localcloud.workload.marker import read_nonce, read_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.drs.records import RecoveryInstance
    from localcloud.drs.volume import Volume

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def drs(tmp_path: Path) -> Iterator[DrsService]:
    with mock_aws():
        yield DrsService(tmp_path / "drs", region="us-east-1")


def one(drs: DrsService, scratch: Path) -> RecoveryInstance:
    (made,) = add_servers(drs, 1, scratch=scratch)
    return drs.world.find(made.id)


def link(instance: RecoveryInstance, *, attained: datetime | None = None) -> None:
    sizes = {name: volume.size for name, volume in instance.volumes.items()}
    moments = {"started": datetime.now(UTC), "seen": datetime.now(UTC), "attained": attained}
    instance.link = ClientLink("client-1", original=False, local=sizes, **moments)  # type: ignore[arg-type]


def digests(instance: RecoveryInstance) -> list[str]:
    return [_digest(volume) for volume in instance.volumes.values()]


def _digest(volume: Volume) -> str:
    """Of what isn't zeros, and where it lies."""
    digest = hashlib.sha256()
    for offset, length in volume.changes(-1, original=False)[1]:
        digest.update(b"%d " % offset + volume.read(offset, length))
    return digest.hexdigest()


def test_each_has_a_name_and_content_of_its_own(drs: DrsService, tmp_path: Path) -> None:
    servers = add_servers(drs, 2, scratch=tmp_path)
    assert [each.name for each in servers] == ["web-1", "web-2"]
    first, second = (drs.world.find(each.id) for each in servers)
    assert list(first.volumes) == list(CONTENT)
    for volume, content in zip(first.volumes.values(), CONTENT.values(), strict=True):
        assert volume.size == GIB
        filled = sum(length for _, length in volume.changes(-1, original=False)[1])
        system = 2 * BLOCK if volume.device == BOOT_DEVICE else 0
        assert filled == content + system, "of a system the record and the boot signature"
        assert volume.generation == 0, "it was all there at the failover"
    assert digests(first) != digests(second)
    assert volume_files(tmp_path / "drs", first.id) == {name: each.path for name, each in first.volumes.items()}
    assert list(tmp_path.glob("*.raw")) == []


def test_the_content_is_always_the_same(drs: DrsService, tmp_path: Path) -> None:
    assert digests(one(drs, tmp_path)) == digests(one(drs, tmp_path))


def test_the_boot_volumes_system_has_its_room(drs: DrsService, tmp_path: Path) -> None:
    instance = one(drs, tmp_path)
    boot, data = instance.volumes.values()
    record = read_record(boot)
    assert record
    assert (record.firmware, record.nonce, read_record(data)) == ("bios", None, None)
    places = [offset for offset, _ in boot.changes(-1, original=False)[1]]
    assert [offset for offset in places if offset < DISK_SIZE] == [0, RECORD_OFFSET]


def test_a_nonce_is_a_write_that_has_to_be_copied(drs: DrsService, tmp_path: Path) -> None:
    instance = one(drs, tmp_path)
    write_nonce(drs, instance.id, "n-1")
    boot, data = instance.volumes.values()
    assert boot.changes(0, original=True)[1] == [(RECORD_OFFSET, BLOCK)]
    assert (read_nonce(boot), data.generation) == ("n-1", 0)
    with pytest.raises(ValueError, match="is no nonce"):
        write_nonce(drs, instance.id, "two words")
    with pytest.raises(DrsRefusal):
        write_nonce(drs, "i-0", "n-1")


def test_none_are_wanted(drs: DrsService, tmp_path: Path) -> None:
    assert add_servers(drs, 0, scratch=tmp_path) == ()
    assert drs.world.instances == ()


def test_it_writes_every_few_seconds_while_it_is_copied(drs: DrsService, tmp_path: Path) -> None:
    instance, workload = one(drs, tmp_path), Workload(drs)
    workload.go_on(0.0)
    assert [each.generation for each in instance.volumes.values()] == [0, 0], "nobody copies it yet"
    link(instance)
    for seconds in (WRITE_SECONDS, WRITE_SECONDS + 1, 2 * WRITE_SECONDS):
        workload.go_on(seconds)
    for volume in instance.volumes.values():
        changed = volume.changes(0, original=False)[1]
        assert (volume.generation, sum(length for _, length in changed)) == (2, 2 * WRITTEN)
    link(instance, attained=NOW)
    workload.go_on(3 * WRITE_SECONDS)
    assert [each.generation for each in instance.volumes.values()] == [2, 2]


def test_it_rests_for_a_client_that_is_too_slow(drs: DrsService, tmp_path: Path) -> None:
    instance, workload = one(drs, tmp_path), Workload(drs)
    link(instance)
    for number in range(WRITES_AT_MOST + 3):
        workload.go_on(number * WRITE_SECONDS)
    assert [each.generation for each in instance.volumes.values()] == [WRITES_AT_MOST] * len(CONTENT)
    filled = sum(length for _, length in instance.volumes["/dev/xvdb"].changes(-1, original=False)[1])
    assert filled == CONTENT["/dev/xvdb"] + WRITES_AT_MOST * WRITTEN, "in what was free"
    assert filled < 32 * MIB
