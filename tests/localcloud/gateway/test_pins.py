"""What is replaced inside moto is still what the replacements were written for."""

from __future__ import annotations

import pytest

from failback.errors import EngineMismatch
from localcloud.moto_seams.map_runs import exceeds
from localcloud.moto_seams.pins import MOTO_VERSION, PINS, Swaps, check_version, digest_of, find


@pytest.mark.parametrize("target", PINS)
def test_the_source_is_the_one_that_was_read(target: str) -> None:
    pin = PINS[target]
    message = (
        f"{target} has changed in moto. Its seam assumes that it {pin.assumes}: read it again, then renew the pin."
    )
    assert digest_of(target) == pin.digest, message


def test_another_moto_is_refused_by_name() -> None:
    check_version(MOTO_VERSION)
    with pytest.raises(EngineMismatch, match=rf"moto 5\.2\.6 .*{MOTO_VERSION}"):
        check_version("5.2.6")


def test_only_what_is_pinned_is_replaced_and_it_is_put_back() -> None:
    target = next(iter(PINS))
    owner, name = find(target)
    before = getattr(owner, name)
    with Swaps() as swaps:
        swaps.function(target, None)
        assert getattr(owner, name) is None
        with pytest.raises(EngineMismatch, match="json:loads"):
            swaps.function("json:loads", None)
    assert getattr(owner, name) is before


@pytest.mark.parametrize(
    ("failed", "count", "percentage", "over"),
    [
        (0, 0, 0.0, False),
        (1, 0, 0.0, True),
        (2, 2, 0.0, False),
        (3, 2, 0.0, True),
        (5, 0, 50.0, False),
        (6, 0, 50.0, True),
        (3, 2, 50.0, True),
        (2, 2, 10.0, True),
        (10, 0, 100.0, False),
    ],
)
def test_a_bound_of_failures_is_judged_as_written(failed: int, count: int, percentage: float, over: bool) -> None:
    assert exceeds(failed=failed, total=10, count=count, percentage=percentage) is over
