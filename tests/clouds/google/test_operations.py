"""What Compute has under way: waited for by its own clients, and what it failed with."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from google.api_core.exceptions import BadRequest, Conflict, Forbidden, NotFound, from_http_status
from google.cloud import compute_v1 as compute

from failback.clouds.google.operations import reason_of, request_id, settled, spelled
from localcloud.google.operations import Fault
from tests.clouds.google.services import PROJECT, TARGET, services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from failback.clouds.google.place import GooglePlace
    from tests.clouds.google.services import Services

SLOW = {"disks.insert": 60.0, "addresses.insert": 60.0, "disks.createSnapshot": 60.0, "snapshots.insert": 60.0}


@pytest.fixture
def google(tmp_path: Path) -> Iterator[Services]:
    """All services; what's begun takes a minute."""
    with services(tmp_path, latency=SLOW) as embedded:
        yield embedded


def begun(place: GooglePlace, kind: str) -> Any:  # noqa: ANN401 - an operation
    """An operation of the zone, the region or the project."""
    clients = place.clients
    if kind == "zone":
        body = compute.Disk(name="a", size_gb=10)
        return clients.disks.insert_unary(project=PROJECT, zone=TARGET.zone, disk_resource=body)
    if kind == "region":
        address = compute.Address(name="a", address_type="INTERNAL", subnetwork=TARGET.subnetwork)
        return clients.addresses.insert_unary(project=PROJECT, region=TARGET.region, address_resource=address)
    snapshot = compute.Snapshot(name="a", source_disk=f"{place.zone_path}/disks/source")
    return clients.snapshots.insert_unary(project=PROJECT, snapshot_resource=snapshot)


@pytest.mark.parametrize("kind", ["zone", "region", "global"])
def test_an_operation_ends(google: Services, kind: str) -> None:
    place = google.connect().place
    google.compute.administrator.state.clock = google.clock
    if kind == "global":
        operation = place.clients.disks.insert_unary(
            project=PROJECT, zone=TARGET.zone, disk_resource=compute.Disk(name="source", size_gb=10)
        )
        google.clock.advance(61)
        assert settled(place, operation)
    operation = begun(place, kind)
    assert not settled(place, operation, 0.05)
    assert not settled(place, operation, 0)
    google.clock.advance(61)
    assert settled(place, operation)


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [(409, Conflict, "ALREADY_THERE"), (404, NotFound, "RESOURCE_NOT_FOUND"), (400, BadRequest, "INVALID_USAGE"),
     (403, Forbidden, "QUOTA_EXCEEDED")],
    ids=str,
)  # fmt: skip
def test_what_it_failed_with_is_raised(google: Services, status: int, kind: type[Exception], reason: str) -> None:
    place = google.connect().place
    google.compute.fail_next(Fault("disks.insert", status, reason, "the words", at_once=False))
    operation = begun(place, "zone")
    google.clock.advance(61)
    with pytest.raises(kind, match=r"insert a: the words") as caught:
        settled(place, operation)
    assert reason_of(caught.value) == spelled(reason)


def test_a_request_id_follows_its_words() -> None:
    assert request_id("a", "b") == request_id("a", "b")
    assert request_id("a", "b") != request_id("ab")
    assert uuid.UUID(request_id("a")).version == 5


@pytest.mark.parametrize(
    ("reason", "word"),
    [("RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", "resourceInUseByAnotherResource"), ("quotaExceeded", "quotaExceeded"),
     ("STOCKOUT", "stockout"), ("", "")],
    ids=["several", "spelled", "one", "none"],
)  # fmt: skip
def test_reasons_have_one_spelling(reason: str, word: str) -> None:
    make: Any = from_http_status
    assert reason_of(make(400, "text", errors=[{"reason": reason}])) == word
    assert reason_of(make(400, "text")) == ""
    assert reason_of(ValueError()) == ""
