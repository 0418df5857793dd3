"""What's in the way of taking a machine over, read from documents that Compute could give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.cloud.compute_v1 import CustomerEncryptionKey, Disk

from failback.clouds.google.machine_look import Machine, account_of, document_of, path_of, slots_of, standing
from failback.clouds.google.originals import address_of, barriers_of, obstacles_of
from failback.clouds.google.place import GooglePlace
from tests.clouds.google.services import TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping

NOBODY: Any = None
PLACE = GooglePlace(TARGET, NOBODY)
URL = f"https://www.googleapis.com/compute/v1/{PLACE.zone_path}"
BOOT: dict[str, Any] = {"source": f"{URL}/disks/system", "boot": True, "index": 0, "deviceName": "system",
                        "type": "PERSISTENT", "mode": "READ_WRITE"}  # fmt: skip
DATA: dict[str, Any] = {**BOOT, "source": f"{URL}/disks/data", "boot": False, "index": 1, "deviceName": "data"}
PLAIN: dict[str, Any] = {
    "name": "web", "status": "RUNNING", "machineType": f"{URL}/machineTypes/n2-standard-2", "disks": [BOOT, DATA],
    "networkInterfaces": [{"networkIP": "10.30.0.5", "nicType": "VIRTIO_NET"}],
}  # fmt: skip


def barriers(changes: Mapping[str, Any], *disks: Disk) -> list[str]:
    document = {**PLAIN, **changes}
    return list(barriers_of(PLACE, Machine(document), document["disks"], disks))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"disks": []}, "no disk that it boots from"),
        ({"disks": [DATA]}, "no disk that it boots from"),
        ({"status": "SUSPENDED"}, "it's suspended"),
        ({"disks": [BOOT, {"type": "SCRATCH", "index": 1}]}, "local SSDs"),
        ({"disks": [{**BOOT, "source": "projects/p/regions/europe-west3/disks/two"}]}, r"the zone alone \(two\)"),
        ({"disks": [BOOT, {**DATA, "mode": "READ_ONLY"}]}, r"\(data is attached read-only\)"),
        ({"confidentialInstanceConfig": {"enableConfidentialCompute": True}}, "confidential"),
        ({"metadata": {"items": [{"key": "created-by", "value": "projects/1/zones/z/instanceGroupManagers/g"}]}},
         "managed instance group"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_barrier(changes: dict[str, Any], told: str) -> None:
    (barrier,) = barriers(changes)
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(barrier)


def test_disks_with_keys_of_ones_own_are_a_barrier_and_those_of_a_key_service_are_none() -> None:
    own = Disk(disk_encryption_key=CustomerEncryptionKey(sha256="x"))
    kept = Disk(disk_encryption_key=CustomerEncryptionKey(sha256="x", kms_key_name="projects/p/…/k"))
    assert "CSEK" in barriers({}, own)[0]
    assert barriers({}, kept) == barriers({}) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"machineType": f"{URL}/machineTypes/c3-standard-4"}, "series C3"),
        ({"networkInterfaces": [{"nicType": "GVNIC"}]}, "VIRTIO_NET"),
        ({"shieldedInstanceConfig": {"enableSecureBoot": True}}, "Secure Boot"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_obstacle(changes: dict[str, Any], told: str) -> None:
    (obstacle,) = obstacles_of(Machine({**PLAIN, **changes}))
    assert told in obstacle
    assert list(obstacles_of(Machine(PLAIN))) == []


def test_a_machine_may_lack_almost_everything() -> None:
    bare = Machine({"name": "web"})
    assert (address_of(bare), bare.slots, bare.metadata, bare.account) == ("", [], {}, account_of({}))
    assert (bare.changing, bare.runs, bare.is_off) == (True, False, False)
    assert path_of("none") == ""


def test_what_tells_of_the_moment_is_not_compared() -> None:
    nic = {"networkIP": "10.30.0.5", "fingerprint": "a", "accessConfigs": [{"name": "nat", "natIP": "203.0.113.1"}]}
    later = {"networkIP": "10.30.0.5", "fingerprint": "b", "accessConfigs": [{"name": "nat"}]}
    one = {**PLAIN, "networkInterfaces": [nic], "fingerprint": "a", "status": "TERMINATED", "cpuPlatform": "x"}
    assert standing(one) == standing({**PLAIN, "networkInterfaces": [later]})
    assert standing(one) != standing({**PLAIN, "networkInterfaces": [{**later, "networkIP": "10.30.0.6"}]})
    assert standing(PLAIN) != standing({**PLAIN, "disks": [BOOT, {**DATA, "autoDelete": True}]})


def test_slots_are_in_the_order_of_their_indexes_whatever_comes_first() -> None:
    third = {**DATA, "index": 3, "deviceName": "third"}
    assert [each.device for each in slots_of({"disks": [third, DATA, BOOT]})] == ["system", "data", "third"]


def test_a_document_is_as_rest_has_it() -> None:
    from google.cloud import compute_v1 as compute

    nic = compute.NetworkInterface(network_i_p="10.30.0.5")
    disk = compute.AttachedDisk(index=0, boot=True, auto_delete=False, disk_size_gb=10)
    made = compute.Instance(name="web", id=7, disks=[disk], network_interfaces=[nic])
    assert document_of(made) == {
        "name": "web",
        "id": "7",
        "disks": [{"index": 0, "boot": True, "autoDelete": False, "diskSizeGb": "10"}],
        "networkInterfaces": [{"networkIP": "10.30.0.5"}],
    }
