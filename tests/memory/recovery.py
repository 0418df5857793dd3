"""Elastic Disaster Recovery in memory, as strict as DRS about ids, bounds, tags and what's there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from failback.errors import CloudRefused
from failback.model.recovery import FailbackConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from failback.model.recovery import RecoveryInstance, SourceServer

_INSTANCE = re.compile(r"i-[0-9a-fA-F]{8,}")
_SOURCE = re.compile(r"s-[0-9a-zA-Z]{17}")
_MOST_TAGS = 50
_OF_A_CLIENT = {
    "failback_state", "client", "client_seen", "to_original", "job", "first_byte", "replication_state", "steps",
    "error", "raw_error", "lag", "eta", "disks",
}  # fmt: skip


class MemoryRecovery:
    """A RecoveryService; `add` makes an instance known and `change` moves it on.

    `described` holds the ids of each call, `configured` each configuration in order, `stopped` whose failback was
    ended, `refuse` errors that calls raise, by the port's own word (`stop`, `mark`, ...).
    """

    def __init__(self) -> None:
        self.known: dict[str, RecoveryInstance] = {}
        self.originals: dict[str, SourceServer] = {}
        self.configurations: dict[str, FailbackConfiguration] = {}
        self.described: list[tuple[str, ...]] = []
        self.configured: list[tuple[str, FailbackConfiguration]] = []
        self.stopped: list[str] = []
        self.refuse: dict[str, Exception] = {}

    def add(
        self,
        instance: RecoveryInstance,
        *,
        source: SourceServer | None = None,
        configuration: FailbackConfiguration | None = None,
    ) -> None:
        assert _INSTANCE.fullmatch(instance.id), instance.id
        self.known[instance.id] = instance
        self.configurations[instance.id] = configuration or FailbackConfiguration()
        if source is not None:
            assert _SOURCE.fullmatch(source.id), source.id
            self.originals[source.id] = source

    def change(self, instance: str, **update: object) -> None:
        """Replace fields of an instance, checked as its model checks them."""
        known = self.known[instance]
        self.known[instance] = type(known).model_validate({**dict(known), **update})

    def instances(self, ids: Sequence[str]) -> Mapping[str, RecoveryInstance]:
        self._check("instances")
        assert all(_INSTANCE.fullmatch(each) for each in ids), ids
        self.described.append(tuple(ids))
        return {each: self.known[each] for each in ids if each in self.known}

    def sources(self, ids: Sequence[str]) -> Mapping[str, SourceServer]:
        self._check("sources")
        assert all(_SOURCE.fullmatch(each) for each in ids), ids
        return {each: self.originals[each] for each in ids if each in self.originals}

    def configuration(self, instance: str) -> FailbackConfiguration:
        self._check("configuration")
        self._found(instance)
        return self.configurations[instance]

    def configure(self, instance: str, configuration: FailbackConfiguration) -> None:
        self._check("configure")
        self._found(instance)
        assert configuration.bandwidth_mbps >= 0
        assert len(configuration.name) <= 256
        self.configurations[instance] = configuration
        self.configured.append((instance, configuration))

    def stop(self, instance: str) -> None:
        self._check("stop")
        known = self.known.get(instance)
        if known is None or known.failback_state == "FAILBACK_NOT_STARTED":
            return
        self.stopped.append(instance)
        # Nothing is left of the client that was: its machine has to be booted again.
        kept = set(type(known).model_fields) - _OF_A_CLIENT
        self.known[instance] = type(known).model_validate({name: getattr(known, name) for name in kept})

    def mark(self, arn: str, tags: Mapping[str, str]) -> None:
        self._check("mark")
        known = self._by_arn(arn)
        merged = {**known.tags, **tags}
        assert tags, "DRS takes no empty set of tags"
        assert len(merged) <= _MOST_TAGS
        assert all(1 <= len(key) <= 128 and len(value) <= 256 for key, value in tags.items())
        self.change(known.id, tags=merged)

    def unmark(self, arn: str, names: Iterable[str]) -> None:
        self._check("unmark")
        known, gone = self._by_arn(arn), set(names)
        self.change(known.id, tags={key: value for key, value in known.tags.items() if key not in gone})

    def _check(self, call: str) -> None:
        if call in self.refuse:
            raise self.refuse[call]

    def _found(self, instance: str) -> RecoveryInstance:
        if instance not in self.known:
            raise CloudRefused(instance)
        return self.known[instance]

    def _by_arn(self, arn: str) -> RecoveryInstance:
        for instance in self.known.values():
            if instance.arn == arn:
                return instance
        raise CloudRefused(arn)
