"""What a recording has of calls: their order, what became of them, what they changed, and nothing that's secret."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.faults import FaultInjector, FaultPlan
from localcloud.recorded_bodies import KEPT_OUT, LARGEST_KEPT
from localcloud.recording import RecordedCall, Recorder
from localcloud.service_call import Call, peek

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Json = Any
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Service:
    """One that answers every call the same, and reads the body to its end."""

    def __init__(self, call: Call, answer: bytes = b"", status: str = "200 OK") -> None:
        self.call, self.reply, self.status, self.got = call, answer, status, b""

    def identify(self, _environ: Json) -> Call:
        return self.call

    def throttled(self, _environ: Json) -> Json:
        raise AssertionError

    denied = throttled

    def __call__(self, environ: Json, start: Callable[..., object]) -> Iterable[bytes]:
        self.got = environ["wsgi.input"].read() if "wsgi.input" in environ else b""
        start(self.status, [])
        return [self.reply]


def record(
    call: Call, body: bytes = b"", answer: bytes = b"", *, faults: Json = (), status: str = "200 OK", **environ: str
) -> RecordedCall:
    """One call through an injector that records."""
    recorder, service = Recorder(lambda: NOW), Service(call, answer, status)
    plan = FaultPlan.model_validate({"rules": faults})
    injector = FaultInjector(
        service, plan, service, recorder=recorder, sleep=lambda _: None, caller=lambda _: "the-function"
    )
    given: Json = {"REQUEST_METHOD": "POST", "PATH_INFO": "/p", **environ}
    given |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    assert b"".join(injector(given, lambda *_: lambda _: None)) == answer or faults
    assert faults or service.got == body
    (made,) = recorder.calls
    return made


def test_a_call_is_written_down_with_when_by_whom_and_what_became_of_it() -> None:
    made = record(Call("drs", "StopFailback"), b'{"recoveryInstanceID": "i-1"}')
    assert (made.number, made.ended, made.at, made.caller, made.status) == (1, 2, NOW, "the-function", 200)
    assert (made.service, made.operation, made.method, made.path) == ("drs", "StopFailback", "POST", "/p")
    assert json.loads(made.body) == {"recoveryInstanceID": "i-1"}
    assert made.took_effect
    refused = record(Call("drs", "StopFailback"), b"{}", status="409 Conflict")
    assert (refused.status, refused.took_effect, refused.came_through) == (409, False, True)


def test_what_a_fault_keeps_from_the_service_has_no_answer_of_it() -> None:
    made = record(Call("arm", "disks/write"), b"{}", faults=[{"action": {"kind": "status"}}])
    assert (made.fault, made.status, made.ended, made.took_effect, made.came_through) == ("status", 0, 0, False, False)
    held = record(Call("arm", "disks/write"), b"{}", faults=[{"action": {"kind": "delay", "seconds": 1}}])
    assert (held.fault, held.status, held.took_effect, held.came_through) == ("delay", 200, True, True)


def test_a_lost_answer_took_effect() -> None:
    recorder, service = Recorder(), Service(Call("arm", "disks/write"))
    plan = FaultPlan.model_validate({"rules": [{"action": {"kind": "lose"}}]})
    closed = []

    class Line:
        def shutdown(self, how: int) -> None:
            closed.append(how)

    injector = FaultInjector(service, plan, service, recorder=recorder)
    environ: Json = {"REQUEST_METHOD": "PUT", "werkzeug.socket": Line()}
    with pytest.raises(ConnectionAbortedError):
        injector(environ, lambda *_: lambda _: None)
    (made,) = recorder.calls
    assert (made.fault, made.status, made.took_effect, len(closed)) == ("lose", 200, True, 1)


KEPT: dict[str, tuple[Call, Json, Json]] = {
    "a-document-without-user-data": (
        Call("arm", "virtualMachines/write"),
        {"properties": {"userData": "c2VjcmV0", "list": [{"adminPassword": "secret"}]}, "tags": {"a": "b"}},
        {"properties": {"userData": KEPT_OUT, "list": [{"adminPassword": KEPT_OUT}]}, "tags": {"a": "b"}},
    ),
    "an-item-without-its-values": (
        Call("dynamodb", "UpdateItem"),
        {"TableName": "t", "Key": {"pk": {"S": "run#1"}, "sk": {"S": "server#i-1"}},
         "UpdateExpression": "SET #part = :value", "ExpressionAttributeNames": {"#part": "before"},
         "ExpressionAttributeValues": {":value": {"S": "secret"}}},
        {"table": "t", "pk": "run#1", "sk": "server#i-1", "update": "SET before = :value"},
    ),
    "a-new-item-without-its-values": (
        Call("dynamodb", "PutItem"),
        {"TableName": "t", "Item": {"pk": {"S": "waiting"}, "sk": {"S": "hold#1"}, "token": {"S": "secret"}}},
        {"table": "t", "pk": "waiting", "sk": "hold#1", "update": ""},
    ),
    "a-command-without-parameters": (
        Call("ssm", "SendCommand"), {"DocumentName": "d", "InstanceIds": ["i-1"], "Parameters": {"p": ["secret"]}},
        {"DocumentName": "d", "InstanceIds": ["i-1"], "Targets": None},
    ),
    "an-instance-without-its-metadata": (
        Call("compute", "instances.insert"),
        {"name": "web", "metadata": {"fingerprint": "f", "items": [{"key": "failback-settings", "value": "secret"}]},
         "disks": [{"source": "d", "diskEncryptionKey": {"rawKey": "secret"}}]},
        {"name": "web", "metadata": {"fingerprint": "f", "items": KEPT_OUT},
         "disks": [{"source": "d", "diskEncryptionKey": {"rawKey": KEPT_OUT}}]},
    ),
    "metadata-by-itself": (
        Call("compute", "instances.setMetadata"), {"fingerprint": "f", "items": [{"key": "k", "value": "secret"}]},
        {"fingerprint": "f", "items": KEPT_OUT},
    ),
    "what-objects-become": (
        Call("google_storage", "objects.compose"),
        {"sourceObjects": [{"name": "part"}], "destination": {"metadata": {"a": "b"}, "contentType": "x/gzip"}},
        {"name": None, "metadata": {"a": "b"}},
    ),
    "what-is-asked-of-google's-sts": (Call("google_sts", "token"), {"subjectToken": "secret"}, None),
    "what-is-asked-of-sts": (Call("sts", "AssumeRole"), {"token": "secret"}, None),
    "what-is-asked-of-entra": (Call("entra", "token"), {"client_assertion": "secret"}, None),
    "a-task-token": (Call("states", "SendTaskSuccess"), {"taskToken": "secret"}, None),
    "what-only-looks": (Call("drs", "DescribeRecoveryInstances"), {"filters": {}}, None),
    "a-block": (Call("ebs", "PutSnapshotBlock"), {"data": "bytes"}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", list(KEPT))
def test_of_a_body_what_is_changed_is_kept_and_nothing_secret(name: str) -> None:
    call, body, kept = KEPT[name]
    made = record(call, json.dumps(body).encode())
    assert (json.loads(made.body) if made.body else None) == kept
    assert "secret" not in repr(made)


def test_of_an_upload_its_document_is_kept_and_none_of_its_bytes() -> None:
    document = json.dumps({"name": "part-1", "metadata": {"a": "b"}, "md5Hash": "h"}).encode()
    body = b"--x\r\nContent-Type: application/json\r\n\r\n" + document + b"\r\n--x\r\n\r\n{bytes}\r\n--x--"
    for method, kept in (("POST", {"name": "part-1", "metadata": {"a": "b"}}), ("PUT", None)):
        made = record(Call("google_storage", "objects.insert"), body, REQUEST_METHOD=method)
        assert (json.loads(made.body) if made.body else None) == kept


def test_of_a_query_what_names_the_thing_is_kept() -> None:
    made = record(Call("compute", "instances.detachDisk"), QUERY_STRING="deviceName=data-1&requestId=r&key=secret")
    assert json.loads(made.query) == [["deviceName", "data-1"]]


ANSWERS: dict[str, tuple[Call, bytes, Json]] = {
    "an-image": (Call("ec2", "RegisterImage"), b"<r><imageId>ami-1</imageId></r>", ["ami-1"]),
    "a-rule": (
        Call("ec2", "AuthorizeSecurityGroupIngress"), b"<securityGroupRuleId>sgr-1</securityGroupRuleId>", ["sgr-1"]),
    "an-upload": (Call("s3", "CreateMultipartUpload"), b"<UploadId>u</UploadId>", ["u"]),
    "a-snapshot": (Call("ebs", "StartSnapshot"), b'{"SnapshotId": "snap-1", "OwnerId": "1"}', ["snap-1"]),
    "a-job": (Call("drs", "StartFailbackLaunch"), b'{"job": {"jobID": "drsjob-1"}}', ["drsjob-1"]),
    "how-failbacks-stand": (
        Call("drs", "DescribeRecoveryInstances"),
        b'{"items": [{"recoveryInstanceID": "i-1", "failback": {"state": "READY", "agentLastSeen": "x"}}]}',
        {"i-1": "READY"}),
    "how-jobs-stand": (
        Call("drs", "DescribeJobs"),
        b'{"items": [{"jobID": "j", "status": "COMPLETED", "participatingServers": '
        b'[{"recoveryInstanceID": "i-1", "launchStatus": "FAILED"}, {"sourceServerID": "s-1"}]}]}',
        {"j": {"status": "COMPLETED", "servers": {"i-1": "FAILED"}}}),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ANSWERS))
def test_of_an_answer_the_ids_and_states_are_kept(name: str) -> None:
    call, answer, kept = ANSWERS[name]
    assert json.loads(record(call, answer=answer).answer) == kept
    assert record(call, answer=answer, status="409 Conflict").answer == ""
    assert record(call, answer=b"{").answer in {"", "[]"}


def test_of_urls_only_what_names_a_thing_is_kept() -> None:
    made = record(Call("s3", "AbortMultipartUpload"), QUERY_STRING="uploadId=u-1&X-Amz-Signature=secret")
    assert json.loads(made.query) == [["uploadId", "u-1"]]
    assert record(Call("blob", "PutPage"), QUERY_STRING="sig=secret").query == ""


def test_an_object_s_tags_are_kept_and_its_bytes_are_not() -> None:
    made = record(Call("s3", "PutObject"), b"bytes", HTTP_X_AMZ_TAGGING="a=b&c=d")
    assert json.loads(made.body) == {"tags": {"a": "b", "c": "d"}}


def test_what_is_no_document_and_what_is_long_are_kept_as_far_as_that_goes() -> None:
    assert record(Call("arm", "disks/write"), b"no json").body == ""
    assert record(Call("dynamodb", "PutItem"), b"[]").body == ""
    long = record(Call("arm", "disks/write"), json.dumps({"tags": "x" * LARGEST_KEPT}).encode())
    assert len(long.body) == LARGEST_KEPT


def test_peeking_twice_and_reading_in_pieces_gives_all_of_a_body() -> None:
    body = bytes(range(256)) * 20
    environ: Json = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body + b"the next request")}
    assert peek(environ, 100) == body[:100]
    assert peek(environ, 300) == body[:300]
    pieces = iter(lambda: environ["wsgi.input"].read(1000), b"")
    assert b"".join(pieces) == body
    assert peek({}, 10) == b""
