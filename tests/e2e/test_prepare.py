"""A whole prepare through the deployed state machine, whose boot test is a real machine's boot."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.image import grub_images
from failback.image.build import build_image
from failback.image.compose import BuildOptions
from failback.model.report import Provenance
from localcloud.embedded.clouds import CloudSettings, run_clouds
from localcloud.embedded.deploy import deploy
from localcloud.embedded.image_hashes import hash_file, image_hashes
from localcloud.embedded.synthesis import synthesise, write_deployment
from localcloud.guests.qemu_driver import QemuDriver
from tests.localcloud.guests.contract import marks
from tests.localcloud.runs.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD = Path(__file__).resolve().parents[2] / "build"
LONGEST = 540.0
"""Seconds for a whole run: a hundred on a machine that has nothing else to do."""

pytestmark = [pytest.mark.boot, pytest.mark.standin, pytest.mark.timeout(600)]


@contextmanager
def deployed(folder: Path, iso: Path, driver: QemuDriver) -> Iterator[Place]:
    """The clouds with the product in them; Wait states are short, since these clouds answer at once."""
    with run_clouds(CloudSettings(folder, iso, driver, wait_scale=0.2)) as clouds:
        at_home, out = clouds.azure_settings, BUILD / "test-cdk.out"
        file = write_deployment(
            BUILD / "test-deployment.json", subscription=at_home.subscription, tenant=at_home.tenant
        )
        synthesise(file, out)
        yield Place(clouds, deploy(clouds, out), [])


def finish(place: Place, execution: str) -> Any:  # noqa: ANN401
    states, end = place.clouds.client("stepfunctions"), time.monotonic() + LONGEST
    while (told := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < end, f"the run didn't end: {place.history(execution)}"
        time.sleep(0.5)
    return told


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


def test_a_prepared_image_has_booted_and_is_the_one_built_by_hand(tmp_path: Path, standin_iso: Path) -> None:
    with (
        QemuDriver(tmp_path / "machines") as driver,
        deployed(tmp_path / "clouds", standin_iso, driver) as place,
    ):
        told = finish(place, place.start("real-run"))
        assert told["status"] == "SUCCEEDED", (told, place.history(told["executionArn"]))
        report = place.report("real-run")
        assert report["outcome"]["outcome"] == "done"
        assert report["provenance"]["mark"].startswith("ready run=real-run server=boot-test")
        assert report["provenance"]["image"]["tested"]

        (guest,) = driver.guests
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
