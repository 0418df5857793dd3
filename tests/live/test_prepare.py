"""A whole preparation on a deployed stack, by the command's own functions; then all that it has made is removed."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.deployment import Where, connect_stack
from cli.runs import checked_request, run_name
from failback.clouds.aws.belongings import AwsBelongings
from failback.clouds.aws.session import client
from tests.live.azure.conftest import connected, read_target
from tests.live.giving_back import give_back
from tests.live.variables import AWS_REGION, AZURE_TARGET, STACK, STACK_TARGET, look_seconds, needed

if TYPE_CHECKING:
    from cli.deployment import Deployment, Execution

# Two hours are twice what a client image of 4 GiB takes at 10 MB/s, everything anew.
LONGEST_SECONDS = 2 * 3600


@pytest.mark.timeout(LONGEST_SECONDS + 1800)
def test_a_target_is_prepared() -> None:
    stack = needed(STACK, "the stack's name")
    target = needed(STACK_TARGET, "the name of one of the stack's targets")
    region = needed(AWS_REGION, "the stack's Region")
    deployment = connect_stack(Where(local=Path(), stack=stack, region=region))
    name = run_name(f"live-{target}"[:30], datetime.now(UTC))
    request = checked_request(target, iso_version=None, ami=None, run=name)
    print(deployment.start(name, request.model_dump_json(exclude_none=True)))
    try:
        ended = finished(deployment, name)
        assert (ended.status, ended.error, ended.cause) == ("SUCCEEDED", "", "")
        history = deployment.run_log.read(name)
        assert history is not None
        assert history.record.status == "done"
        print("\n".join(f"{each.stage}: {each.status}, {each.calls} calls" for each in history.stages))
        assert {each.status for each in history.stages} == {"done"}
    finally:
        remove(stack, region, name)


def finished(deployment: Deployment, name: str) -> Execution:
    """The run's execution when it has ended."""
    end = time.monotonic() + LONGEST_SECONDS
    while (execution := deployment.execution(name)) is None or execution.status == "RUNNING":
        assert time.monotonic() < end, f"{name} is still running; it goes on, and has to be given back by hand"
        time.sleep(look_seconds())
    return execution


def remove(stack: str, region: str, run: str) -> None:
    """What the run has made, in AWS, and at home where the target's file is given."""
    told = client("cloudformation", region=region).describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    bucket = next(each["OutputValue"] for each in told if each["OutputKey"] == "ImageBucket")
    give_back(AwsBelongings(client("ec2", region=region), client("s3", region=region), bucket), run)
    if not os.environ.get(AZURE_TARGET):
        print(f"At home the client image of run {run} stays: {AZURE_TARGET} isn't set")
        return
    home = connected(read_target()[0])
    with home.place.compute, home.place.network:
        give_back(home.belongings, run)
