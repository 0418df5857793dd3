"""The agent as a script: the same questions and the same marks in the same order as failback/image/agent/agent.sh."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.errors import SettingsInvalid
from localcloud.guests.client import ClientFailed, ClientTask, Credentials
from localcloud.guests.home_machine import name_of, unit_of
from localcloud.guests.marks import MARK
from localcloud.guests.scripted_calls import CallFailed, ScriptedCalls

if TYPE_CHECKING:
    from failback.model.agent import AgentSettings, DiskMapping
    from localcloud.guests.boot_look import ClientDisk
    from localcloud.guests.guest import Guest
    from localcloud.guests.home_machine import MachineDisk
    from localcloud.guests.scripted import GuestPlan

    # Recovery device, local device, and its disk unless the volume is excluded.
    _Mapped = tuple[str, str, MachineDisk | None]

# Seconds, as in agent.sh: waits double from the first to the longest; a failure is said again; questions' deadlines.
FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
REPEAT = 60.0
SETTINGS_DEADLINE, CREDENTIALS_DEADLINE, KEYS_DEADLINE = 900.0, 900.0, 3600.0
_MARK_LIMIT = 4000
_STATE_SIZE = 512


class SwitchedOff(Exception):
    """The machine was turned off from outside."""


class _Failed(Exception):
    """The agent gives up at a step."""

    def __init__(self, why: str, *, step: str) -> None:
        super().__init__(why)
        self.step = step


@dataclass(slots=True)
class ScriptedAgent:
    """One boot's agent, in a machine that booted from `disk`."""

    guest: Guest
    disk: ClientDisk
    calls: ScriptedCalls
    plan: GuestPlan
    _settings: AgentSettings | None = field(default=None)

    def run(self) -> None:
        """All of it; returns where the agent powers off, raises SwitchedOff where the machine is turned off."""
        try:
            self._whole_way()
        except _Failed as failure:
            while True:
                self._say(f"failed {failure.step} {failure}")
                self._pause(REPEAT)

    def _whole_way(self) -> None:
        self._mark("started", f"image={self.disk.image}")
        settings = self._taken_settings()
        whom = f"run={settings.run} server={settings.server}"
        self._mark("settings", f"{self.calls.cloud} {whom} recovery-instance={settings.recovery_instance or ''}")
        if settings.prepare:
            self._mark("ready", whom)
            self._mark("poweroff", "ready")
            return
        instance = settings.recovery_instance
        if self._state() == _completed_line(settings):
            self._mark("already-completed", f"{instance} run={settings.run}")
            self._mark("poweroff", "already-completed")
            return
        credentials = self._obtained_credentials(settings)
        mapping = self._mapped(settings)
        self._mark("mapping", _mapping_text(mapping))
        self._mark("client-start", f"{self.disk.client} for {instance} in {settings.region}")
        self._mark("client-running", "(no output yet)")
        self._run_client(settings, credentials, mapping)
        self._note_completion(settings)
        self._mark("completed", f"{instance} the client asked for its restart")
        self._mark("poweroff", "completed")

    def _run_client(self, settings: AgentSettings, credentials: Credentials, mapping: list[_Mapped]) -> None:
        if self.plan.client is None:
            return
        task = ClientTask(
            settings=settings,
            credentials=credentials,
            files={volume: disk.path for volume, _, disk in mapping if disk},
            devices={volume: device for volume, device, disk in mapping if disk},
            spec=self.guest.spec,
            stopping=self.guest.stopping,
            say=lambda line: self._say(f"client-running {line}"),
        )
        try:
            launched = self.plan.client(task)
        except ClientFailed as failure:
            why = f"exit=1 last line: {failure}"
            raise _Failed(why, step="client") from failure
        if not launched:
            # The client ends without a launch only with its machine.
            self.guest.stopping.wait()
            raise SwitchedOff

    def _taken_settings(self) -> AgentSettings:
        waits = self._waits(SETTINGS_DEADLINE)
        while True:
            try:
                return self.calls.settings()
            except SettingsInvalid as error:
                raise _Failed(str(error), step="settings") from error
            except CallFailed as error:
                if not next(waits):
                    why = f"the metadata service gave none in {SETTINGS_DEADLINE:g} s: {error}"
                    raise _Failed(why, step="settings") from error

    def _obtained_credentials(self, settings: AgentSettings) -> Credentials:
        keys = self._await_keys if settings.credentials == "keys" else self._await_role
        credentials = keys(settings)
        self._mark("credentials", f"received {settings.credentials}")
        return credentials

    def _await_role(self, settings: AgentSettings) -> Credentials:
        waits, told = self._waits(CREDENTIALS_DEADLINE), ""
        while True:
            try:
                return self.calls.assume_role(settings)
            except CallFailed as error:
                if not error.passing:
                    raise _Failed(str(error), step="credentials") from error
                if str(error) != told:
                    self._say(f"credentials waiting {error}")
                told = str(error)
                if not next(waits):
                    raise _Failed(told, step="credentials") from error

    def _await_keys(self, settings: AgentSettings) -> Credentials:
        waits, current = self._waits(KEYS_DEADLINE), settings
        if current.access_key is None:
            self._mark("credentials-wanted", f"{settings.run} {settings.server}")
        while current.access_key is None:
            if not next(waits):
                why = f"no keys came in {KEYS_DEADLINE:g} s after credentials-wanted"
                raise _Failed(why, step="credentials")
            current = self._refreshed(current)
        return _given(current)

    def _refreshed(self, settings: AgentSettings) -> AgentSettings:
        """Newer settings if they're whole and of the same run, server and recovery instance."""
        try:
            new = self.calls.settings()
        except (CallFailed, SettingsInvalid):
            return settings
        names = ("run", "server", "recovery_instance")
        return new if all(getattr(new, name) == getattr(settings, name) for name in names) else settings

    def _mapped(self, settings: AgentSettings) -> list[_Mapped]:
        """Recovery device, local device and disk of each mapping; disks are there from the start, so no waiting."""
        data: tuple[MachineDisk, ...] = self.guest.spec.data_disks
        names = {each.resource_id: f"/dev/sd{chr(ord('b') + index)}" for index, each in enumerate(data)}
        result: list[_Mapped] = []
        for each in settings.mapping:
            fitting = [disk for disk in data if self._fits(disk, each)]
            if each.exclude:
                result.append((each.recovery_device, "EXCLUDE", None))
            elif len(fitting) == 1 and fitting[0] not in [disk for _, _, disk in result]:
                result.append((each.recovery_device, names[fitting[0].resource_id], fitting[0]))
            else:
                what = "no disk fits" if not fitting else f"{len(fitting)} disks fit, or one is taken"
                why = f"mapping {each.to_text()}: {what}"
                raise _Failed(why, step="mapping")
        return result

    def _fits(self, disk: MachineDisk, wanted: DiskMapping) -> bool:
        if wanted.exclude:
            return False
        lun = unit_of(self.guest.spec, disk)
        pairs = ((wanted.lun, lun), (wanted.size, disk.size), (wanted.name, name_of(disk)))
        return all(want in (None, found) for want, found in pairs)

    def _state(self) -> str:
        with self.guest.spec.os_disk.path.open("rb") as file:
            file.seek(self.disk.state_offset)
            return file.read(_STATE_SIZE).rstrip(b"\0").decode("ascii", "replace").partition("\n")[0]

    def _note_completion(self, settings: AgentSettings) -> None:
        with self.guest.spec.os_disk.path.open("r+b") as file:
            file.seek(self.disk.state_offset)
            file.write(f"{_completed_line(settings)}\n".encode("ascii").ljust(_STATE_SIZE, b"\0"))

    def _mark(self, state: str, detail: str) -> None:
        """Say a mark, in its own time, unless it's the one that the plan lets fail."""
        self._pause(self.plan.delay)
        if state == self.plan.fails_at:
            why = "as planned"
            raise _Failed(why, step=state)
        self._say(f"{state} {detail}")

    def _say(self, text: str) -> None:
        line = re.sub(r"[^ -~]+", " ", f"{MARK} {text}")
        self.guest.write(line[:_MARK_LIMIT])

    def _waits(self, deadline: float) -> _Waits:
        return _Waits(self, deadline)

    def _pause(self, seconds: float) -> None:
        if self.guest.stopping.wait(seconds):
            raise SwitchedOff


