"""AWS Elastic Disaster Recovery (botocore's service model drs 2020-02-26), as far as failing back takes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from failback.clouds.aws.answers import code_of, portions
from failback.clouds.aws.recovery_answers import configuration_of, instance_of, source_of
from failback.recovery_ports import MOST_IDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from failback.clouds.aws.session import Client
    from failback.model.recovery import FailbackConfiguration, RecoveryInstance, SourceServer

# What StopFailback may say where there's nothing to stop; whether that's so, a look at the instance tells.
_NOT_UNDER_WAY = frozenset({"ConflictException", "ValidationException", "ResourceNotFoundException"})
_NOT_STARTED = "FAILBACK_NOT_STARTED"


class DrsRecovery:
    """A RecoveryService; `now` tells the time to which a lag that's given as a moment is counted."""

    def __init__(self, drs: Client, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._drs, self._now = drs, now

    def instances(self, ids: Sequence[str]) -> Mapping[str, RecoveryInstance]:
        # Without ids none are asked for: an empty filter would describe all of the account's.
        found = self._described("describe_recovery_instances", "recoveryInstanceIDs", ids)
        return {each["recoveryInstanceID"]: instance_of(each, now=self._now()) for each in found}

    def sources(self, ids: Sequence[str]) -> Mapping[str, SourceServer]:
        found = self._described("describe_source_servers", "sourceServerIDs", ids)
        return {each["sourceServerID"]: source_of(each) for each in found}

    def configuration(self, instance: str) -> FailbackConfiguration:
        return configuration_of(self._drs.get_failback_replication_configuration(recoveryInstanceID=instance))

    def configure(self, instance: str, configuration: FailbackConfiguration) -> None:
        """Every member is given; a protocol only where it's known, since not every recovery instance has one."""
        protocol = {"internetProtocol": configuration.protocol} if configuration.protocol else {}
        self._drs.update_failback_replication_configuration(
            recoveryInstanceID=instance,
            name=configuration.name,
            bandwidthThrottling=configuration.bandwidth_mbps,
            usePrivateIP=configuration.private_ip,
            **protocol,
        )

    def stop(self, instance: str) -> None:
        try:
            self._drs.stop_failback(recoveryInstanceID=instance)
        except self._drs.exceptions.ClientError as error:
            if code_of(error) not in _NOT_UNDER_WAY or self._under_way(instance):
                raise

    def mark(self, arn: str, tags: Mapping[str, str]) -> None:
        if tags:
            self._drs.tag_resource(resourceArn=arn, tags=dict(tags))

    def unmark(self, arn: str, names: Iterable[str]) -> None:
        if keys := list(names):
            self._drs.untag_resource(resourceArn=arn, tagKeys=keys)

    def _under_way(self, instance: str) -> bool:
        found = self.instances([instance]).get(instance)
        return found is not None and found.failback_state != _NOT_STARTED

    def _described(self, operation: str, name: str, ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        for some in portions(ids, MOST_IDS):
            # As many for a page as are asked for, so that one call answers.
            pages = self._drs.get_paginator(operation).paginate(filters={name: some}, maxResults=MOST_IDS)
            for page in pages:
                yield from page["items"]
