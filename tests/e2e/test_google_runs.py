"""A whole run to Google with real machines: the image and its boot test, and two servers all the way home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from localcloud.google.originals import OriginalServer, Wishes, add_original
from tests.e2e.real_servers import (
    RUN,
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
from tests.localcloud.runs.google_place import at_home, google_place
from tests.localcloud.runs.google_place import check_home as check_others_at_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.localcloud.runs.place import Place

pytestmark = [pytest.mark.boot, pytest.mark.standin, pytest.mark.timeout(1200)]
Json = Any


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, standin_iso: Path) -> Iterator[Place]:
    """Wait states are short, since these clouds answer at once."""
    with google_place(tmp_path_factory.mktemp("place"), standin_iso, real=True, wait_scale=0.2) as opened:
        yield opened


@pytest.fixture(scope="module")
def servers(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Servers:
    return fail_over(place, tmp_path_factory.mktemp("volumes"))


@pytest.fixture(scope="module")
def taken_over(place: Place, servers: Servers) -> OriginalServer:
    return add_original(place.clouds.google.compute, servers.original, wishes=Wishes(running=False))


@pytest.fixture(scope="module")
def before(place: Place, taken_over: OriginalServer) -> Json:
    """What was at home before the run."""
    assert taken_over
    return at_home(place)


@pytest.fixture(scope="module")
def returned(place: Place, servers: Servers, taken_over: OriginalServer, before: Json) -> Returned:
    """The run makes and tests the image too: there's none yet."""
    assert before
    return bring_home(place, servers, taken_over=taken_over.name)


def test_the_image_has_booted_and_is_the_one_built_by_hand(
    place: Place, returned: Returned, tmp_path: Path, standin_iso: Path
) -> None:
    assert returned
    check_image(place, check_tested(place, RUN), standin_iso, tmp_path)


def test_both_servers_are_home(place: Place, returned: Returned, before: Json) -> None:
    check_home(returned)
    assert check_others_at_home(place, returned.execution, before) > 5


def test_real_clients_have_copied_their_volumes(returned: Returned) -> None:
    check_clients(returned)


def test_their_own_systems_say_what_was_written_on_aws_meanwhile(returned: Returned) -> None:
    check_consoles(returned)


def test_the_original_was_sent_only_what_had_changed(returned: Returned) -> None:
    check_sent(returned)


def test_the_originals_own_disks_are_nobodys_now(
    place: Place, returned: Returned, taken_over: OriginalServer, before: Json
) -> None:
    after, machine = at_home(place), taken_over.path
    planned = {disk.name for _, plan in returned.plans() for disk in plan.disks}
    assert {each["source"].rpartition("/")[2] for each in after[machine]["disks"]} <= planned
    for disk in taken_over.disks.values():
        assert "users" not in after[disk]
        assert after[disk]["labels"] == before[disk]["labels"]
