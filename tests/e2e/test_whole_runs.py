"""Whole runs through the deployed state machine with real machines: the boot test, and a client that replicates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.image import grub_images
from failback.image.build import build_image
from failback.image.compose import BuildOptions
from failback.model.report import Provenance
from localcloud.embedded.image_hashes import hash_file, image_hashes
from tests.localcloud.guests.contract import marks
from tests.localcloud.runs.place import open_place
from tests.localcloud.runs.servers import (
    by_id,
    check_disks,
    check_transitions,
    failback,
    failed_over,
    outcome_of,
    plan_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.localcloud.runs.place import Place

pytestmark = [pytest.mark.boot, pytest.mark.standin, pytest.mark.timeout(1200)]


def by_hand(iso: Path, folder: Path) -> Path:
    """The image as a person builds it of the same ISO."""
    built = build_image(
        iso,
        folder / "by-hand.raw",
        image_format="raw",
        grub=grub_images(None),
        options=BuildOptions(clouds=("azure", "aws")),
        progress=lambda _work, _total: lambda _count: None,
    )
    return Path(built.output)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, standin_iso: Path) -> Iterator[Place]:
    """Wait states are short, since these clouds answer at once."""
    with open_place(tmp_path_factory.mktemp("place"), standin_iso, real=True, wait_scale=0.2) as opened:
        yield opened


def test_a_prepared_image_has_booted_and_is_the_one_built_by_hand(
    place: Place, tmp_path: Path, standin_iso: Path
) -> None:
    told = place.run("real-run")
    assert told["status"] == "SUCCEEDED", (told, place.history(told["executionArn"]))
    report = place.report("real-run")
    assert report["outcome"]["outcome"] == "done"
    assert report["provenance"]["mark"].startswith("ready run=real-run server=boot-test")
    assert report["provenance"]["image"]["tested"]

    (guest,) = place.driver.guests
    assert marks(guest.console())[:3] == ["started", "settings", "ready"]
    assert not guest.is_running

    left = place.clouds.azure.listing().values()
    (disk,) = [each for each in left if each["type"] == "Microsoft.Compute/disks"]
    assert disk["name"] == report["provenance"]["image"]["name"]
    assert "ready run=real-run" in disk["tags"]["drs-failback:tested"]
    gone = {"Microsoft.Compute/virtualMachines", "Microsoft.Network/networkInterfaces"}
    assert gone.isdisjoint(each["type"] for each in left)

    found = image_hashes(
        Provenance.model_validate(report["provenance"]),
        lambda service: place.clouds.client(service, s3={"addressing_style": "path"}),
        bucket=place.bucket,
        azure=place.clouds.azure_settings.folder,
    )
    assert len(found) == 3
    assert set(found.values()) == {hash_file(by_hand(standin_iso, tmp_path))}


def test_a_server_is_replicated_by_a_real_client_until_it_is_ready(place: Place) -> None:
    made = failed_over(place, "web", devices=("/dev/xvda", "/dev/xvdb"))
    told = place.finish_watched(failback(place, "real-home", [made]))
    assert told["status"] == "SUCCEEDED", (told, place.history(told["executionArn"]))
    server = by_id(place, told["executionArn"])[made.id]
    assert outcome_of(server).outcome == "ready"
    guest = place.driver.guests[-1]
    said = marks(guest.console())
    wanted = ["started", "settings", "credentials", "mapping", "client-start", "client-running"]
    assert [mark for mark in said if mark in wanted][:6] == wanted
    assert guest.is_running
    check_disks(place, made, plan_of(server))
    check_transitions(told["executionArn"])
