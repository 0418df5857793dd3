"""Whose a thing is: ours, the same run's for the same server, or somebody else's."""

from __future__ import annotations

import pytest

from failback.clouds.azure.owners import check_maker, check_ours
from failback.errors import CloudRefused, NotGivenBack
from failback.naming import RUN_TAG, SERVER_TAG

TAGS = {RUN_TAG: "run-1", SERVER_TAG: "i-1"}


def test_what_a_run_made_is_ours_and_the_rest_stays() -> None:
    check_ours("disk", "d", {RUN_TAG: "any"})
    for tags in (None, {}, {"owner": "somebody"}):
        with pytest.raises(NotGivenBack, match="The disk d has no tag drs-failback:run"):
            check_ours("disk", "d", tags)


@pytest.mark.parametrize(
    ("tags", "maker"),
    [
        (None, "by something else"),
        ({"owner": "somebody"}, "by something else"),
        ({RUN_TAG: "run-2", SERVER_TAG: "i-1"}, "by the run run-2"),
        ({RUN_TAG: "run-1", SERVER_TAG: "i-2"}, "by the run run-1"),
        ({RUN_TAG: "run-1"}, "by the run run-1"),
    ],
    ids=["none", "somebody", "another-run", "another-server", "no-server"],
)
def test_what_another_run_or_server_has_is_not_built_on(tags: dict[str, str] | None, maker: str) -> None:
    check_maker("disk", "d", TAGS | {"owner": "me"}, TAGS)
    check_maker("disk", "d", {RUN_TAG: "run-1"}, {RUN_TAG: "run-1"})
    with pytest.raises(CloudRefused, match=f"There's a disk d already, made {maker}"):
        check_maker("disk", "d", tags, TAGS)
