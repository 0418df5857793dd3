"""The embedded Google Cloud as the home of whole runs: a place, and what tests ask of it when a run has ended."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from failback.clouds.google.labels import RUN_LABEL, SERVER_LABEL, label_value
from tests.localcloud.runs.ends import difference, digest_of
from tests.localcloud.runs.safety import check_order
from tests.localcloud.runs.safety_google import GoogleReading
from tests.localcloud.runs.safety_place import checked_place
from tests.localcloud.runs.safety_trace import Trace, where
from tests.localcloud.runs.servers import history_of, without

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.drs.records import RecoveryInstance
    from localcloud.google.originals import OriginalServer
    from tests.localcloud.runs.place import Place

Json = Any
STAMPS = frozenset({"lastStartTimestamp", "lastStopTimestamp", "lastAttachTimestamp", "lastDetachTimestamp"})
"""When something was done last: the one thing that's another one after a machine was given back."""


@contextmanager
def google_place(folder: Path, iso: Path, **settings: Any) -> Iterator[Place]:  # noqa: ANN401
    """A place whose runs go to Google, judged in the end as any place is."""
    with checked_place(folder, iso, home="google", **settings) as place:
        yield place


def check_home(place: Place, execution: str, before: Json) -> int:
    """What was at home before the run isn't removed, whosever it is, and everything comes in its order.

    `before` is `at_home` from before the run. Gives how many calls changed something of what was there.
    """
    history = history_of(place, execution)
    reading = GoogleReading(Trace.of(place.clouds.faults.calls, [history]))
    asked = [each for call in place.clouds.faults.calls if (each := reading.asked(call)) and each.id in before]
    removed = [where(each.call) for each in asked if each.verb == "remove"]
    assert not removed, removed
    for server in history.servers:
        check_order(server, history)
    return len(asked)


def at_home(place: Place) -> Json:
    """What Google holds, by paths, but for when things were done last."""
    return unstamped(place.clouds.google.listing())


def everything(place: Place) -> Json:
    """The place's listing, Google's part as `at_home` gives it, without the lease of a watcher that happens to look."""
    found = place.listing()
    leases = {name: each for name, each in found["leases"].items() if not name.endswith("/lease#watch")}
    return {**found, "google": unstamped(found["google"]), "leases": leases}


def unstamped(value: Json) -> Json:
    """A document without its stamps, however deep they are."""
    if isinstance(value, dict):
        return {name: unstamped(each) for name, each in value.items() if name not in STAMPS}
    return [unstamped(each) for each in value] if isinstance(value, list) else value


def of_kind(listing: Json, collection: str) -> dict[str, Json]:
    """The resources of a kind, by their names."""
    return {path.rpartition("/")[2]: each for path, each in listing.items() if f"/{collection}/" in path}


def contents(place: Place, original: OriginalServer) -> list[str]:
    """What a machine's disks at home hold, a hash of each."""
    return [digest_of(disk_file(place, path)) for path in original.disks.values()]


def disk_file(place: Place, path: str) -> Path:
    """The raw file behind a disk or an image, by its path."""
    found = place.clouds.google.compute.administrator.state.find(path)
    assert found is not None, path
    return place.clouds.google.compute.settings.folder / str(found.hidden["file"])


def carries_run(document: Json) -> bool:
    """Whether it's marked as a run's."""
    return RUN_LABEL in document.get("labels", {}) or RUN_LABEL in str(document.get("description", ""))


def check_all_as_before(before: Json, after: Json, *home: RecoveryInstance) -> None:
    """All clouds hold what they held, but for what belongs to servers that are `home`."""
    was, is_now = (_without(each, home) for each in (before, after))
    for part in was:
        assert is_now[part] == was[part], difference(was[part], is_now[part])


def _without(listing: Json, servers: tuple[RecoveryInstance, ...]) -> Json:
    labels, names = {label_value(each.id) for each in servers}, tuple(each.made_of.name for each in servers)
    google = {
        path: what
        for path, what in listing["google"].items()
        if what.get("labels", {}).get(SERVER_LABEL) not in labels and not what.get("name", "").startswith(names or "/")
    }
    return {**without(listing, *servers), "google": google}
