"""The homes that the demo takes its server to: what it's called there, and where the embedded one keeps its disks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failback.errors import LocalCloudError
from localcloud.demo_commands import FOLDER
from localcloud.embedded.google import ZONE
from localcloud.embedded.image_hashes import disk_file
from localcloud.embedded.state_file import TARGETS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from failback.model.target import HomeName
    from localcloud.embedded.state_file import EmbeddedState


@dataclass(frozen=True, slots=True)
class DemoHome:
    """`title` is what people call it, `folder` what its disks lie in."""

    name: HomeName
    title: str
    folder: Path

    @property
    def target(self) -> str:
        """The deployment's target there."""
        return TARGETS[self.name]

    def url(self, clouds: EmbeddedState) -> str:
        """Where it's reached."""
        return clouds.google_url if self.name == "google" else clouds.azure_url

    def disk(self, name: str, *, image: str) -> Path:
        """The file of a disk that was made of the image with that id; raises LocalCloudError where there's none."""
        project, beside = image.partition("/global/")[0], image.rpartition("/")[0]
        place = f"{project}/zones/{ZONE}/disks" if self.name == "google" else beside
        return disk_file(self.folder, f"{place}/{name}")


HOMES: Mapping[str, DemoHome] = {
    "azure": DemoHome("azure", "Azure", FOLDER / "clouds" / "azure"),
    "google": DemoHome("google", "Google Cloud", FOLDER / "clouds" / "google" / "compute"),
}


def home_named(name: str) -> DemoHome:
    """The home of that name; raises LocalCloudError where the demo knows none."""
    if name not in HOMES:
        message = f"TARGET={name}: the demo doesn't know this home. There are {' and '.join(HOMES)}."
        raise LocalCloudError(message)
    return HOMES[name]
