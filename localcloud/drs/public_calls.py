"""The public operations of DRS that a failback needs, after their members have been checked against the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.drs.descriptions import Describer
from localcloud.drs.paging import page
from localcloud.drs.refusal import missing
from localcloud.drs.states import ERROR
from localcloud.drs.tag_rules import checked_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from localcloud.drs.events import FailbackEvents
    from localcloud.drs.jobs import Jobs
    from localcloud.drs.records import Configuration, RecoveryInstance
    from localcloud.drs.settings import DrsSettings
    from localcloud.drs.world import World

Values = dict[str, Any]


class PublicCalls:
    """The operations by name; each is called under the world's lock."""

    def __init__(self, world: World, jobs: Jobs, events: FailbackEvents, settings: DrsSettings) -> None:
        self._world, self._jobs, self._events, self._settings = world, jobs, events, settings
        self.operations: Mapping[str, Callable[[Values], Values]] = {
            "DescribeRecoveryInstances": self._describe_instances,
            "DescribeSourceServers": self._describe_sources,
            "DescribeJobs": jobs.describe,
            "DescribeJobLogItems": jobs.describe_log,
            "GetFailbackReplicationConfiguration": self._configuration,
            "UpdateFailbackReplicationConfiguration": self._configure,
            "StartFailbackLaunch": self._launch,
            "StopFailback": self._stop,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": lambda values: {"tags": dict(self._tags(values["resourceArn"]))},
        }

    def _describe_instances(self, values: Values) -> Values:
        filters, now = values.get("filters", {}), self._world.clock()
        names, sources = filters.get("recoveryInstanceIDs"), filters.get("sourceServerIDs")
        found = [
            each
            for each in self._world.instances
            if (not names or each.id in names) and (not sources or each.source in sources)
        ]
        shown, token = page("DescribeRecoveryInstances", found, values)
        return {"items": [self._described(each, now) for each in shown], "nextToken": token}

    def _described(self, instance: RecoveryInstance, now: datetime) -> Values:
        state = self._world.ec2.state(instance.id)
        if state == "RUNNING" and instance.plan.communication:
            # The agent in a running instance reports by itself.
            instance.agent_seen = now
        return Describer(self._settings, now).recovery_instance(instance, state)

    def _describe_sources(self, values: Values) -> Values:
        filters, describer = values.get("filters", {}), Describer(self._settings, self._world.clock())
        names, hardware = filters.get("sourceServerIDs"), filters.get("hardwareId")
        found = [
            each
            for each in self._world.instances
            if (not names or each.source in names)
            and hardware in (None, each.id, each.mac_address, each.made_of.vmware_uuid)
        ]
        shown, token = page("DescribeSourceServers", found, values)
        return {"items": [describer.source_server(each) for each in shown], "nextToken": token}

    def _configuration(self, values: Values) -> Values:
        instance = self._world.find(values["recoveryInstanceID"])
        return configuration_values(instance.id, instance.configuration)

    def _configure(self, values: Values) -> Values:
        kept = self._world.find(values["recoveryInstanceID"]).configuration
        kept.name = values.get("name", kept.name)
        kept.bandwidth = values.get("bandwidthThrottling", kept.bandwidth)
        kept.use_private = values.get("usePrivateIP", kept.use_private)
        kept.protocol = values.get("internetProtocol", kept.protocol)
        return {}

    def _launch(self, values: Values) -> Values:
        job, instances = self._jobs.start(values)
        described = job.described()
        for each in instances:
            if each.plan.launch_error and each.link is not None:
                each.link.outcome = "failed"
                self._jobs.settle(each, error=each.plan.launch_error)
                self._events.note(each, ERROR)
            each.bell.set()
        return {"job": described}

    def _stop(self, values: Values) -> Values:
        instance = self._world.find(values["recoveryInstanceID"])
        self._jobs.settle(instance, error="The failback was stopped")
        instance.link = instance.failback_job = None
        instance.bell.set()
        return {}

    def _tag(self, values: Values) -> Values:
        tags = self._tags(values["resourceArn"])
        tags.update(checked_tags(values["tags"], tags))
        return {}

    def _untag(self, values: Values) -> Values:
        tags = self._tags(values["resourceArn"])
        for key in values["tagKeys"]:
            tags.pop(key, None)
        return {}

    def _tags(self, arn: str) -> dict[str, str]:
        name = arn.rpartition("/")[2]
        job = self._jobs.find(name)
        if job is not None and arn == job.arn:
            return job.tags
        for each in self._world.instances:
            if arn in (each.arn, each.source_arn):
                return each.tags if arn == each.arn else each.source_tags
        raise missing(arn, "Resource")


def configuration_values(instance: str, kept: Configuration) -> Values:
    """As GetFailbackReplicationConfiguration tells it."""
    return {
        "recoveryInstanceID": instance,
        "name": kept.name,
        "bandwidthThrottling": kept.bandwidth,
        "usePrivateIP": kept.use_private,
        "internetProtocol": kept.protocol,
    }
