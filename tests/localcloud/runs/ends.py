"""How servers' ways end other than at home: what tests of several files ask of both clouds then."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from failback.clouds.aws.waiting_room import DynamoWaitingRoom
from localcloud.sparse_files import data_ranges
from tests.localcloud.runs.servers import outcome_of, without

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from failback.model.record import ServerHistory
    from localcloud.drs.records import RecoveryInstance
    from localcloud.embedded.originals import OriginalServer
    from tests.localcloud.runs.place import Place

Json = Any
MIB = 1 << 20


def prepare(place: Place) -> None:
    """Bring the client image home, so that all that comes and goes later is the servers'."""
    told = place.run("prepared")
    assert told["status"] == "SUCCEEDED", told


def wall(place: Place, server: RecoveryInstance) -> str:
    """A security group beside the server's own that lets nothing in; gives its id."""
    ec2 = place.clouds.client("ec2")
    found = ec2.describe_security_groups(GroupIds=[server.security_group])["SecurityGroups"][0]
    made: str = ec2.create_security_group(GroupName="wall", Description="no workload", VpcId=found["VpcId"])["GroupId"]
    return made


def groups_of(place: Place, server: RecoveryInstance) -> list[str]:
    """The security groups that a recovery instance is in."""
    told = place.clouds.client("ec2").describe_instances(InstanceIds=[server.id])
    return [each["GroupId"] for each in told["Reservations"][0]["Instances"][0]["SecurityGroups"]]


def all_groups(place: Place, servers: Iterable[RecoveryInstance]) -> dict[str, list[str]]:
    """The same of several."""
    return {each.id: groups_of(place, each) for each in servers}


def contents(place: Place, original: OriginalServer) -> list[str]:
    """What a machine's disks at home hold, a hash of each."""
    known = place.clouds.azure.everything()
    folder = place.clouds.azure_settings.folder / "disks"
    return [digest_of(folder / f"{known[disk]['properties']['uniqueId']}.raw") for disk in original.disks.values()]


def digest_of(file: Path) -> str:
    """Of a sparse file's bytes: what's zeros counts as nothing, written or not."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        for start, end in data_ranges(content.fileno(), 0, file.stat().st_size):
            for at in range(start, end, MIB):
                content.seek(at)
                data = content.read(min(MIB, end - at))
                if data.strip(b"\0"):
                    digest.update(b"%d " % at + data)
    return digest.hexdigest()


def holds(place: Place) -> set[tuple[str, datetime]]:
    """The servers that are held, and since when: one that fails again is held anew."""
    room = DynamoWaitingRoom(place.clouds.client("dynamodb"), place.deployed.outputs["RunLogTable"])
    return {(each.server, each.since) for each in room.everyone() if each.milestone == "hold"}


def given_back(server: ServerHistory) -> Json:
    """What giving a server back came to."""
    (given,) = (each.facts for each in server.stages if each.stage == "give_back")
    assert given is not None, server.stages
    return given


def failure_of(server: ServerHistory) -> tuple[str, str]:
    """The stage that a server failed in, and its error."""
    outcome = outcome_of(server)
    assert outcome.outcome == "failed", outcome
    return outcome.stage, outcome.error


def check_all_as_before(before: Json, after: Json, *home: RecoveryInstance) -> None:
    """Both clouds hold what they held, but for what belongs to servers that are `home`."""
    was, is_now = without(before, *home), without(after, *home)
    for part in was:
        assert is_now[part] == was[part], difference(was[part], is_now[part])


def difference(was: Json, is_now: Json) -> str:
    """Two parts of listings, without what's the same in both."""
    keys = [key for key in {**was, **is_now} if was.get(key) != is_now.get(key)]
    return json.dumps({key: [was.get(key), is_now.get(key)] for key in keys}, indent=1, default=str)


def stop_execution(place: Place, execution: str) -> None:
    """Stop it from outside, as a person does in Step Functions' console."""
    place.clouds.client("stepfunctions").stop_execution(executionArn=execution)


def cleaned_up(place: Place, execution: str) -> Json:
    """Wait until what the rule has started has cleaned up after it; gives what DescribeExecution says of that."""
    prefix, _, run = execution.rpartition(":")
    cleaning = f"{prefix}:clean-up-{run}"
    place.wait_until(lambda: cleaning in _executions(place), f"{cleaning} to be started")
    return place.finish(cleaning)


def _executions(place: Place) -> set[str]:
    arn = place.deployed.outputs["StateMachineArn"]
    pages = place.clouds.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=arn)
    return {each["executionArn"] for page in pages for each in page["executions"]}
