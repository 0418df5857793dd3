"""Whole runs through the deployed state machine with real machines: the boot test, and two servers all the way home."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localcloud.embedded.originals import OriginalServer, Wishes, add_original
from tests.e2e.real_servers import (
    Returned,
    Servers,
    bring_home,
    check_clients,
    check_consoles,
    check_home,
    check_image,
    check_sent,
    check_tested,
    fail_over,
)
from tests.localcloud.runs.safety_place import checked_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.localcloud.runs.place import Place

pytestmark = [pytest.mark.boot, pytest.mark.standin, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, standin_iso: Path) -> Iterator[Place]:
    """Wait states are short, since these clouds answer at once. Every call is judged in the end."""
    with checked_place(tmp_path_factory.mktemp("place"), standin_iso, real=True, wait_scale=0.2) as opened:
        yield opened


def test_a_prepared_image_has_booted_and_is_the_one_built_by_hand(
    place: Place, tmp_path: Path, standin_iso: Path
) -> None:
    ended = place.run("real-run")
    assert ended["status"] == "SUCCEEDED", (ended, place.history(ended["executionArn"]))
    made = check_tested(place, "real-run")

    left = place.clouds.azure.listing().values()
    (disk,) = [each for each in left if each["type"] == "Microsoft.Compute/disks"]
    assert made.image is not None
    assert disk["name"] == made.image.name
    assert "ready run=real-run" in disk["tags"]["drs-failback:tested"]
    gone = {"Microsoft.Compute/virtualMachines", "Microsoft.Network/networkInterfaces"}
    assert gone.isdisjoint(each["type"] for each in left)

    check_image(place, made, standin_iso, tmp_path)


@pytest.fixture(scope="module")
def servers(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    return fail_over(place, tmp_path_factory.mktemp("volumes"))


@pytest.fixture(scope="module")
def taken_over(place: Place, servers: Servers) -> OriginalServer:
    return add_original(place.clouds, servers.original, wishes=Wishes(running=False))


@pytest.fixture(scope="module")
def returned(place: Place, servers: Servers, taken_over: OriginalServer) -> Returned:
    """Real clients, and the servers' real systems from the disks that were theirs; a person approves and accepts."""
    return bring_home(place, servers, taken_over=taken_over.name)


def test_both_servers_are_home(returned: Returned) -> None:
    check_home(returned)


def test_real_clients_have_copied_their_volumes(returned: Returned) -> None:
    check_clients(returned)


def test_their_own_systems_say_what_was_written_on_aws_meanwhile(returned: Returned) -> None:
    check_consoles(returned)


def test_the_original_was_sent_only_what_had_changed(returned: Returned) -> None:
    check_sent(returned)


@pytest.mark.usefixtures("returned")
def test_the_original_was_booted_from_a_copy_of_its_disk(place: Place, taken_over: OriginalServer) -> None:
    after = place.clouds.azure.listing()
    (boot, *_), machine = taken_over.disks.values(), after[taken_over.id]
    swapped = machine["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]
    assert swapped.lower() != boot.lower()
    assert after[boot]["properties"]["diskState"] == "Unattached"
