"""What's wrong with a request as a whole: told beside the faults of its single fields, not after them.

The models judge the whole only once every field is sound; a person wants all of it at once, with paths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from failback.model.request import DiskChoice
from failback.volumes import choice_faults

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

_GOALS_OF_SERVERS = ("check", "failback")


def field_faults(error: ValidationError) -> list[str]:
    """The faults of single fields, each with its path."""
    return [f"{_path(each)}: {each['msg']}" for each in error.errors() if each["loc"]]


def whole_faults(fields: Mapping[str, object]) -> list[str]:
    """The faults of the whole, as far as its fields can be read."""
    servers = fields.get("servers")
    listed = servers if isinstance(servers, Sequence) and not isinstance(servers, str) else ()
    faults = []
    if fields.get("goal") in _GOALS_OF_SERVERS and servers in (None, [], ()):
        faults.append(f"servers: goal {fields['goal']} takes at least one recovery instance")
    known = {number: each for number, each in enumerate(listed) if isinstance(each, Mapping)}
    faults += _repeated(known, "recovery_instance", "each server is taken home once")
    faults += _repeated(known, "name", "each machine takes a name of its own, capitals don't count")
    for number, server in known.items():
        faults += [f"servers.{number}.{fault}" for fault in choice_faults(_sound_choices(server.get("disks")))]
    return faults


def _path(entry: ErrorDetails) -> str:
    return ".".join(map(str, entry["loc"]))


def _repeated(servers: Mapping[int, Mapping[str, object]], field: str, advice: str) -> list[str]:
    values = {number: str(server[field]) for number, server in servers.items() if server.get(field) is not None}
    counts = Counter(value.casefold() for value in values.values())
    return [
        f"servers.{number}.{field}: {value} stands there {counts[value.casefold()]} times; {advice}"
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
