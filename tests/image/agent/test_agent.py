"""The agent from its start to the end of the machine, by real shells against the embedded metadata services and STS."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.model.agent import GOOGLE_ATTRIBUTE, AgentSettings, DiskMapping
from localcloud.metadata import MachineDocument, MachineIdentity, MetadataService
from localcloud.serving import serve_application
from localcloud.sts import RoleTrust, SecurityTokenService, StsFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from localcloud.tokens import TokenSigner
    from tests.image.agent.conftest import Machine

GIB = 1 << 30
ROLE = "arn:aws:iam::123456789012:role/client"
IDENTITY = MachineIdentity(subject="104857600000000000001")
INSTANCE = "i-0123456789abcdef0"
COMPLETED = f"DRS-FAILBACK-STATE 1 completed {INSTANCE} run-1\n".encode()
MAPPING = (DiskMapping(recovery_device="/dev/xvda", lun=1),)
KEYS = {
    "access_key": "ASIAABCDEFGHIJKLMNOP",
    "secret_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "session_token": "IQoJb3JpZ2luX2VjEXAMPLETOKEN/" * 8 + "=",
}
# Notes that it ran and with what, reads an answer, says something, and goes on as the test wants.
CLIENT = """#!/bin/sh
/usr/bin/env >'@RECORD@/env.'$$
read -r answer && echo "answer=<$answer>"
echo "key $AWS_ACCESS_KEY secret $AWS_SECRET_KEY"
printf 'Replicating 10%%\\rReplicating 20%%\\n'
while [ -e '@RECORD@/hold' ]; do /bin/sleep 0.05; done
"""
RESTARTING = CLIENT + "eject -m /dev/sr0\nshutdown -r now\n"


class Cloud:
    """The services that one machine talks to, and the settings that it finds there."""

    def __init__(self, name: str, signer: TokenSigner, stack: ExitStack) -> None:
        self.name, self._stack = name, stack
        self.metadata = MetadataService(self._document(name), signer=signer)
        issuer = f"https://sts.windows.net/{IDENTITY.tenant}/" if name == "azure" else "https://accounts.google.com"
        self.trust = RoleTrust(issuer, "api://drs-failback", IDENTITY.subject)
        self.sts = SecurityTokenService(issuers={issuer: signer.public_key}, roles={ROLE: self.trust})
        self.sts_url = stack.enter_context(self.sts.serve())
        self.url = stack.enter_context(self.metadata.serve())

    @staticmethod
    def _document(name: str) -> MachineDocument:
        identity = IDENTITY
        return MachineDocument(cloud="azure" if name == "azure" else "google", vm_id="1", identity=identity)

    def set_text(self, text: str | None) -> None:
        """What the machine is told, or nothing."""
        if self.name == "azure":
            data = None if text is None else base64.b64encode(text.encode()).decode()
            self.metadata.update(user_data=data)
        else:
            self.metadata.update(attributes={} if text is None else {GOOGLE_ATTRIBUTE: text})

    def set(self, **changes: object) -> AgentSettings:
        """Settings with a role, changed as given."""
        fields = self.role_fields() | changes
        settings = AgentSettings.parse({name: value for name, value in fields.items() if value is not None})
        self.set_text(settings.to_text())
        return settings

    def set_keys(self, **keys: object) -> None:
        """Settings that want keys, with or without them."""
        unwanted = dict.fromkeys(("role_arn", "audience", "role_session", "sts_endpoint"))
        self.set(credentials="keys", **unwanted, **keys)

    def role_fields(self) -> dict[str, object]:
        return {
            "run": "run-1",
            "server": "server-1",
            "region": "eu-west-1",
            "recovery_instance": INSTANCE,
            "credentials": "web-identity",
            "role_arn": ROLE,
            "audience": "api://drs-failback",
            "role_session": "run-1",
            "sts_endpoint": f"{self.sts_url}/",
            "ca_certificates": self.sts.ca_certificates,
            "mapping": MAPPING,
        }


@pytest.fixture
def build_cloud(signer: TokenSigner) -> Iterator[Callable[[str], Cloud]]:
    with ExitStack() as stack:
        yield lambda name: Cloud(name, signer, stack)


@pytest.fixture
def cloud(build_cloud: Callable[[str], Cloud]) -> Cloud:
    return build_cloud("azure")


@pytest.fixture
def build(build_machine: Callable[..., Machine]) -> Callable[..., Machine]:
    """A machine with the client's disk, a temp disk, and one disk for the volume."""

    def booted(client: str = RESTARTING, *, shell: str = "dash", vendor: str = "") -> Machine:
        machine = build_machine(shell, client)
        system = machine.system
        system.add_client_disk(system.add_scsi("sda", "0:0:0:0", GIB))
        system.add_scsi("sdb", "1:0:1:0", 16 * GIB)
        system.add_scsi("sdc", "5:0:0:1", 32 * GIB)
        if vendor:
            system.set_vendor(vendor)
        machine.run_hook()
        return machine

    return booted


