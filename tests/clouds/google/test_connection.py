"""The adapter as a whole: what it's made of, and when it signs in."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from failback.clouds.google.place import last_part
from failback.clouds.google.upload import MIB
from tests.clouds.google.services import TARGET, services

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_asked_for_before_the_first_call(tmp_path: Path) -> None:
    with services(tmp_path) as google:
        asked: list[str] = []

        def token(audience: str) -> str:
            asked.append(audience)
            return google.way_in().token(audience)

        home = google.connect(token=token, slice_mib=3)
        assert home.images.slice.size == 3 * MIB
        assert google.connect().images.slice.size > 3 * MIB
        assert asked == []
        assert home.place.disk("none") is None
        assert home.place.snapshot("none") is None
        assert home.place.machine("none") is None
        assert home.place.image("none") is None
        assert home.place.address("none") is None
        assert len(asked) == 1
        assert home.place.clients.disks is home.place.clients.disks
        assert (home.place.zone, home.place.region) == (TARGET.zone, TARGET.region)


def test_names_in_urls() -> None:
    assert last_part("https://www.googleapis.com/compute/v1/projects/p/zones/z/disks/d") == "d"
    assert last_part("d") == "d"


def test_importing_takes_no_sdk() -> None:
    code = "import sys, failback.clouds.google.connection; print([m for m in sys.modules if m.startswith('google')])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() in {"[]", "['google']"}
