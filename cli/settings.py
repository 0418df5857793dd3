"""Where the command finds what was built at set-up: one frozen value, made from the environment once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "DRS_FAILBACK_BUILD"


@dataclass(frozen=True, slots=True)
class Settings:
    """`build` holds what set-up made: GRUB's images, the stand-in ISO."""

    build: Path

    @property
    def grub(self) -> Path:
        return self.build / "grub"


def read_settings() -> Settings:
    """The build folder that DRS_FAILBACK_BUILD names, else `build` in the checkout."""
    stated = os.environ.get(HOME_VARIABLE)
    return Settings(build=Path(stated) if stated else Path(__file__).resolve().parents[1] / "build")