def environment_of(machine: Machine) -> dict[str, str]:
    """The environment of the one client that ran."""
    (record,) = machine.record.glob("env.*")
    return dict(line.partition("=")[::2] for line in record.read_text().splitlines())


def state_of(machine: Machine) -> bytes:
    return (machine.system.root / "dev/sda4").read_bytes()


@pytest.mark.parametrize(
    ("name", "vendor", "shell"),
    [
        ("azure", "Microsoft Corporation", "dash"),
        ("azure", "QEMU", "bash"),
        ("google", "Google", "bash"),
        ("google", "", "dash"),
    ],
)
def test_whole_way_with_a_role(
    build: Callable[..., Machine], build_cloud: Callable[[str], Cloud], shell: str, name: str, vendor: str
) -> None:
    cloud = build_cloud(name)
    cloud.set(duration=900, drs_endpoint="https://10.0.2.100:4430")
    machine = build(shell=shell, vendor=vendor)
    machine.start_agent(cloud.url)
    marks = machine.wait_off()
    assert machine.states() == [
        *("started", "settings", "credentials", "mapping", "client-start", "client-running", "completed", "poweroff")
    ]
    assert f"settings {name} run=run-1 server=server-1 recovery-instance={INSTANCE}" in marks
    assert "mapping /dev/xvda=/dev/sdc" in marks
    (session,) = cloud.sts.sessions
    environment = environment_of(machine)
    assert (
        environment.items()
        >= {
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY": session.access_key,
            "AWS_SECRET_KEY": session.secret_key,
            "AWS_SESSION_TOKEN": session.session_token,
            "RECOVERY_INSTANCE_ID": INSTANCE,
            "DEVICE_MAPPING": "/dev/xvda=/dev/sdc",
            "NO_PROMPT": "1",
            "S3_ENDPOINT": "",
            "AWS_DRS_ENDPOINT": "https://10.0.2.100:4430",
            "HOME": str(machine.system.root / "home/ec2-user"),
        }.items()
    )
    assert not {"CONFIG_NETWORK", "ACCESS_KEY", "SECRETS", "LC_ALL"} & set(environment)
    assert "answer=<>" in (machine.work / "client/log").read_text()
    assert state_of(machine) == COMPLETED.ljust(512, b"\0")
    assert not list((machine.work / "private").iterdir())
    assert not (machine.record / "systemctl").exists()
    assert machine.errors.read_text() == ""


