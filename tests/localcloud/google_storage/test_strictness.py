"""What the embedded Cloud Storage refuses, by plain HTTP, and its faults."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

import pytest
import requests

from localcloud.faults import Deny, FaultInjector, FaultPlan, FaultRule, Throttle
from tests.localcloud.google_storage.conftest import ADMIN, BUCKET

if TYPE_CHECKING:
    from tests.localcloud.google_storage.conftest import Storage

OBJECT = f"/storage/v1/b/{BUCKET}/o/x"
MEDIA = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=x"
MULTIPART = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=multipart"


def parts(document: object, data: bytes = b"data", *, end: bytes = b"\r\n--b--\r\n") -> bytes:
    head = b"--b\r\nContent-Type: application/json\r\n\r\n" + json.dumps(document).encode()
    return head + b"\r\n--b\r\nContent-Type: text/plain\r\n\r\n" + data + end


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", f"{OBJECT}?colour=red", (400, "invalidParameter")),
        ("GET", f"{OBJECT}?alt=xml", (400, "invalid")),
        ("GET", f"{OBJECT}?projection=some", (400, "invalid")),
        ("GET", f"{OBJECT}?ifGenerationMatch=one", (400, "invalid")),
        ("GET", f"{OBJECT}?ifGenerationMatch=1&ifGenerationNotMatch=2", (400, "invalid")),
        ("GET", f"{OBJECT}?generation=1&generation=2", (400, "invalidParameter")),
        ("GET", f"{OBJECT}?fields=items(", (400, "invalidParameter")),
        ("GET", f"{OBJECT}?ifGenerationMatch=1", (412, "conditionNotMet")),
        ("GET", f"{OBJECT}?alt=media&ifMetagenerationMatch=9", (412, "conditionNotMet")),
        ("GET", f"/storage/v1/b/{BUCKET}/o?versions=true", (400, "invalidParameter")),
        ("GET", f"/storage/v1/b/{BUCKET}/o?pageToken=%21", (400, "invalid")),
        ("GET", f"/storage/v1/b/{BUCKET}/o?maxResults=0", (400, "invalid")),
        ("GET", f"/storage/v1/b/{BUCKET}/iam", (404, "notFound")),
        ("GET", "/storage/v1/b/none-1/o", (404, "notFound")),
        ("GET", "/storage/v1/b?project=else", (403, "forbidden")),
        ("GET", "/storage/v1/b", (403, "forbidden")),
        ("POST", MEDIA.replace("media", "none"), (400, "badRequest")),
        ("POST", MEDIA.replace("&name=x", ""), (400, "required")),
        ("POST", f"{MEDIA}&contentEncoding=gzip", (400, "invalid")),
        ("POST", f"{MEDIA}%0A", (400, "invalid")),
        ("POST", f"{MEDIA}&predefinedAcl=private", (400, "invalidParameter")),
        ("POST", MULTIPART, (400, "badContent")),
        ("PUT", MEDIA, (400, "invalidParameter")),
    ],
)  # fmt: skip
def test_queries_that_are_refused(running: Storage, method: str, path: str, expected: tuple[int, str]) -> None:
    assert running.call("POST", MEDIA, data=b"x").status_code == 200
    assert running.reason(running.call(method, path)) == expected


@pytest.mark.parametrize(
    "document",
    [
        {"name": "y", "colour": "red"}, {"name": "y", "acl": []}, {"name": "y", "metadata": {"a": 1}},
        {"name": "y", "metadata": {"a": "x" * 9000}}, {"name": "y", "storageClass": "GOLD"}, {"name": ""},
        {"name": "y", "bucket": "else"}, {"name": "y", "contentType": 3}, {"name": "y", "crc32c": "AAAAAA=="},
        {"name": "y", "md5Hash": "AAAA"}, {"name": "y", "metadata": []}, ["name"], {"name": 3},
    ],
    ids=[
        "field", "acl", "number", "much", "class", "name", "bucket", "type", "crc", "md5", "list", "array",
        "name-number",
    ],
)  # fmt: skip
def test_documents_that_are_refused(running: Storage, document: object) -> None:
    headers = {"Content-Type": "multipart/related; boundary=b"}
    answer = running.call("POST", MULTIPART, data=parts(document), headers=headers)
    assert answer.status_code == 400
    running.reason(answer)
    assert running.service.names(BUCKET) == []
    assert list((running.folder / "buckets" / BUCKET / "data").iterdir()) == []


def test_a_body_of_parts_ends_where_it_should(running: Storage) -> None:
    headers = {"Content-Type": 'multipart/related; boundary="b"'}
    for data in (b"", b"d", b"data\r\n", b"x" * 70_000):
        for end in (b"\r\n--b--", b"\r\n--b--\r\n"):
            answer = running.call("POST", MULTIPART, data=parts({"name": "y"}, data, end=end), headers=headers)
            assert answer.status_code == 200
            assert answer.json()["md5Hash"] == base64.b64encode(hashlib.md5(data).digest()).decode()
    for broken in (parts({"name": "z"}, end=b""), parts({"name": "z"})[2:], b"--b\r\n\r\n{}"):
        answer = running.call("POST", MULTIPART, data=broken, headers=headers)
        assert answer.status_code == 400
    assert running.service.names(BUCKET) == ["y"]


def test_headers_that_are_refused(running: Storage) -> None:
    for headers, expected in (
        ({"x-goog-encryption-algorithm": "AES256"}, (400, "invalid")),
        ({"x-goog-hash": "crc32c=AAAAAA=="}, (400, "invalid")),
        ({"x-goog-hash": "sha1=AAAA"}, (400, "invalid")),
        ({"Content-MD5": base64.b64encode(bytes(16)).decode()}, (400, "invalid")),
        ({"Authorization": "Basic eDp5"}, (401, "required")),
    ):
        assert running.reason(running.call("POST", MEDIA, data=b"x", headers=headers)) == expected
    streamed = running.call("POST", MEDIA, data=iter([b"x"]))
    assert running.reason(streamed) == (411, "lengthRequired")
    assert running.call("POST", MEDIA, data=b"x").status_code == 200
    odd = running.call("GET", f"{OBJECT}?alt=media", headers={"Range": "bytes=0-0,2-3"})
    assert running.reason(odd) == (400, "invalid")


@pytest.mark.parametrize(
    "document",
    [
        {"name": "a"}, {"name": "second-1", "location": "MOON"}, {"name": "second-1", "storageClass": "GOLD"},
        {"name": "second-1", "versioning": {"enabled": True}}, {"name": "second-1", "labels": {"A": "b"}},
        {"name": "second-1", "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": False}}}, {},
    ],
    ids=["name", "location", "class", "versioning", "labels", "access", "empty"],
)  # fmt: skip
def test_buckets_that_are_refused(running: Storage, document: object) -> None:
    answer = running.call("POST", "/storage/v1/b?project=home", json=document)
    assert running.reason(answer) == (400, "invalid")


@pytest.mark.parametrize(
    "document",
    [
        {}, {"sourceObjects": []}, {"sourceObjects": [{"name": "x"}] * 33}, {"sourceObjects": [{"name": "x", "a": 1}]},
        {"sourceObjects": [{"name": "x"}], "colour": 1},
        {"sourceObjects": [{"name": "x"}], "destination": {"crc32c": "AAAAAA=="}},
    ],
    ids=["nothing", "none", "many", "field", "colour", "crc"],
)  # fmt: skip
def test_compositions_that_are_refused(running: Storage, document: object) -> None:
    running.call("POST", MEDIA, data=b"x")
    answer = running.call("POST", f"/storage/v1/b/{BUCKET}/o/y/compose", json=document)
    assert running.reason(answer) == (400, "invalid")
    assert running.service.names(BUCKET) == ["x"]
    held = {"sourceObjects": [{"name": "x", "objectPreconditions": {"ifGenerationMatch": "1"}}]}
    answer = running.call("POST", f"/storage/v1/b/{BUCKET}/o/y/compose", json=held)
    assert running.reason(answer) == (412, "conditionNotMet")


def test_a_part_of_an_answer(running: Storage) -> None:
    running.call("POST", MEDIA, data=b"x")
    assert running.call("GET", f"{OBJECT}?fields=name,size").json() == {"name": "x", "size": "1"}
    path = f"/storage/v1/b/{BUCKET}/o?fields=kind,items/name"
    assert running.call("GET", path).json() == {"kind": "storage#objects", "items": [{"name": "x"}]}


def test_faults_look_like_the_service_s_own(running: Storage) -> None:
    rules = (
        FaultRule(service="google_storage", operation="objects.insert", method="PUT", nth=(1,), action=Throttle()),
        FaultRule(service="google_storage", operation="objects.get", action=Deny()),
        FaultRule(service="google_storage", operation="objects.delete", action=Throttle()),
        FaultRule(service="google_storage", operation="buckets.get", action=Deny()),
    )
    service = running.service
    injector = FaultInjector(service, FaultPlan(rules=rules), service.shape)
    with service.serve(application=injector) as url:
        headers = {"Authorization": f"Bearer {running.identity.give_token(ADMIN)}"}
        path = f"{url}/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&name=x%2Fy"
        address = requests.post(path, headers=headers, timeout=5).headers["Location"]
        span = {"Content-Range": "bytes 0-0/1"}
        assert running.reason(requests.put(address, b"x", headers=span, timeout=5)) == (429, "rateLimitExceeded")
        assert requests.put(address, b"x", headers=span, timeout=5).status_code == 200
        found = f"{url}/storage/v1/b/{BUCKET}/o/x%2Fy"
        assert running.reason(requests.get(found, headers=headers, timeout=5)) == (403, "forbidden")
        assert running.reason(requests.delete(found, headers=headers, timeout=5)) == (429, "rateLimitExceeded")
        denied = requests.get(f"{url}/storage/v1/b/{BUCKET}", headers=headers, timeout=5)
        assert "storage.buckets.get" in denied.json()["error"]["message"]
    assert len(injector.records) == 4
