"""Where the command finds what was built at set-up: one frozen value, made from the environment once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "DRS_FAILBACK_BUILD"
LOCAL_VARIABLE = "DRS_FAILBACK_LOCAL"


@dataclass(frozen=True, slots=True)
class Settings:
    """`build` holds what set-up made: GRUB's images, the stand-in ISO; `local` what the embedded clouds keep."""

    build: Path
    local: Path

    @property
    def grub(self) -> Path:
        return self.build / "grub"


def read_settings() -> Settings:
    """The folders that DRS_FAILBACK_BUILD and DRS_FAILBACK_LOCAL name, else `build` and `.local` in the checkout."""
    checkout = Path(__file__).resolve().parents[1]
    build, local = os.environ.get(HOME_VARIABLE), os.environ.get(LOCAL_VARIABLE)
    return Settings(build=Path(build) if build else checkout / "build", local=Path(local or checkout / ".local"))