def test_secrets_are_seen_nowhere(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set()
    machine = build()
    (machine.record / "hold").touch()
    seen: list[bytes] = []
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.append(path.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        machine.start_agent(cloud.url)
        machine.wait_until(lambda: [m for m in machine.marks() if m == "client-running Replicating 20%"])
    finally:
        stopped.set()
        watcher.join()
    (session,) = cloud.sts.sessions
    lines = b"\n".join({*seen, machine.serial.read_bytes(), machine.errors.read_bytes()})
    assert b"eyJ" not in lines
    for secret in (session.access_key, session.secret_key, session.session_token):
        assert secret.encode() not in lines
    held = [path for path in machine.work.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert not [path for path in held if session.secret_key.encode() in path.read_bytes()]
    assert not list((machine.work / "private").iterdir())


def test_secret_in_the_clients_output_is_masked(build: Callable[..., Machine], cloud: Cloud, shell: str) -> None:
    cloud.set_keys(**KEYS)
    machine = build(
        '#!/bin/sh\necho "id=$AWS_ACCESS_KEY key=$AWS_SECRET_KEY\ttoken=$AWS_SESSION_TOKEN"\nexit 3\n', shell=shell
    )
    machine.start_agent(cloud.url)
    assert machine.wait_for("failed") == "failed client exit=3 last line: id=*** key=*** token=***"


def test_keys_are_asked_for_and_taken_when_they_come(
    build: Callable[..., Machine], build_cloud: Callable[[str], Cloud]
) -> None:
    cloud = build_cloud("google")
    cloud.set_keys()
    machine = build()
    machine.start_agent(cloud.url)
    assert machine.wait_for("credentials-wanted", count=2) == "credentials-wanted run-1 server-1"
    cloud.set_text("version=1\nhalf a text")
    cloud.set_keys(**KEYS, recovery_instance="i-99999999")
    time.sleep(0.3)
    assert "credentials" not in machine.states()
    cloud.set_keys(**KEYS)
    assert "credentials received keys" in machine.wait_off()
    assert environment_of(machine)["AWS_SECRET_KEY"] == KEYS["secret_key"]


def test_keys_that_never_come(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys()
    machine = build()
    machine.start_agent(cloud.url, keys_deadline=300)
    assert "no keys came" in machine.wait_for("failed")


def test_preparing_ends_after_the_settings(build: Callable[..., Machine], cloud: Cloud, shell: str) -> None:
    cloud.set_text(AgentSettings(run="run-1", server="boot-test", prepare=True).to_text())
    machine = build(shell=shell)
    machine.start_agent(cloud.url)
    machine.wait_off()
    assert machine.states() == ["started", "settings", "ready", "poweroff"]
    assert not list(machine.record.glob("env.*"))


def test_settings_that_come_late(build: Callable[..., Machine], cloud: Cloud) -> None:
    machine = build()
    port = int(cloud.url.rpartition(":")[2])
    late = MetadataService(cloud.metadata.document, signer=cloud.metadata.signer)
    with late.serve() as url:
        free = int(url.rpartition(":")[2])
    assert free != port
    machine.start_agent(f"http://127.0.0.1:{free}")
    time.sleep(0.8)
    with serve_application(late, port=free):
        time.sleep(0.5)
        assert machine.states() == ["started"]
        cloud.set()
        late.update(user_data=cloud.metadata.document.user_data)
        machine.wait_off()
    assert "completed" in machine.states()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("%%% no base64 %%%", "line 1: isn't name=value"),
        (base64.b64encode(bytes(range(256))).decode(), "bytes other than printable ASCII"),
        (base64.b64encode(b"<html>busy</html>").decode(), "line 1: isn't name=value; version: is missing; run: is"),
        (base64.b64encode(b"version=1\nrun=$(reboot)\n").decode(), "run: is faulty"),
    ],
)
def test_garbage_for_settings(build: Callable[..., Machine], cloud: Cloud, data: str, said: str) -> None:
    cloud.metadata.update(user_data=data)
    machine = build()
    machine.start_agent(cloud.url)
    assert said in machine.wait_for("failed", count=2)
    assert machine.states() == ["started", "failed"]
    assert not machine.powered_off.exists()


def test_no_settings_at_all(build: Callable[..., Machine], cloud: Cloud) -> None:
    machine = build()
    machine.start_agent(cloud.url, settings_deadline=200, on_failure="poweroff")
    machine.wait_off()
    assert machine.states() == ["started", "failed", "poweroff"]
    assert "azure HTTP 404 google HTTP 400;" in machine.wait_for("failed")


def test_role_that_isnt_known_yet(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set()
    cloud.sts.fail_next(StsFault(503, "ServiceUnavailable", "Slow down"), StsFault(400, "Throttling", "Rate exceeded"))
    cloud.sts.trust(ROLE, RoleTrust(cloud.trust.issuer, cloud.trust.audience, "somebody else"))
    machine = build()
    machine.start_agent(cloud.url)
    machine.wait_until(lambda: [mark for mark in machine.marks() if "AccessDenied" in mark])
    cloud.sts.trust(ROLE, cloud.trust)
    waits = [mark for mark in machine.wait_off() if mark.startswith("credentials waiting")]
    assert waits == [
        "credentials waiting STS: HTTP 503 ServiceUnavailable Slow down",
        "credentials waiting STS: HTTP 400 Throttling Rate exceeded",
        "credentials waiting STS: HTTP 403 AccessDenied Not authorized to perform sts:AssumeRoleWithWebIdentity",
    ]


@pytest.mark.parametrize(
    ("changes", "deadline", "said"),
    [
        ({"sts_endpoint": "https://127.0.0.1:9/"}, 100, "STS: no answer: curl"),
        ({"ca_certificates": None}, 100, "STS: no answer: curl: (60) SSL certificate problem"),
        ({"audience": "api://other"}, 100, "STS: HTTP 400 InvalidIdentityToken Incorrect token audience"),
    ],
)
def test_sts_that_never_gives_keys(
    build: Callable[..., Machine], cloud: Cloud, changes: dict[str, object], deadline: int, said: str
) -> None:
    cloud.set(**changes)
    machine = build()
    machine.start_agent(cloud.url, credentials_deadline=deadline)
    assert said in machine.wait_for("failed")
    assert not list(machine.record.glob("env.*"))


def test_sts_error_that_no_waiting_helps(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set()
    cloud.sts.fail_next(StsFault(400, "ValidationError", "The requested DurationSeconds exceeds the role's maximum"))
    machine = build()
    machine.start_agent(cloud.url, credentials_deadline=60000)
    assert machine.wait_for("failed").startswith("failed credentials STS: HTTP 400 ValidationError The requested")


@pytest.mark.parametrize(("name", "said"), [("azure", "HTTP 400 Identity not found"), ("google", "HTTP 404")])
def test_machine_without_an_identity(
    build: Callable[..., Machine], build_cloud: Callable[[str], Cloud], name: str, said: str
) -> None:
    cloud = build_cloud(name)
    cloud.set()
    cloud.metadata.update(identity=None)
    machine = build()
    machine.start_agent(cloud.url, credentials_deadline=100)
    assert f"no identity from the metadata service: {said}" in machine.wait_for("failed")


def test_ambiguous_disks_are_refused_with_their_list(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys(**KEYS)
    machine = build()
    machine.system.add_scsi("sdd", "6:0:0:1", 32 * GIB)
    machine.start_agent(cloud.url)
    failed = machine.wait_for("failed")
    assert failed.startswith("failed mapping mapping /dev/xvda lun=1: /dev/sdc /dev/sdd all fit; disks: sda(own,lun=0,")
    assert not list(machine.record.glob("env.*"))


def test_unknown_own_disk_is_refused(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys(**KEYS)
    machine = build()
    machine.system.mounts.clear()
    machine.system.write_mounts()
    (machine.system.root / "sys/class/block/sda4/uevent").write_text("PARTNAME=other\n")
    machine.start_agent(cloud.url)
    assert "own disk can't be told" in machine.wait_for("failed")
    assert "no state partition" in machine.wait_for("warning")


def test_disk_that_appears_late(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys(**KEYS, mapping=[{"recovery_device": "/dev/xvda", "lun": 7}])
    machine = build()
    machine.start_agent(cloud.url, disks_deadline=8000)
    machine.wait_for("credentials")
    time.sleep(0.2)
    machine.system.add_scsi("sdz", "5:0:0:7", 8 * GIB)
    assert "mapping /dev/xvda=/dev/sdz" in machine.wait_off()


def test_second_boot_after_completion_powers_off(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys(**KEYS)
    machine = build()
    (machine.system.root / "dev/sda4").write_bytes(COMPLETED.ljust(512, b"\0"))
    machine.start_agent(cloud.url)
    machine.wait_off()
    assert machine.states() == ["started", "settings", "already-completed", "poweroff"]
    assert not list(machine.record.glob("env.*"))


@pytest.mark.parametrize(
    "state",
    [COMPLETED.replace(b"run-1", b"run-12"), COMPLETED.replace(b"i-0", b"i-1"), b"\xff" * 512, b"\n" + COMPLETED],
)
def test_completion_of_something_else_doesnt_count(build: Callable[..., Machine], cloud: Cloud, state: bytes) -> None:
    cloud.set_keys(**KEYS)
    machine = build()
    device = machine.folder / "state"
    device.write_bytes(state.ljust(1024, b"x"))
    machine.start_agent(cloud.url, state_device=device)
    machine.wait_off()
    assert "completed" in machine.states()
    assert device.read_bytes() == COMPLETED.ljust(512, b"\0") + state.ljust(1024, b"x")[512:]


@pytest.mark.parametrize("command", ["shutdown -r now", "@ROOT@/sbin/shutdown -r now", "@ROOT@/usr/sbin/reboot"])
def test_restart_becomes_a_completion_at_once(build: Callable[..., Machine], cloud: Cloud, command: str) -> None:
    """By PATH or by path, from below another process as sudo is one: noted before the script has ended."""
    cloud.set_keys(**KEYS)
    machine = build(CLIENT + "/bin/sh -c '. @RECORD@/restart; :'\n/bin/sleep 60\n")
    (machine.record / "restart").write_text(command.replace("@ROOT@", str(machine.system.root)))
    machine.start_agent(cloud.url)
    assert f"completed {INSTANCE} the client asked for its restart" in machine.wait_off()
    assert state_of(machine).startswith(COMPLETED)
    assert not (machine.record / "systemctl").exists()


def test_anyone_else_still_gets_the_real_shutdown(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys(**KEYS)
    machine = build()
    (machine.record / "hold").touch()
    machine.start_agent(cloud.url)
    machine.wait_for("client-running")
    root = machine.system.root
    subprocess.run([root / "sbin/reboot", "--force"], check=True)
    subprocess.run([root / "usr/sbin/shutdown", "-h", "+1"], check=True)
    subprocess.run([root / "usr/bin/eject"], check=True)
    assert (machine.record / "systemctl").read_text() == "reboot --force\nshutdown -h +1\n"
    assert (machine.record / "eject").exists()
    assert not state_of(machine).strip(b"\0")
    (machine.record / "hold").unlink()
    machine.wait_off()
    assert (machine.record / "eject").read_text() == "ejected\n"


def test_client_that_fails(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys(**KEYS)
    machine = build(CLIENT + "echo 'Could not associate failback client'\nexit 1\n")
    agent = machine.start_agent(cloud.url)
    assert machine.wait_for("failed", count=3) == (
        "failed client exit=1 last line: Could not associate failback client"
    )
    assert agent.poll() is None
    assert not machine.powered_off.exists()
    assert not state_of(machine).strip(b"\0")


def test_status_0_that_hides_a_failure(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys(**KEYS)
    machine = build(CLIENT + "echo 'Failed. See failback.log for details'\n")
    machine.start_agent(cloud.url)
    assert "points to failback.log" in machine.wait_for("failed")
    assert not state_of(machine).strip(b"\0")


def test_status_0_without_a_restart(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys(**KEYS)
    machine = build(CLIENT)
    machine.start_agent(cloud.url)
    assert f"completed {INSTANCE} the client ended with 0" in machine.wait_off()
    assert state_of(machine).startswith(COMPLETED)


def test_client_that_is_killed(build: Callable[..., Machine], cloud: Cloud, shell: str) -> None:
    cloud.set_keys(**KEYS)
    machine = build(shell=shell)
    (machine.record / "hold").touch()
    machine.start_agent(cloud.url)
    machine.wait_for("client-running")
    os.kill(int((machine.work / "client/pid").read_text()), signal.SIGKILL)
    assert "exit=unknown" in machine.wait_for("failed")


def test_output_stays_bounded(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys(**KEYS)
    machine = build(CLIENT + "/usr/bin/yes 'a line of the client' | /usr/bin/head -c 3000000\n/bin/sleep 60\n")
    machine.start_agent(cloud.url)
    log = machine.work / "client/log"
    machine.wait_until(lambda: [str(path) for path in [log.with_suffix(".old")] if path.exists()])
    machine.wait_until(lambda: ["small"] if log.stat().st_size < 1 << 20 else [])
    assert log.with_suffix(".old").stat().st_size <= 1 << 19


def test_only_one_client_whoever_starts_it(build: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys(**KEYS)
    machine = build()
    (machine.record / "hold").touch()
    launched = [
        subprocess.Popen([*machine.shell, str(machine.start)], stdout=subprocess.DEVNULL, start_new_session=True)
        for _ in range(4)
    ]
    try:
        for _ in range(3):
            machine.start_agent(cloud.url)
        launched += [
            subprocess.Popen([str(machine.start)], stdout=subprocess.DEVNULL, start_new_session=True) for _ in range(4)
        ]
        machine.wait_for("client-running")
        assert len([mark for mark in machine.marks() if "a second agent was started" in mark]) == 2
        (machine.record / "hold").unlink()
        machine.wait_off()
        assert len(list(machine.record.glob("env.*"))) == 1
    finally:
        for process in launched:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize("words", ["sudo\0/home/ec2-user/failback_entry\0--region", "/bin/bash\0/usr/bin/start.sh\0"])
def test_client_that_runs_already_is_refused(build: Callable[..., Machine], cloud: Cloud, words: str) -> None:
    cloud.set_keys(**KEYS)
    machine = build()
    process = machine.system.root / "proc/812"
    process.mkdir()
    (process / "cmdline").write_bytes(words.encode())
    machine.start_agent(cloud.url)
    failed = machine.wait_for("failed")
    assert failed.startswith("failed client another one runs already (process 812 /")
    assert not list(machine.record.glob("env.*"))


def test_missing_guard_is_put_in_place_by_the_agent(build_machine: Callable[..., Machine], cloud: Cloud) -> None:
    cloud.set_keys(**KEYS)
    machine = build_machine("dash", RESTARTING)
    machine.system.add_client_disk(machine.system.add_scsi("sda", "0:0:0:0", GIB))
    machine.system.add_scsi("sdc", "5:0:0:1", 32 * GIB)
    real = machine.start.with_name("real.sh")
    machine.start.rename(real)
    machine.start.symlink_to("real.sh")
    machine.run_hook()
    machine.start_agent(cloud.url)
    marks = machine.wait_off()
    assert any("warning hook: /usr/bin/start.sh is no plain file" in mark for mark in marks)
    assert real.samefile(machine.work / "client-guard.sh")
    assert environment_of(machine)["NO_PROMPT"] == "1"


def test_unknown_option_ends_with_the_list_of_them(build: Callable[..., Machine]) -> None:
    machine = build()
    command = [*machine.command("http://127.0.0.1:9"), "--colour", "blue"]
    done = subprocess.run(command, env={"PATH": str(machine.tools)}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--colour isn't known" in done.stderr
