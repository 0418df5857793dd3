"""What a failback client may say and when: its calls one by one, port 1500 with and without its line, good keys."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AwsCredentials

from localcloud.drs.client_calls import DoorCalls, Refusal
from localcloud.drs.client_door import CERTIFICATE_HEADER
from localcloud.drs.keys import keys_of_sessions
from localcloud.drs.plans import REPORTED_STEPS
from localcloud.drs.port_calls import Line, PortCalls
from localcloud.drs.service import DrsService
from localcloud.drs.settings import DrsSettings
from localcloud.guests.client import Credentials
from localcloud.serving import serve_application
from localcloud.sts_sessions import GivenSessions, SessionRequest
from tests.localcloud.drs.place import HOME_ADDRESS, MIB, Place, Sdk, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localcloud.drs.records import RecoveryInstance

pytestmark = pytest.mark.embedded
DEVICE = "/dev/xvda"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("door")) as place:
        yield place


@dataclass
class Caller:
    """A client by hand, with one disk."""

    place: Place
    instance: RecoveryInstance
    door: DoorCalls = field(init=False)

    def __post_init__(self) -> None:
        self.door = DoorCalls(self.place.clouds.drs_url, "us-east-1", self.place.keys())

    def link(self, size: int = MIB) -> Sdk:
        disks = [{"deviceName": "/dev/sda", "bytes": size}]
        return self.sign("AssociateFailbackClientToRecoveryInstanceForDrs", disks=disks, hardware="x")

    def map(self, *pairs: tuple[str, str], size: int = MIB) -> Sdk:
        mapping = [
            {"recoveryInstanceDeviceName": device, "failbackClientDeviceName": local, "bytes": size}
            for device, local in pairs or ((DEVICE, "/dev/sda"),)
        ]
        return self.sign("UpdateFailbackClientDeviceMappingForDrs", mapping=mapping)

    def issue(self) -> Sdk:
        issued = self.sign("IssueAgentCertificateForDrs")
        self.door.certificate = issued["certificate"]
        return issued

    def sign(self, operation: str, **values: Sdk) -> Sdk:
        return self.door.signed(operation, {"recoveryInstanceID": self.instance.id, **values})

    def tell(self, operation: str, **values: Sdk) -> Sdk:
        return self.door.certified(operation, {"recoveryInstanceID": self.instance.id, **values})

    def step(self, name: str, status: str = "SUCCEEDED", raw: str = "") -> Sdk:
        return self.tell("UpdateAgentReplicationInfoForDrs", step=name, status=status, rawError=raw)

    def progress(self, done: int, device: str = DEVICE, left: int = 0) -> Sdk:
        numbers = {"replicatedStorageBytes": done, "rescannedStorageBytes": 0, "backloggedStorageBytes": left}
        return self.tell("NotifyAgentReplicationProgressForDrs", deviceName=device, **numbers)

    def set_out(self) -> Caller:
        self.link()
        self.map()
        self.issue()
        return self

    def arrive(self) -> Caller:
        for name in REPORTED_STEPS:
            self.step(name)
        self.progress(MIB)
        self.tell("NotifyConsistencyAttainedForDrs")
        return self


@pytest.fixture
def caller(place: Place) -> Caller:
    return Caller(place, place.add())


def test_the_calls_of_a_client_in_order(caller: Caller) -> None:
    place, instance = caller.place, caller.instance
    linked = caller.link()
    assert len(linked["failbackClientID"]) == 32
    assert linked["originalServer"] == "false"
    assert caller.map() == {}
    issued = caller.issue()
    assert issued == {"certificate": caller.door.certificate, "address": instance.private_address, "port": "1500"}
    assert place.state(instance) == ("FAILBACK_IN_PROGRESS", "INITIATING")
    for name in REPORTED_STEPS:
        assert caller.step(name) == {}
        assert caller.step(name) == {}
    assert caller.progress(MIB // 2) == {"throttle": "0"}
    assert place.state(instance) == ("FAILBACK_IN_PROGRESS", "INITIAL_SYNC")
    assert caller.progress(MIB) == {"throttle": "0"}
    assert caller.tell("NotifyConsistencyAttainedForDrs") == {}
    assert place.state(instance) == ("FAILBACK_READY_FOR_LAUNCH", "CONTINUOUS")
    caller.progress(MIB, left=4096)
    assert place.state(instance) == ("FAILBACK_READY_FOR_LAUNCH", "BACKLOG")
    caller.progress(MIB)
    assert caller.tell("UpdateFailbackClientLastSeenForDrs") == {}
    assert caller.tell("GetFailbackCommandForDrs") == {"command": "none"}
    assert caller.tell("GetFailbackLaunchRequestedForDrs") == {"launchRequested": "false"}
    job = place.drs.start_failback_launch(recoveryInstanceIDs=[instance.id])["job"]["jobID"]
    assert caller.tell("GetFailbackLaunchRequestedForDrs") == {"launchRequested": "true"}
    (going,) = place.drs.describe_jobs(filters={"jobIDs": [job]})["items"]
    assert (going["status"], going["participatingServers"][0]["launchStatus"]) == ("STARTED", "IN_PROGRESS")
    for _ in range(2):
        assert caller.tell("UpdateAgentReplicationProcessStateForDrs", state="COMPLETED") == {}
    assert place.state(instance) == ("FAILBACK_COMPLETED", "STOPPED")


def test_the_bandwidth_limit_is_the_throttle(caller: Caller) -> None:
    caller.set_out()
    caller.place.drs.update_failback_replication_configuration(
        recoveryInstanceID=caller.instance.id, bandwidthThrottling=50
    )
    assert caller.progress(0) == {"throttle": "50"}


@pytest.mark.parametrize(
    "pairs",
    [
        ((DEVICE, "/dev/sdb"),),
        ((DEVICE, "/dev/sda"), (DEVICE, "/dev/sdb")),
        (("/dev/other", "/dev/sda"),),
        ((DEVICE, "/dev/sda"), ("/dev/other", "/dev/sda")),
    ],
    ids=["no-such-disk", "volume-twice", "volume-missing", "foreign-volume"],
)
def test_a_mapping_that_doesnt_fit_is_refused(caller: Caller, pairs: tuple[tuple[str, str], ...]) -> None:
    caller.link()
    with pytest.raises(Refusal, match=r"HTTP 400.*mapping"):
        caller.map(*pairs)


def test_disks_are_taken_once_and_must_be_large_enough(place: Place) -> None:
    caller = Caller(place, place.add(MIB, MIB))
    caller.link()
    with pytest.raises(Refusal, match="twice"):
        caller.map((DEVICE, "/dev/sda"), ("/dev/nvme1n1", "/dev/sda"))
    with pytest.raises(Refusal, match="too small"):
        caller.map((DEVICE, "/dev/sda"), ("/dev/nvme1n1", "EXCLUDE"), size=MIB - 512)
    with pytest.raises(Refusal, match=r"HTTP 400.*no disk that volume"):
        caller.link(MIB - 512)


def test_calls_before_their_time_are_conflicts(caller: Caller) -> None:
    with pytest.raises(Refusal, match="HTTP 409 No failback client"):
        caller.map()
    caller.link()
    with pytest.raises(Refusal, match=r"HTTP 409.*aren't mapped"):
        caller.issue()
    caller.map()
    caller.issue()
    with pytest.raises(Refusal, match=r"HTTP 409.*isn't its turn"):
        caller.step(REPORTED_STEPS[1])
    with pytest.raises(Refusal, match=r"HTTP 400.*step"):
        caller.step("LINK_FAILBACK_CLIENT_WITH_RECOVERY_INSTANCE")
    with pytest.raises(Refusal, match="HTTP 409"):
        caller.tell("NotifyConsistencyAttainedForDrs")
    with pytest.raises(Refusal, match=r"HTTP 400.*isn't a mapped volume"):
        caller.progress(0, "/dev/other")
    with pytest.raises(Refusal, match=r"HTTP 400.*beyond"):
        caller.progress(MIB + 1)
    with pytest.raises(Refusal, match="HTTP 409 No launch"):
        caller.tell("UpdateAgentReplicationProcessStateForDrs", state="COMPLETED")
    with pytest.raises(Refusal, match="HTTP 400"):
        caller.tell("UpdateAgentReplicationProcessStateForDrs", state="DONE")


@pytest.mark.parametrize(
    "disks",
    [None, "x", ["x"], [{"deviceName": "/dev/sda"}], [{"deviceName": 1, "bytes": 1}], [{"bytes": -1}]],
    ids=repr,
)
def test_members_of_the_wrong_kind_are_refused(caller: Caller, disks: Sdk) -> None:
    with pytest.raises(Refusal, match="HTTP 400"):
        caller.sign("AssociateFailbackClientToRecoveryInstanceForDrs", disks=disks, hardware="")


def test_a_failed_step_is_told_and_can_be_tried_again(caller: Caller) -> None:
    caller.set_out().step(REPORTED_STEPS[0], "FAILED", "no route")
    error = caller.place.described(caller.instance)["dataReplicationInfo"]["dataReplicationError"]
    assert error == {"error": f"FAILED_TO_{REPORTED_STEPS[0]}", "rawError": "no route"}
    caller.step(REPORTED_STEPS[0])
    assert caller.place.state(caller.instance) == ("FAILBACK_IN_PROGRESS", "INITIATING")
    assert "dataReplicationError" not in caller.place.described(caller.instance)["dataReplicationInfo"]


def test_a_new_client_takes_its_forerunners_place(caller: Caller) -> None:
    caller.set_out().arrive()
    following = Caller(caller.place, caller.instance).set_out()
    assert caller.place.state(caller.instance) == ("FAILBACK_IN_PROGRESS", "INITIATING")
    with pytest.raises(Refusal, match="HTTP 403 Another"):
        caller.tell("GetFailbackCommandForDrs")
    assert following.tell("GetFailbackCommandForDrs") == {"command": "none"}


def test_events_name_the_recovery_instance_as_the_documentation_does(caller: Caller) -> None:
    caller.place.listen_to_events()
    caller.link()
    arn = f"arn:aws:drs:us-east-1:123456789012:recovery-instance/r{caller.instance.id}"
    assert caller.place.events() == [("FAILBACK_IN_PROGRESS", arn)]


def test_an_account_that_wasnt_initialised_is_told_so(tmp_path: Path) -> None:
    drs = DrsService(tmp_path, region="us-east-1", settings=DrsSettings(initialised=False))
    body = b"{}"
    with serve_application(drs) as url:
        request = AWSRequest("POST", f"{url}/DescribeJobs", data=body)
        SigV4Auth(AwsCredentials("local", "local"), "drs", "us-east-1").add_auth(request)
        answer = requests.post(f"{url}/DescribeJobs", body, headers=dict(request.headers), timeout=10)
    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (400, "UninitializedAccountException")


def test_no_client_is_linked_while_a_launch_goes_on(caller: Caller) -> None:
    caller.set_out().arrive()
    caller.place.drs.start_failback_launch(recoveryInstanceIDs=[caller.instance.id])
    with pytest.raises(Refusal, match=r"HTTP 409.*being launched"):
        caller.link()
    caller.place.drs.stop_failback(recoveryInstanceID=caller.instance.id)


def test_a_stopped_client_is_told_to_stop_and_changes_nothing(caller: Caller) -> None:
    caller.set_out().arrive()
    caller.place.drs.stop_failback(recoveryInstanceID=caller.instance.id)
    assert caller.tell("GetFailbackCommandForDrs") == {"command": "stop"}
    assert caller.tell("GetFailbackLaunchRequestedForDrs") == {"launchRequested": "false"}
    assert caller.progress(5) == {"throttle": "0"}
    assert caller.tell("UpdateAgentReplicationProcessStateForDrs", state="COMPLETED") == {}
    assert caller.place.state(caller.instance) == ("FAILBACK_NOT_STARTED", "NOT_STARTED")


def test_a_certificate_is_good_for_one_recovery_instance(caller: Caller) -> None:
    caller.set_out()
    with pytest.raises(Refusal, match="HTTP 403"):
        caller.tell("GetFailbackCommandForDrs", recoveryInstanceID="i-0123456789abcdef0")
    data, digest = caller.door.software()
    assert (len(data), len(digest)) == (65536, 64)
    caller.door.certificate = "0" * 64
    with pytest.raises(Refusal, match="HTTP 403"):
        caller.tell("GetFailbackCommandForDrs")
    with pytest.raises(Refusal, match="HTTP 403"):
        caller.door.software()


def test_answers_are_one_line_of_flat_json(caller: Caller) -> None:
    caller.set_out()
    heads = {CERTIFICATE_HEADER: caller.door.certificate}
    body = json.dumps({"recoveryInstanceID": caller.instance.id})
    url = f"{caller.door.url}/GetFailbackCommandForDrs"
    assert requests.post(url, body, headers=heads, timeout=10).text == '{"command": "none"}'
    refused = requests.post(url, body, timeout=10)
    assert (refused.status_code, "\n" in refused.text) == (403, False)
    assert refused.json()["error"]


def test_port_1500_in_all_its_questions(caller: Caller) -> None:
    caller.set_out()
    caller.place.open_port(caller.instance)
    with PortCalls(caller.place.clouds.replication_port, HOME_ADDRESS, caller.instance.private_address) as port:
        assert port.ask("GET", "/hello") == f"recovery-instance {caller.instance.id}\n".encode()
        for path in ("/session", "/changes?device=/dev/xvda&since=-1", "/blocks?device=/dev/xvda&offset=0&length=1"):
            with pytest.raises(Line, match="HTTP 403"):
                port.ask("GET", path, certificate="0" * 64)
        with pytest.raises(Line, match="HTTP 403"):
            port.ask("POST", "/pair", certificate="0" * 64)
        assert port.ask("POST", "/pair", certificate=caller.door.certificate)
        port.open_session(caller.door.certificate)
        generation, extents = port.changes(DEVICE, -1)
        assert (generation, extents[0], extents[-1]) == (0, (0, MIB // 4), (MIB - 65536, 65536))
        assert port.blocks(DEVICE, MIB - 512, 512) == b"\x5a" * 512
        for offset, length in ((MIB, 1), (-1, 1), (0, 0), (0, MIB + 1)):
            with pytest.raises(Line, match="HTTP 400"):
                port.blocks(DEVICE, offset, length)
        for method, path, status in (
            ("GET", "/changes?device=/dev/other&since=0", 404),
            ("GET", "/changes?device=/dev/xvda&since=x", 400),
            ("GET", "/other", 404),
            ("POST", "/other", 404),
        ):
            with pytest.raises(Line, match=f"HTTP {status}"):
                port.ask(method, path)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /hello HTTP/1.1\r\n",
        b"PROXY UNKNOWN\r\n",
        b"PROXY TCP4 10.20.0.5 169.254.64.250 49152 1500\r\n",
        b"PROXY TCP4 999.20.0.5 {address} 49152 1500\r\n",
        b"PROXY TCP4 10.20.0.5 {address} 49152 1501\r\n",
    ],
    ids=["none", "unknown", "nobody-there", "no-address", "another-port"],
)
def test_a_connection_without_a_good_line_is_closed(caller: Caller, line: bytes) -> None:
    caller.place.open_port(caller.instance, "0.0.0.0/0")
    replication, before = caller.place.clouds.drs.replication, len(caller.place.clouds.drs.replication.refused)
    with socket.create_connection(("127.0.0.1", caller.place.clouds.replication_port), timeout=10) as connection:
        connection.sendall(line.replace(b"{address}", caller.instance.private_address.encode()))
        assert connection.recv(1) == b""
    assert len(replication.refused) == before + 1


def test_a_rule_for_all_protocols_or_a_port_range_is_as_good(place: Place) -> None:
    for rule in (
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        {"IpProtocol": "tcp", "FromPort": 1000, "ToPort": 2000, "IpRanges": [{"CidrIp": "10.20.0.5/32"}]},
    ):
        instance = place.add()
        place.ec2.authorize_security_group_ingress(GroupId=instance.security_group, IpPermissions=[rule])
        with PortCalls(place.clouds.replication_port, HOME_ADDRESS, instance.private_address) as port:
            assert port.ask("GET", "/hello")
    for rule in (
        {"IpProtocol": "udp", "FromPort": 1500, "ToPort": 1500, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
        {"IpProtocol": "tcp", "FromPort": 1501, "ToPort": 2000, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
    ):
        instance = place.add()
        place.ec2.authorize_security_group_ingress(GroupId=instance.security_group, IpPermissions=[rule])
        with (
            PortCalls(place.clouds.replication_port, HOME_ADDRESS, instance.private_address) as port,
            pytest.raises(Line, match="no answer"),
        ):
            port.ask("GET", "/hello")


def test_keys_of_functions_users_and_the_machines_sts_are_good(caller: Caller) -> None:
    place = caller.place
    function = place.clouds.sessions.open(role="arn:aws:iam::123456789012:role/x", function="arn:x")
    iam = place.clouds.client("iam")
    iam.create_user(UserName="operator")
    user = iam.create_access_key(UserName="operator")["AccessKey"]["AccessKeyId"]
    given = GivenSessions(place.clock)
    session = given.give(SessionRequest("arn:aws:iam::123456789012:role/x", "vm", 900))
    place.clouds.drs.keys.add(keys_of_sessions(given))
    for key, token in ((function, ""), (user, ""), (session.access_key, session.session_token)):
        caller.door.credentials = Credentials(key, "x" * 40, token)
        assert caller.link()
    place.clock.ahead += timedelta(seconds=901)
    with pytest.raises(Refusal, match="HTTP 403"):
        caller.link()
    place.clock.ahead -= timedelta(seconds=901)
    caller.door.credentials = Credentials(session.access_key, "x" * 40, "another")
    with pytest.raises(Refusal, match="HTTP 403"):
        caller.link()


def test_a_client_of_a_cloud_that_has_gone_says_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    door = DoorCalls(url, "us-east-1", Credentials("ASIAX", "y", "z"))
    with pytest.raises(Refusal, match="no answer from DRS"):
        door.signed("DescribeRecoveryInstances", {})
