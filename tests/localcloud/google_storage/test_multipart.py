"""Multipart uploads of the XML API: through the SDK's transfer manager, and by plain HTTP what is kept and refused."""

from __future__ import annotations

import base64
import hashlib
import random
from importlib import import_module
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import google_crc32c
import pytest

from localcloud.faults import Deny, FaultInjector, FaultPlan, FaultRule, Throttle
from localcloud.google_storage.service import StorageService
from tests.localcloud.google_storage.conftest import ADMIN, BUCKET, PROJECT, READER, WRITER

if TYPE_CHECKING:
    from pathlib import Path

    import requests

    from tests.localcloud.google_storage.conftest import Dynamic, Storage

PART = 5 * 1024 * 1024
NOISE = random.Random(9).randbytes(PART)
END = b"the end"
OBJECT = f"/{BUCKET}/folder/a%20b"
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
transfer_manager: Dynamic = import_module("google.cloud.storage.transfer_manager")


def crc(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def begin(running: Storage, path: str = OBJECT, *, principal: str = ADMIN, **headers: str) -> str:
    answer = running.call("POST", f"{path}?uploads", principal=principal, headers=headers)
    assert answer.status_code == 200, answer.text
    upload = ElementTree.fromstring(answer.text).findtext(f"{NAMESPACE}UploadId")
    assert upload
    return upload


def send(running: Storage, upload: str, number: int, data: bytes, **headers: str) -> requests.Response:
    path = f"{OBJECT}?partNumber={number}&uploadId={upload}"
    return running.call("PUT", path, data=data, headers=headers)


def document(*parts: tuple[object, str]) -> str:
    named = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts)
    return f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>"


def complete(running: Storage, upload: str, body: str, *, principal: str = ADMIN) -> requests.Response:
    return running.call("POST", f"{OBJECT}?uploadId={upload}", principal=principal, data=body)


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def code(answer: requests.Response) -> tuple[int, str | None]:
    assert answer.headers["Content-Type"].startswith("application/xml")
    return answer.status_code, ElementTree.fromstring(answer.text).findtext("Code")


def files(running: Storage) -> int:
    return len(list((running.folder / "buckets" / BUCKET / "data").iterdir()))


@pytest.mark.parametrize("checksum", ["crc32c", "md5", None], ids=str)
def test_the_transfer_manager_sends_a_file(running: Storage, tmp_path: Path, checksum: str | None) -> None:
    path, data = tmp_path / "file", NOISE * 2 + END
    path.write_bytes(data)
    blob = running.client().bucket(BUCKET).blob("folder/a b+ü.tar.gz")
    blob.metadata = {"drs-failback-run": "r-1"}
    transfer_manager.upload_chunks_concurrently(
        str(path), blob, content_type="application/gzip", chunk_size=PART, max_workers=3, checksum=checksum,
        worker_type=transfer_manager.THREAD,
    )  # fmt: skip
    found = running.client().bucket(BUCKET).get_blob(blob.name)
    assert (found.size, found.crc32c, found.md5_hash) == (len(data), crc(data), None)
    assert (found.content_type, found.metadata) == ("application/gzip", {"drs-failback-run": "r-1"})
    assert found.download_as_bytes() == data
    assert running.service.open_uploads(BUCKET) == 0


def test_parts_in_any_order_and_twice_and_some_unused(running: Storage) -> None:
    upload = begin(running, **{"x-goog-meta-run": "1", "Cache-Control": "no-store"})
    assert send(running, upload, 30, END).headers["ETag"] == etag(END)
    for data in (END, NOISE):
        answer = send(running, upload, 2, data, **{"x-goog-hash": f"crc32c={crc(data)}"})
        assert answer.headers["X-Goog-Hash"].startswith(f"crc32c={crc(data)},md5=")
    send(running, upload, 9, b"not used")
    assert (running.service.names(BUCKET), running.service.open_uploads(BUCKET), files(running)) == ([], 1, 3)
    done = complete(running, upload, document((2, etag(NOISE)), (30, etag(END).strip('"'))))
    assert done.status_code == 200
    assert ElementTree.fromstring(done.text).findtext(f"{NAMESPACE}Key") == "folder/a b"
    found = running.document("folder%2Fa%20b")
    assert (found["crc32c"], found["metadata"], found["cacheControl"]) == (crc(NOISE + END), {"run": "1"}, "no-store")
    assert "md5Hash" not in found
    assert running.call("GET", f"/storage/v1/b/{BUCKET}/o/folder%2Fa%20b?alt=media").content == NOISE + END
    assert (running.service.open_uploads(BUCKET), files(running)) == (0, 2)
    assert code(complete(running, upload, document((2, etag(NOISE))))) == (404, "NoSuchUpload")


def test_an_aborted_one_leaves_nothing(running: Storage) -> None:
    upload = begin(running)
    send(running, upload, 1, END)
    assert running.call("DELETE", f"{OBJECT}?uploadId={upload}").status_code == 204
    assert (running.service.open_uploads(BUCKET), files(running)) == (0, 0)
    assert code(send(running, upload, 1, END)) == (404, "NoSuchUpload")
    assert code(running.call("DELETE", f"{OBJECT}?uploadId={upload}")) == (404, "NoSuchUpload")


