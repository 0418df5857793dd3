"""The embedded Google Cloud as the home of whole runs: a place, and what tests ask of it when a run has ended."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from failback.clouds.google.labels import RUN_LABEL, SERVER_LABEL, label_value
from tests.localcloud.runs.ends import difference, digest_of
from tests.localcloud.runs.place import open_place
from tests.localcloud.runs.safety import check_order
from tests.localcloud.runs.safety_aws import RULES
from tests.localcloud.runs.safety_place import histories_of
from tests.localcloud.runs.safety_secrets import minted_in, readable_in, secrets_in
from tests.localcloud.runs.safety_trace import Trace, where
from tests.localcloud.runs.servers import history_of, without

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.drs.records import RecoveryInstance
    from localcloud.google.originals import OriginalServer
    from tests.localcloud.runs.place import Place

Json = Any
MOST_TOLD = 20
STAMPS = frozenset({"lastStartTimestamp", "lastStopTimestamp", "lastAttachTimestamp", "lastDetachTimestamp"})
"""When something was done last: the one thing that's another one after a machine was given back."""
GOOGLE_TOKEN = re.compile(r"ya29\.[\w.-]{16,}")


@contextmanager
def google_place(folder: Path, iso: Path, **settings: Any) -> Iterator[Place]:  # noqa: ANN401
    """A place whose runs go to Google; what was asked of AWS, and every text, is judged in the end."""
    with open_place(folder, iso, home="google", **settings) as place:
        yield place
        calls, histories = place.clouds.faults.calls, list(histories_of(place))
        trace = Trace.of(calls, histories)
        _assert_none([fault for rule in RULES for fault in rule(trace)])
        _assert_none([*secrets_in(readable_in(place), list(minted_in(place))), *_tokens_in(place)])
        print(
            f"\nsafety: {len(calls)} calls of {len(trace.runs)} runs with {len(trace.servers)} servers keep AWS's rules"
        )


def check_home(place: Place, execution: str, before: Json) -> int:
    """Nothing at home that was there before the run is removed; of the disks that were, there are snapshots at most; of
    the machines, only originals are changed, once the run has noted how they were.

    `before` is `at_home` from before the run. Gives how many calls changed something of what was there.
    """
    history = history_of(place, execution)
    trace, run = Trace.of(place.clouds.faults.calls, [history]), history.record.run
    known = {each.record.before.original.id: each.record.id for each in history.servers
             if each.record.before and each.record.before.original}  # fmt: skip
    touched = 0
    for call in trace.calls:
        path = call.path.partition("/compute/v1/")[2]
        thing = next((each for each in (path, path.rpartition("/")[0]) if each in before), None)
        if call.service != "compute" or call.method == "GET" or thing is None:
            continue
        touched += 1
        assert call.method != "DELETE", where(call)
        assert "/disks/" not in thing or call.operation == "disks.createSnapshot", where(call)
        if "/instances/" in thing:
            assert thing in known, where(call)
            assert trace.is_noted((run, known[thing]), "before", call.number), where(call)
    for server in history.servers:
        check_order(server, history)
    return touched


def _tokens_in(place: Place) -> Iterator[str]:
    yield from (f"{name} holds a token of Google's" for name, text in readable_in(place) if GOOGLE_TOKEN.search(text))


def _assert_none(found: list[str]) -> None:
    told = "\n".join(found[:MOST_TOLD])
    assert not found, f"{len(found)} times a safety rule was broken:\n{told}"


def at_home(place: Place) -> Json:
    """What Google holds, by paths, but for when things were done last."""
    return unstamped(place.clouds.google.listing())


def everything(place: Place) -> Json:
    """The place's listing, Google's part as `at_home` gives it."""
    found = place.listing()
    return {**found, "google": unstamped(found["google"])}


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
