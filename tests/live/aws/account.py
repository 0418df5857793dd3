"""AWS's adapters as the checks use them: all they make is tagged as this run's, and what takes its time is awaited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from failback.clouds.aws.belongings import AwsBelongings
from failback.clouds.aws.machine_images import Ec2MachineImages
from failback.clouds.aws.session import client
from failback.clouds.aws.snapshots import EbsSnapshots
from failback.naming import run_tags
from tests.live.variables import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failback.model.ending import Belonging
    from failback.model.run import Ami

Sdk: TypeAlias = Any
"""boto3 makes its clients when it runs."""


@dataclass(frozen=True)
class Account:
    """The clients of one account and Region."""

    region: str
    run: str
    s3: Sdk
    ebs: Sdk
    ec2: Sdk
    sts: Sdk

    @classmethod
    def of(cls, region: str, run: str) -> Account:
        """By the credentials that AWS's own settings say."""
        return cls(region, run, *(client(name, region=region) for name in ("s3", "ebs", "ec2", "sts")))

    @property
    def tags(self) -> dict[str, str]:
        """What everything is tagged with."""
        return run_tags(self.run, datetime.now(UTC))


class LiveSnapshots(EbsSnapshots):
    """Tagged, by tokens that no other day has used, and completed when `complete` is."""

    def __init__(self, account: Account) -> None:
        super().__init__(account.ebs, account.ec2)
        self._account, self._first_tags = account, account.tags

    def start(self, *, size_gib: int, token: str, tags: Mapping[str, str]) -> str:
        fresh = f"{self._account.run}-{token}"
        return super().start(size_gib=size_gib, token=fresh, tags={**self._first_tags, **tags})

    def complete(self, snapshot: str, *, blocks: int) -> None:
        super().complete(snapshot, blocks=blocks)
        wait_until(lambda: self.state(snapshot) != "pending", f"{snapshot} is completed")


class LiveImages(Ec2MachineImages):
    """Tagged, and found by their names when `register` is done."""

    def __init__(self, account: Account) -> None:
        super().__init__(account.ec2)
        self._tags = account.tags

    def register(self, name: str, *, snapshot: str, size_gib: int, tags: Mapping[str, str]) -> Ami:
        made = super().register(name, snapshot=snapshot, size_gib=size_gib, tags={**tags, **self._tags})
        wait_until(lambda: self.find(name) is not None, f"the AMI {name} is found")
        return made


class LiveBelongings(AwsBelongings):
    """Removed when `remove` is done: a snapshot stays in use for a moment after its AMI has gone."""

    def remove(self, belonging: Belonging) -> bool:
        wait_until(lambda: super(LiveBelongings, self).remove(belonging), f"{belonging.id} is removed")
        return True