def test_an_upload_outlives_the_service(running: Storage) -> None:
    upload = begin(running)
    send(running, upload, 1, NOISE)
    again = StorageService(running.folder, gate=running.identity, projects={PROJECT: "4711"}, clock=running.clock)
    with again.serve() as url:
        send(running, upload, 2, END)
        path = f"{url}{OBJECT}?uploadId={upload}"
        body = document((1, etag(NOISE)), (2, etag(END)))
        assert running.call("POST", path, data=body).status_code == 200
        assert again.contents(BUCKET) == {"folder/a b": [PART + len(END), crc(NOISE + END)]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (document((2, etag(END)), (1, etag(END))), "InvalidPartOrder"),
        (document((1, etag(END)), (1, etag(END))), "InvalidPartOrder"),
        (document((1, etag(END)), (2, etag(END))), "EntityTooSmall"),
        (document((3, etag(END))), "InvalidPart"),
        (document((1, etag(NOISE))), "InvalidPart"),
        (document(("one", etag(END))), "MalformedCompleteMultipartUploadRequest"),
        (document(), "MalformedCompleteMultipartUploadRequest"),
        ("<Else/>", "MalformedCompleteMultipartUploadRequest"),
        ("", "MalformedCompleteMultipartUploadRequest"),
    ],
    ids=["order", "twice", "small", "missing", "other", "word", "none", "else", "empty"],
)
def test_ends_that_are_refused(running: Storage, body: str, expected: str) -> None:
    upload = begin(running)
    for number in (1, 2):
        send(running, upload, number, END)
    assert code(complete(running, upload, body)) == (400, expected)
    assert (running.service.names(BUCKET), running.service.open_uploads(BUCKET)) == ([], 1)
    assert complete(running, upload, document((1, etag(END)))).status_code == 200


@pytest.mark.parametrize(
    ("number", "headers", "expected"),
    [
        (0, {}, "InvalidArgument"),
        (10_001, {}, "InvalidArgument"),
        (1, {"x-goog-hash": f"crc32c={crc(NOISE)}"}, "BadDigest"),
        (1, {"Content-MD5": base64.b64encode(bytes(16)).decode()}, "BadDigest"),
        (1, {"x-goog-hash": "sha1=x"}, "InvalidArgument"),
        (1, {"x-goog-encryption-key": "x"}, "InvalidArgument"),
    ],
    ids=["zero", "many", "crc", "md5", "sha1", "key"],
)
def test_parts_that_are_refused(running: Storage, number: int, headers: dict[str, str], expected: str) -> None:
    upload = begin(running)
    assert code(send(running, upload, number, END, **headers)) == (400, expected)
    assert files(running) == 0


def test_others_that_are_refused(running: Storage) -> None:
    assert code(running.call("POST", "/none-1/x?uploads")) == (404, "NoSuchBucket")
    assert code(running.call("POST", f"{OBJECT}?uploads", data=b"x")) == (400, "InvalidArgument")
    assert code(running.call("POST", f"{OBJECT}?uploads", principal=READER)) == (403, "AccessDenied")
    assert code(running.call("POST", f"{OBJECT}?uploads", principal=None)) == (401, "AuthenticationRequired")
    upload = begin(running)
    elsewhere = running.call("PUT", f"/{BUCKET}/else?partNumber=1&uploadId={upload}", data=b"x")
    assert code(elsewhere) == (404, "NoSuchUpload")
    # The rest of the XML API isn't emulated: nothing of the kind is taken for something else.
    for method, query in (("GET", f"uploadId={upload}"), ("PUT", f"uploadId={upload}"), ("PUT", ""), ("POST", "acl")):
        assert running.reason(running.call(method, f"{OBJECT}?{query}")) == (404, "notFound")


def test_who_may_not_remove_cant_replace(running: Storage) -> None:
    first = begin(running, principal=WRITER)
    send(running, first, 1, END)
    assert complete(running, first, document((1, etag(END))), principal=WRITER).status_code == 200
    second = begin(running, principal=WRITER)
    send(running, second, 1, b"other")
    assert code(complete(running, second, document((1, etag(b"other"))), principal=WRITER)) == (403, "AccessDenied")
    assert running.service.contents(BUCKET)["folder/a b"] == [len(END), crc(END)]
    assert complete(running, second, document((1, etag(b"other")))).status_code == 200
    assert (running.service.contents(BUCKET)["folder/a b"], files(running)) == ([5, crc(b"other")], 1)


def test_faults_look_like_the_xml_api_s(running: Storage) -> None:
    rules = (
        FaultRule(service="google_storage", operation="multipart.upload", nth=(1,), action=Throttle()),
        FaultRule(service="google_storage", operation="multipart.abort", action=Deny()),
    )
    upload, service = begin(running), running.service
    with service.serve(application=FaultInjector(service, FaultPlan(rules=rules), service.shape)) as url:
        path = f"{url}{OBJECT}?partNumber=1&uploadId={upload}"
        assert code(running.call("PUT", path, data=END)) == (429, "SlowDown")
        assert running.call("PUT", path, data=END).status_code == 200
        denied = running.call("DELETE", f"{url}{OBJECT}?uploadId={upload}")
        assert code(denied) == (403, "AccessDenied")
        assert "storage.multipartUploads.abort" in denied.text
