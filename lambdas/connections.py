"""What a function is connected to: adapters of AWS and of the run's home, each made when it's first asked for.

The only place that knows which adapter stands behind which port. The SDKs follow AWS's own variables for endpoints by
themselves, so that the embedded clouds need no code here but the home's addresses.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from failback.clouds.aws.belongings import AwsBelongings
from failback.clouds.aws.client_iso import published_iso
from failback.clouds.aws.client_keys import StsKeyMint
from failback.clouds.aws.decision_book import DynamoDecisionBook
from failback.clouds.aws.documents import SsmDocuments
from failback.clouds.aws.executions import StepExecutions
from failback.clouds.aws.federation import secret_text, web_identity_token
from failback.clouds.aws.hooks import LambdaHooks
from failback.clouds.aws.hosts import Ec2Hosts
from failback.clouds.aws.launch_book import DynamoLaunchBook
from failback.clouds.aws.launches import DrsLaunches
from failback.clouds.aws.machine_images import Ec2MachineImages
from failback.clouds.aws.objects import S3Objects, S3Uploads
from failback.clouds.aws.recovery import DrsRecovery
from failback.clouds.aws.refusals import foreign, translate
from failback.clouds.aws.run_log import DynamoRunLog
from failback.clouds.aws.server_book import DynamoServerBook
from failback.clouds.aws.session import ATTEMPTS, FEW_ATTEMPTS, client
from failback.clouds.aws.snapshots import EbsSnapshots
from failback.clouds.aws.targets import SsmTargets
from failback.clouds.aws.task_tokens import StepTokens
from failback.clouds.aws.waiting_room import DynamoWaitingRoom
from failback.clouds.aws.watcher import LambdaWatcher
from failback.clouds.probes import SocketProbes
from failback.home_ports import WayIn
from failback.image.grub import load_grub
from failback.settings import FunctionSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from failback.clean_up import Executions
    from failback.errors import FailbackError
    from failback.home_ports import Home
    from failback.image.grub import GrubImages
    from failback.model.run import PublishedIso, RunState
    from failback.ports import (
        Belongings,
        Clock,
        MachineImages,
        ObjectStore,
        RunLog,
        SnapshotStore,
        UploadStore,
        Watcher,
    )
    from failback.recovery_ports import (
        DecisionBook,
        Documents,
        KeyMint,
        LaunchBook,
        RecoveryHosts,
        RecoveryLaunches,
        RecoveryService,
        ServerBook,
        TaskTokens,
        WaitingRoom,
    )
    from failback.takeover_ports import Hooks, Probes

T = TypeVar("T")
ENDPOINTS = {
    "arm": "azure_arm",
    "authority": "azure_authority",
    **{name: name for name in ("google_compute", "google_storage", "google_sts", "google_iam", "google_oauth")},
}
"""What the homes' adapters call the addresses of their clouds, and the settings that they stand in."""


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SetClock:
    """The real time, put forward by the seconds that stand in a file: the embedded clouds' clock can be set."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(self._file.read_text()))


class Connections:
    """The surroundings of one function."""

    def __init__(self, settings: FunctionSettings) -> None:
        self.settings = settings
        self.clock: Clock = SetClock(Path(settings.clock_file)) if settings.clock_file else SystemClock()
        self._homes: dict[str, Home] = {}

    @property
    def deadline(self) -> timedelta:
        return timedelta(minutes=self.settings.deadline_minutes)

    @cached_property
    def run_log(self) -> RunLog:
        return DynamoRunLog(client("dynamodb"), self.settings.table)

    @cached_property
    def servers(self) -> ServerBook:
        return DynamoServerBook(client("dynamodb"), self.settings.table)

    @cached_property
    def waiting_room(self) -> WaitingRoom:
        return DynamoWaitingRoom(client("dynamodb"), self.settings.table)

    @cached_property
    def recovery(self) -> RecoveryService:
        # The watcher's lease is shorter than what throttled batches would take, and it comes again in a minute.
        attempts = FEW_ATTEMPTS if self.settings.stage == "watch" else ATTEMPTS
        return DrsRecovery(client("drs", attempts=attempts), now=self.clock.now)

    @cached_property
    def hosts(self) -> RecoveryHosts:
        return Ec2Hosts(client("ec2"))

    @cached_property
    def decisions(self) -> DecisionBook:
        return DynamoDecisionBook(client("dynamodb"), self.settings.table)

    @cached_property
    def launch_book(self) -> LaunchBook:
        return DynamoLaunchBook(client("dynamodb"), self.settings.table)

    @cached_property
    def launches(self) -> RecoveryLaunches:
        return DrsLaunches(client("drs", attempts=FEW_ATTEMPTS))

    @cached_property
    def documents(self) -> Documents:
        return SsmDocuments(client("ssm"))

    @cached_property
    def hooks(self) -> Hooks:
        # A customer's function may take minutes: called again by the SDK, it would be at it twice.
        return LambdaHooks(client("lambda", attempts=1))

    @cached_property
    def probes(self) -> Probes:
        return SocketProbes()

    @cached_property
    def executions(self) -> Executions:
        return StepExecutions(client("stepfunctions"), self.settings.state_machine)

    @cached_property
    def task_tokens(self) -> TaskTokens:
        return StepTokens(client("stepfunctions"))

    @cached_property
    def watcher(self) -> Watcher:
        return LambdaWatcher(client("lambda"), self.settings.watcher)

    @cached_property
    def key_mint(self) -> KeyMint:
        return StsKeyMint(client("sts"))

    @cached_property
    def objects(self) -> ObjectStore:
        return S3Objects(client("s3"), self.settings.bucket)

    @cached_property
    def uploads(self) -> UploadStore:
        return S3Uploads(client("s3"), self.settings.bucket)

    @cached_property
    def snapshots(self) -> SnapshotStore:
        return EbsSnapshots(client("ebs"), client("ec2"))

    @cached_property
    def machine_images(self) -> MachineImages:
        return Ec2MachineImages(client("ec2"))

    @cached_property
    def belongings(self) -> Belongings:
        return AwsBelongings(client("ec2"), client("s3"), self.settings.bucket)

    @cached_property
    def targets(self) -> SsmTargets:
        return SsmTargets(client("ssm"), self.settings.targets)

    @cached_property
    def grub(self) -> GrubImages:
        return load_grub(Path(self.settings.grub))

    def published_iso(self, version: str) -> PublishedIso:
        """The client ISO as AWS publishes it in this Region."""
        return published_iso(client("s3"), region=self.settings.region, version=version)

    def iso_bucket(self, published: PublishedIso) -> ObjectStore:
        """The bucket that AWS publishes it in: only as long as it's AWS's."""
        return S3Objects(client("s3"), published.bucket, owner=published.owner)

    def home(self, state: RunState) -> Home:
        """The home of the run's target; the adapter comes by its name: a function carries that of its own home only."""
        if state.target.name not in self._homes:
            adapter: Any = import_module(f"failback.clouds.{state.target.home}.connection")
            self._homes[state.target.name] = adapter.connect(state.target, self._way_in())
        return self._homes[state.target.name]

    def _way_in(self) -> WayIn:
        return WayIn(
            token=lambda audience: web_identity_token(client("sts"), audience),
            secret=lambda arn: secret_text(client("secretsmanager"), arn),
            endpoints={name: getattr(self.settings, field) for name, field in ENDPOINTS.items()},
            clock=self.clock,
            slice_mib=self.settings.slice_mib,
        )

    @property
    def foreign(self) -> tuple[type[Exception], ...]:
        """The errors of all SDKs that are in use here."""
        return (*foreign(), *(error for home in self._homes.values() for error in home.foreign))

    def guard(self, call: Callable[[], T]) -> T:
        """Make a call; an SDK's error comes out as one of our own vocabulary."""
        try:
            return call()
        except self.foreign as error:
            raise self.translate(error) from error

    def translate(self, error: Exception) -> FailbackError:
        """An SDK's error in our own vocabulary."""
        for home in self._homes.values():
            if isinstance(error, home.foreign):
                return home.translate(error)
        return translate(error)


@cache
def connect() -> Connections:
    """This function's connections, made with its first event and kept while it's warm."""
    return Connections(FunctionSettings.from_environment(os.environ))