@dataclass(slots=True)
class _Waits:
    """Waits that double; `next` gives False, at once, when the deadline's seconds have been waited."""

    agent: ScriptedAgent
    left: float
    seconds: float = FIRST_WAIT

    def __next__(self) -> bool:
        if self.left <= 0:
            return False
        self.agent._pause(self.seconds)
        self.left -= self.seconds
        self.seconds = min(2 * self.seconds, LONGEST_WAIT)
        return True


def _completed_line(settings: AgentSettings) -> str:
    return f"DRS-FAILBACK-STATE 1 completed {settings.recovery_instance} {settings.run}"


def _given(settings: AgentSettings) -> Credentials:
    """The keys that stand in the settings themselves."""
    secrets = (settings.access_key, settings.secret_key, settings.session_token)
    return Credentials(*(secret.get_secret_value() if secret else "" for secret in secrets))


def _mapping_text(mapping: list[_Mapped]) -> str:
    """As the client takes it: a list where a name has a colon, else pairs."""
    if not any(":" in volume for volume, _, _ in mapping):
        return ",".join(f"{volume}={device}" for volume, device, _ in mapping)
    names = ("recoveryInstanceDeviceName", "failbackClientDeviceName")
    pairs = [dict(zip(names, (volume, device), strict=True)) for volume, device, _ in mapping]
    return json.dumps(pairs, separators=(",", ":"))
