"""A run of which every twentieth call goes wrong ends well, with the same bytes."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from localcloud.faults import FaultRule, Lose, Status, Throttle
from tests.localcloud.runs.image_bytes import check_bytes, weighted_iso

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.faults import Action
    from tests.localcloud.runs.place import Place

KINDS: tuple[Action, ...] = (Throttle(), Status(code=500), Lose())
SHARE = 0.05
AZURE = ("arm", "blob", "entra")
# Chance may leave one out: each kind happens to each of these once at least.
CERTAIN = [
    FaultRule(service=service, action=action, nth=(first + 2 * number,))
    for service, first in (("s3", 9), ("ebs", 9), ("arm", 5))
    for number, action in enumerate(KINDS)
]
BY_CHANCE = [FaultRule(action=action, probability=SHARE / len(KINDS)) for action in KINDS]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_under_five_per_cent_of_faults_ends_well(place: Place, seed: int, tmp_path: Path) -> None:
    iso = weighted_iso(tmp_path, mib=16, seed=seed)
    place.publish(iso)
    before = faults_met(place)
    told = place.run_under(f"disturbed-{seed}", *CERTAIN, *BY_CHANCE, seed=seed)
    assert told["status"] == "SUCCEEDED", told
    check_bytes(place, json.loads(told["output"]), iso, tmp_path)
    met = faults_met(place) - before
    print(f"\n{sum(met.values())} faults:", ", ".join(f"{key[0]} {key[1]} {met[key]}" for key in sorted(met)))
    for kind in KINDS:
        assert met["s3", kind.kind]
        assert met["ebs", kind.kind]
        assert any(met[service, kind.kind] for service in AZURE)


def faults_met(place: Place) -> Counter[tuple[str, str]]:
    """How many faults of each kind each service has met so far."""
    return Counter((record.call.service, record.action.kind) for record in place.clouds.faults.records)
