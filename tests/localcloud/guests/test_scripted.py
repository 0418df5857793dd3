"""Scripted machines: the contract that real ones fulfil too, and every way in which a boot goes wrong."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from failback.errors import MachineError
from failback.image.gpt import read_partitions
from failback.image.layout import CORE_PARTITION, ISO_OFFSET, STATE_PARTITION, SYSTEM_OFFSET
from failback.image.source import FileSource
from failback.model.agent import AgentSettings
from localcloud.guests.azure_machine import disk_serial
from localcloud.guests.client import ClientFailed
from localcloud.guests.scripted import GuestPlan, ScriptedDriver
from localcloud.guests.surroundings import STS_ADDRESS, recovery_forward, sts_forward
from localcloud.machines.spec import Forward
from localcloud.metadata_azure import issuer
from localcloud.sts import RoleTrust, SecurityTokenService
from localcloud.tokens import TokenSigner
from tests.localcloud.azure.clients import SIGNER
from tests.localcloud.guests.contract import SETTINGS, azure_of, check_boot_test, marks, wait_for
from tests.localcloud.guests.machines import IDENTITY, TARGET_SIZE, disk, machine

if TYPE_CHECKING:
    from pathlib import Path

    from localcloud.guests.client import ClientTask
    from localcloud.guests.guest import Guest
    from localcloud.guests.home_machine import MachineSpec
    from localcloud.guests.scripted import Behaviour
    from localcloud.machines.spec import Firmware

pytestmark = pytest.mark.embedded

ROLE, WANTED_AUDIENCE = "arn:aws:iam::123456789012:role/failback-client", "api://drs-failback"
INSTANCE = "i-0123456789abcdef0"
WHOLE: dict[str, Any] = {"run": "run-1", "server": "web-1", "region": "eu-west-1", "recovery_instance": INSTANCE}


def keys_settings(**changes: object) -> AgentSettings:
    mapping = [{"recovery_device": "/dev/nvme0n1", "lun": 3, "size": TARGET_SIZE}]
    return AgentSettings.parse(WHOLE | {"credentials": "keys", "mapping": mapping} | changes)


KEYS = {"access_key": "ASIA" + "A" * 16, "secret_key": "s" * 40, "session_token": "t" * 40}


def ended(guest: Guest) -> list[str]:
    """The marks of a machine that powers itself off."""
    wait_for(lambda: not guest.is_running, 10, what=lambda: guest.console().decode())
    return marks(guest.console())


def said(guest: Guest, text: str) -> str:
    """The console of a machine that stays on once it has said this."""
    wait_for(lambda: text in guest.console().decode(), 10, what=lambda: guest.console().decode())
    assert guest.is_running
    return guest.console().decode()


@pytest.mark.parametrize("generation", ["V1", "V2"])
def test_a_scripted_machine_boots_a_managed_disk_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_image: Path, generation: str
) -> None:
    plan = GuestPlan(delay=0.1)
    with (
        ScriptedDriver(tmp_path / "machines", plan=plan, signer=SIGNER) as driver,
        azure_of(driver, tmp_path / "azure", monkeypatch) as azure,
    ):
        check_boot_test(azure, client_image, generation=generation, seconds=20)
        (guest,) = driver.guests
    assert [request.status for request in guest.requests] == [200]


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize(
    ("at", "length", "text"),
    [
        (512, 512, "No bootable device"),
        (SYSTEM_OFFSET, 512, "No bootable device"),
        (ISO_OFFSET + 32768, 512, "unknown filesystem"),
    ],
    ids=["table", "system", "iso"],
)
def test_a_disk_that_is_damaged_does_not_boot_and_stays_on(
    tmp_path: Path, client_image: Path, firmware: Firmware, at: int, length: int, text: str
) -> None:
    damaged = disk(tmp_path, image=client_image)
    with damaged.path.open("r+b") as file:
        file.seek(at)
        file.write(bytes(length))
    with ScriptedDriver(tmp_path / "machines") as driver:
        guest = driver.start(machine(damaged, SETTINGS, firmware=firmware))
        assert marks(said(guest, text).encode()) == []
        guest.stop()
        assert not guest.is_running
    assert guest.requests == ()


def test_boot_code_is_a_matter_of_bios_and_a_grown_disk_of_none(tmp_path: Path, client_image: Path) -> None:
    plain = disk(tmp_path, image=client_image)
    with plain.path.open("r+b") as file:
        file.write(bytes(440))
        file.truncate(plain.size + (1 << 30))
    with ScriptedDriver(tmp_path / "machines") as driver:
        said(driver.start(machine(plain, SETTINGS)), "No bootable device")
        assert ended(driver.start(machine(plain, SETTINGS, firmware="uefi")))[-1] == "poweroff"


def test_a_core_that_is_not_where_the_boot_code_leads(tmp_path: Path, client_image: Path) -> None:
    moved = disk(tmp_path, image=client_image)
    with FileSource(moved.path) as source:
        core = read_partitions(source)[CORE_PARTITION - 1].offset
    with moved.path.open("r+b") as file:
        file.seek(core)
        file.write(bytes(512))
    with ScriptedDriver(tmp_path / "machines") as driver:
        said(driver.start(machine(moved, SETTINGS)), "No bootable device")


@pytest.mark.parametrize(
    ("behaviour", "text"), [("panics", "Kernel panic"), ("no-boot", "No bootable device"), ("silent", "")]
)
def test_planned_behaviours_stay_on_without_a_mark(
    tmp_path: Path, client_image: Path, behaviour: Behaviour, text: str
) -> None:
    with ScriptedDriver(tmp_path / "machines", plan=GuestPlan(behaviour)) as driver:
        guest = driver.start(machine(disk(tmp_path, image=client_image), SETTINGS))
        console = said(guest, text)
        assert (marks(console.encode()), bool(console)) == ([], bool(text))
    assert not guest.is_running


def test_a_mark_fails_as_planned_for_the_machine_that_is_meant(tmp_path: Path, client_image: Path) -> None:
    plans = {"server": GuestPlan(fails_at="ready")}
    with ScriptedDriver(tmp_path / "machines", plan=lambda spec: plans[spec.name]) as driver:
        guest = driver.start(machine(disk(tmp_path, image=client_image), SETTINGS))
        console = said(guest, "FAILBACK-AGENT failed ready as planned")
        assert marks(console.encode()) == ["started", "settings", "failed"]


def test_a_closed_driver_starts_nothing_and_leaves_no_thread(tmp_path: Path, client_image: Path) -> None:
    spec = machine(disk(tmp_path, image=client_image))
    driver = ScriptedDriver(tmp_path / "machines")
    guest = driver.start(spec)
    assert "FAILBACK-AGENT started image=" in said(guest, "started")
    began = time.monotonic()
    driver.close()
    assert time.monotonic() - began < 2
    assert not guest.is_running
    with pytest.raises(MachineError, match="closed"):
        driver.start(spec)


def test_settings_may_come_late_but_not_with_faults(tmp_path: Path, client_image: Path) -> None:
    os_disk = disk(tmp_path, image=client_image)
    with ScriptedDriver(tmp_path / "machines") as driver:
        late = driver.start(machine(os_disk))
        said(late, "started")
        late.refresh(machine(os_disk, SETTINGS))
        assert ended(late) == ["started", "settings", "ready", "poweroff"]
        spec = machine(os_disk, SETTINGS.model_copy(update={"run": "a run"}))
        console = said(driver.start(spec), "failed settings")
        assert "run: " in console


def test_a_failback_with_this_machines_identity(tmp_path: Path, client_image: Path) -> None:
    signer = TokenSigner()
    trust = RoleTrust(issuer=issuer(IDENTITY.tenant), audience=WANTED_AUDIENCE, subject=IDENTITY.principal_id)
    sts = SecurityTokenService(issuers={trust.issuer: signer.public_key}, roles={ROLE: trust}, names=(STS_ADDRESS,))
    targets = [disk(tmp_path, lun=lun) for lun in (0, 3)]
    mapping = [
        {"recovery_device": "/dev/xvda", "lun": 3},
        {"recovery_device": "/dev/xvdb", "name": disk_serial(targets[0])},
        {"recovery_device": "/dev/xvdc", "exclude": True},
    ]
    settings = AgentSettings.parse(
        WHOLE
        | {"credentials": "web-identity", "role_arn": ROLE, "audience": WANTED_AUDIENCE, "role_session": "web-1"}
        | {"sts_endpoint": f"https://{STS_ADDRESS}/", "ca_certificates": sts.ca_certificates, "mapping": mapping}
    )
    tasks: list[ClientTask] = []

    def client(task: ClientTask) -> bool:
        tasks.append(task)
        task.say("replicating")
        return True

    os_disk = disk(tmp_path, image=client_image)
    spec = machine(os_disk, settings, data=targets)
    with sts.serve() as url:
        plan, forwards = GuestPlan(client=client), (sts_forward(url),)
        with ScriptedDriver(tmp_path / "machines", plan=plan, forwards=forwards, signer=signer) as driver:
            first = driver.start(spec)
            assert ended(first) == [
                *("started", "settings", "credentials", "mapping", "client-start", "client-running"),
                *("client-running", "completed", "poweroff"),
            ]
            assert ended(driver.start(spec)) == ["started", "settings", "already-completed", "poweroff"]
    text = first.console().decode()
    assert "mapping /dev/xvda=/dev/sdc,/dev/xvdb=/dev/sdb,/dev/xvdc=EXCLUDE" in text
    (task,) = tasks
    assert task.files == {"/dev/xvda": targets[1].path, "/dev/xvdb": targets[0].path}
    assert task.devices == {"/dev/xvda": "/dev/sdc", "/dev/xvdb": "/dev/sdb"}
    assert (task.address, task.settings.run) == ("10.20.0.4", "run-1")
    (session,) = sts.sessions
    given = task.credentials
    assert (given.access_key, given.secret_key) == (session.access_key, session.secret_key)
    assert given.session_token == session.session_token
    assert session.secret_key not in repr(task)
    assert session.session_name == "web-1"
    assert session.secret_key not in text
    with FileSource(os_disk.path) as source:
        state = source.read(read_partitions(source)[STATE_PARTITION - 1].offset, 512)
    assert state.rstrip(b"\0\n") == f"DRS-FAILBACK-STATE 1 completed {INSTANCE} run-1".encode()


@pytest.mark.parametrize("reach", ["no forward", "no trust"])
def test_an_identity_that_sts_does_not_know_yet_is_shown_again(tmp_path: Path, client_image: Path, reach: str) -> None:
    sts = SecurityTokenService(issuers={}, roles={}, names=(STS_ADDRESS,))
    given = {"credentials": "web-identity", "role_arn": ROLE, "audience": WANTED_AUDIENCE, "role_session": "web-1"}
    given |= {"sts_endpoint": f"https://{STS_ADDRESS}/", "ca_certificates": sts.ca_certificates}
    settings = keys_settings(**given)
    spec = machine(disk(tmp_path, image=client_image), settings, data=[disk(tmp_path, lun=3)])
    with sts.serve() as url:
        forwards = (sts_forward(url),) if reach == "no trust" else ()
        with ScriptedDriver(tmp_path / "machines", forwards=forwards) as driver:
            console = said(driver.start(spec), "credentials waiting")
            none = said(driver.start(machine(spec.os_disk, settings, identities=())), "credentials waiting")
    assert ("InvalidIdentityToken" in console) == (reach == "no trust")
    assert "no identity from the metadata service: HTTP 400" in none


def test_keys_are_asked_for_and_taken_from_newer_settings_of_the_same_run(tmp_path: Path, client_image: Path) -> None:
    os_disk, target = disk(tmp_path, image=client_image), disk(tmp_path, lun=3)
    with ScriptedDriver(tmp_path / "machines") as driver:
        guest = driver.start(machine(os_disk, keys_settings(), data=[target]))
        assert "credentials-wanted run-1 web-1" in said(guest, "credentials-wanted")
        guest.refresh(machine(os_disk, keys_settings(run="run-2", **KEYS), data=[target]))
        time.sleep(0.7)
        assert guest.is_running
        guest.refresh(machine(os_disk, keys_settings(**KEYS), data=[target]))
        assert "credentials-wanted" in ended(guest)
        assert KEYS["secret_key"] not in guest.console().decode()


def test_a_client_that_fails_says_why_and_its_machine_stays_on(tmp_path: Path, client_image: Path) -> None:
    def client(task: ClientTask) -> bool:
        message = f"no launch for {task.credentials.access_key}"
        raise ClientFailed(message)

    spec = machine(disk(tmp_path, image=client_image), keys_settings(**KEYS), data=[disk(tmp_path, lun=3)])
    with ScriptedDriver(tmp_path / "machines", plan=GuestPlan(client=client)) as driver:
        said(driver.start(spec), f"failed client exit=1 last line: no launch for {KEYS['access_key']}")


def test_a_client_ends_with_its_machine_and_completes_nothing(tmp_path: Path, client_image: Path) -> None:
    os_disk = disk(tmp_path, image=client_image)
    spec = machine(os_disk, keys_settings(**KEYS), data=[disk(tmp_path, lun=3)])
    plan = GuestPlan(client=lambda task: not task.stopping.wait(20))
    with ScriptedDriver(tmp_path / "machines", plan=plan) as driver:
        guest = driver.start(spec)
        said(guest, "client-running")
        guest.stop()
        assert marks(guest.console())[-1] == "client-running"
        assert "client-running" in said(driver.start(spec), "client-running")


def test_what_a_machine_reaches_is_looked_up_at_its_start(tmp_path: Path, client_image: Path) -> None:
    there: list[str] = []

    def surroundings(spec: MachineSpec) -> list[Forward]:
        return [recovery_forward(f"169.254.64.{number}", to_port=1) for number, _ in enumerate(there)]

    spec = machine(disk(tmp_path, image=client_image))
    forwards = (sts_forward("https://127.0.0.1:2"),)
    with ScriptedDriver(tmp_path / "machines", forwards=forwards, surroundings=surroundings) as driver:
        assert driver.reach(spec) == forwards
        there.append("an instance")
        assert driver.reach(spec) == (*forwards, Forward("169.254.64.0", 1500, 1, announced=True))


def test_mappings_that_fit_no_disk_or_have_colons(tmp_path: Path, client_image: Path) -> None:
    os_disk, target = disk(tmp_path, image=client_image), disk(tmp_path, lun=3)
    with ScriptedDriver(tmp_path / "machines") as driver:
        spec = machine(os_disk, keys_settings(**KEYS), data=[disk(tmp_path, lun=4)])
        assert "no disk fits" in said(driver.start(spec), "failed mapping")
        mapping = [{"recovery_device": "c:0", "lun": 3}]
        guest = driver.start(machine(os_disk, keys_settings(mapping=mapping, **KEYS), data=[target]))
        ended(guest)
    (line,) = [each for each in guest.console().decode().splitlines() if " mapping " in each]
    assert json.loads(line.partition(" mapping ")[2]) == [
        {"recoveryInstanceDeviceName": "c:0", "failbackClientDeviceName": "/dev/sdb"}
    ]


def test_a_later_driver_keeps_the_consoles_of_an_earlier_one(tmp_path: Path, client_image: Path) -> None:
    spec = machine(disk(tmp_path, image=client_image), SETTINGS)
    texts = []
    for _ in range(2):
        with ScriptedDriver(tmp_path / "machines") as driver:
            guest = driver.start(spec)
            ended(guest)
            texts.append(guest.console())
    assert len(list((tmp_path / "machines").iterdir())) == 2
    assert all(texts)
