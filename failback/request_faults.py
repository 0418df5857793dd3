"""What's wrong with a request as a whole: told beside the faults of its single fields, not after them.

The models judge the whole only once every field is sound; a person wants all of it at once, with paths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from failback.model.cutover import DocumentFence, FunctionFence
from failback.model.request import GOALS_OF_SERVERS, NO_FENCE, DiskChoice
from failback.volumes import choice_faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic_core import ErrorDetails

    from failback.model.cutover import CutoverChoice
    from failback.settings import AllowedHooks

NO_CLEAN_UP = "clean_up: goal clean_up names the run that's to be cleaned up after, and no other goal does"


def field_faults(error: ValidationError) -> list[str]:
    """The faults of single fields, each with its path."""
    return [f"{_path(each)}: {each['msg']}" for each in error.errors() if each["loc"]]


def whole_faults(fields: Mapping[str, object]) -> list[str]:
    """The faults of the whole, as far as its fields can be read."""
    known, goal, servers = _numbered(fields.get("servers")), fields.get("goal"), fields.get("servers")
    faults = []
    if goal in GOALS_OF_SERVERS and servers in (None, [], ()):
        faults.append(f"servers: goal {goal} takes at least one recovery instance")
    if goal == "failback" and not _chooses_fence(fields.get("cutover")):
        faults.append(NO_FENCE)
    if (goal == "clean_up") != (fields.get("clean_up") is not None) and isinstance(goal, str):
        faults.append(NO_CLEAN_UP)
    faults += _repeated("servers", known, "recovery_instance", "each server is taken home once")
    faults += _repeated("servers", known, "name", "each machine takes a name of its own, capitals don't count")
    faults += _repeated("servers", known, "original", "a machine is taken over once, capitals don't count")
    faults += _repeated("waves", _numbered(fields.get("waves")), "name", "each wave has a name of its own")
    for number, server in known.items():
        faults += [f"servers.{number}.{fault}" for fault in _way_faults(server, goal)]
        faults += [f"servers.{number}.{fault}" for fault in choice_faults(_sound_choices(server.get("disks")))]
    return faults


def hook_faults(cutover: CutoverChoice, allowed: AllowedHooks) -> list[str]:
    """What the request would have called that this deployment may not call."""
    fence, faults = cutover.fence, []
    functions = {"cutover.verify.function": cutover.verify.function, "cutover.traffic": cutover.traffic}
    documents: dict[str, str | None] = {}
    if isinstance(fence, FunctionFence):
        functions["cutover.fence.function"] = fence.function
    if isinstance(fence, DocumentFence):
        documents = {"cutover.fence.document": fence.document, "cutover.fence.lift_document": fence.lift_document}
    for member, names, known in (("hooks", functions, allowed.functions), ("documents", documents, allowed.documents)):
        faults += [
            f"{path}: this deployment may not call {name}; put it into {member} of the deployment file and deploy again"
            for path, name in names.items()
            if name is not None and name not in known
        ]
    return faults


def _way_faults(server: Mapping[str, object], goal: object) -> Iterator[str]:
    """What of a server's way home contradicts the rest of what's asked for it."""
    way, original = server.get("way"), server.get("original")
    if original is not None and way == "new":
        yield "original: way new makes a machine of its own; leave it out, or take way original or helper"
    if server.get("overwrite") is True and way != "original":
        yield "overwrite: only way original writes to an original server's disks; say that way, or leave it out"
    if goal == "rehearse" and way == "original":
        yield "way: a rehearsal makes machines that are removed again; take way new or helper"
    elif goal == "rehearse" and original is not None:
        yield "original: a rehearsal makes machines that are removed again, and touches no other; leave it out"


def _chooses_fence(cutover: object) -> bool:
    return isinstance(cutover, Mapping) and cutover.get("fence") is not None


def _numbered(listed: object) -> dict[int, Mapping[str, object]]:
    """The members of a list that can be read, each with its number."""
    found = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()
    return {number: each for number, each in enumerate(found) if isinstance(each, Mapping)}


def _path(entry: ErrorDetails) -> str:
    return ".".join(map(str, entry["loc"]))


def _repeated(what: str, members: Mapping[int, Mapping[str, object]], field: str, advice: str) -> list[str]:
    values = {number: str(each[field]) for number, each in members.items() if each.get(field) is not None}
    counts = Counter(value.casefold() for value in values.values())
    return [
        f"{what}.{number}.{field}: {value} stands there {counts[value.casefold()]} times; {advice}"
        for number, value in values.items()
        if counts[value.casefold()] > 1
    ]


def _sound_choices(disks: object) -> list[DiskChoice]:
    """The choices, if all of them can be read: with one missing, the others' numbers would be wrong."""
    try:
        return [DiskChoice.model_validate(each) for each in _items(disks)]
    except ValidationError:
        return []


def _items(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple) else ()
