"""What only Azure itself can answer: whether a copy takes another generation, and how machines come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from failback.clouds.azure.variants import make_disk
from failback.errors import ImportFailed
from tests.clouds.azure.embedded import small_image
from tests.home.test_contract import TAGS, imported
from tests.home.test_contract import (
    test_giving_back_finds_a_runs_things_only_and_removes_them_in_order as machines_come_and_go,
)

if TYPE_CHECKING:
    from tests.live.azure.conftest import LiveHome


@pytest.mark.parametrize(
    ("os_type", "generation"),
    [("Linux", "V2"), ("Windows", "V2"), ("Windows", "V1")],
    ids=["Linux-V2", "Windows-V2", "Windows-V1"],
)
def test_a_copy_takes_another_kind_than_its_source(home: LiveHome, os_type: Any, generation: Any) -> None:  # noqa: ANN401
    image, _ = imported(home, small_image())
    try:
        copying = make_disk(
            home.place, image.id, name=f"{image.name}-copy", os_type=os_type, generation=generation, tags=TAGS
        )
        copy = copying.result()
    except ImportFailed as error:
        print(f"Azure refuses a copy as {os_type} {generation} of a Linux V1 disk: {error}")
        raise
    print(f"Asked for {os_type} {generation}, Azure made {copy.os_type} {copy.hyper_v_generation}: {copy.as_dict()}")
    assert (copy.os_type, copy.hyper_v_generation) == (os_type, generation)


def test_machines_come_and_go(with_machines: LiveHome) -> None:
    machines_come_and_go(with_machines)
