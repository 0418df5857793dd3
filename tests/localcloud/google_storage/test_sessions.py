"""Resumable uploads by plain HTTP: what is kept, said and refused, as Google documents it."""

from __future__ import annotations

import base64
import random
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import google_crc32c
import pytest

from localcloud.google_storage.service import StorageService
from tests.localcloud.google_storage.conftest import BUCKET, PROJECT, READER

if TYPE_CHECKING:
    from tests.localcloud.google_storage.conftest import Storage

QUANTUM = 256 * 1024
NOISE = random.Random(6).randbytes(3 * QUANTUM + 77)
SIZE = len(NOISE)


def crc(data: bytes) -> str:
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def body(running: Storage, name: str = "disk") -> bytes:
    return running.call("GET", f"/storage/v1/b/{BUCKET}/o/{name}?alt=media").content


def test_chunks_questions_and_the_end(running: Storage) -> None:
    address = running.start("disk", "&ifGenerationMatch=0", json={"metadata": {"run": "1"}, "crc32c": crc(NOISE)})
    for question in ("*/*", f"*/{SIZE}"):
        answer = running.put(address, question)
        assert (answer.status_code, answer.headers.get("Range")) == (308, None)
    answer = running.put(address, f"0-{QUANTUM - 1}/*", NOISE[:QUANTUM])
    assert (answer.status_code, answer.reason) == (308, "Resume Incomplete")
    assert answer.headers["Range"] == f"bytes=0-{QUANTUM - 1}"
    for question in ("*/*", f"*/{SIZE}", "*/1"):
        answer = running.put(address, question)
        assert (answer.status_code, answer.headers["Range"]) == (308, f"bytes=0-{QUANTUM - 1}")
    assert running.call("GET", f"/storage/v1/b/{BUCKET}/o/disk").status_code == 404
    done = running.put(address, f"{QUANTUM}-{SIZE - 1}/{SIZE}", NOISE[QUANTUM:])
    assert done.status_code == 200
    assert done.json()["metadata"] == {"run": "1"}
    assert body(running) == NOISE
    for again in (running.put(address, "*/*"), running.put(address, f"0-{QUANTUM - 1}/*", NOISE[:QUANTUM])):
        assert (again.status_code, again.json()["generation"]) == (200, done.json()["generation"])


def test_a_question_never_ends_an_upload_whose_size_was_said(running: Storage) -> None:
    address = running.start("disk", headers={"X-Upload-Content-Length": str(SIZE)})
    assert running.put(address, f"0-{QUANTUM - 1}/{SIZE}", NOISE[:QUANTUM]).status_code == 308
    assert running.put(address, f"*/{QUANTUM}").status_code == 308
    assert running.put(address, "*/*").status_code == 308
    assert running.service.names(BUCKET) == []
    answer = running.put(address, f"{QUANTUM}-{2 * QUANTUM - 1}/{2 * QUANTUM}", NOISE[QUANTUM : 2 * QUANTUM])
    assert running.reason(answer) == (400, "badRequest")


def test_the_last_word_on_an_unknown_size(running: Storage) -> None:
    address = running.start("disk")
    running.put(address, f"0-{QUANTUM - 1}/*", NOISE[:QUANTUM])
    assert running.put(address, f"*/{QUANTUM}").status_code == 200
    assert body(running) == NOISE[:QUANTUM]


def test_bytes_that_are_there_are_passed_over_and_gaps_are_refused(running: Storage) -> None:
    address = running.start("disk")
    running.put(address, f"0-{2 * QUANTUM - 1}/*", NOISE[: 2 * QUANTUM])
    other = bytes(QUANTUM)
    answer = running.put(address, f"0-{QUANTUM - 1}/*", other)
    assert answer.headers["Range"] == f"bytes=0-{2 * QUANTUM - 1}"
    gap = running.put(address, f"{3 * QUANTUM}-{SIZE - 1}/{SIZE}", NOISE[3 * QUANTUM :])
    assert running.reason(gap) == (503, "backendError")
    assert running.put(address, f"{QUANTUM}-{SIZE - 1}/{SIZE}", NOISE[QUANTUM:]).status_code == 200
    assert body(running) == NOISE


@pytest.mark.parametrize(
    ("span", "size"),
    [
        ("0-99/*", 100),
        (f"0-{QUANTUM}/*", QUANTUM + 1),
        (f"0-{QUANTUM - 1}/*", QUANTUM - 1),
        (f"0-{QUANTUM - 1}/{QUANTUM - 1}", QUANTUM),
        (f"0-99/{SIZE}", 100),
        ("0-99", 100),
        ("*/*", 100),
    ],
    ids=["small", "odd", "short", "beyond", "small-known", "no-size", "question-with-bytes"],
)
def test_a_chunk_that_is_not_as_google_wants_it(running: Storage, span: str, size: int) -> None:
    address = running.start("disk")
    assert running.reason(running.put(address, span, NOISE[:size])) == (400, "badRequest")
    assert "Range" not in running.put(address, "*/*").headers


def test_checksums_are_checked_at_the_end(running: Storage) -> None:
    address = running.start("disk")
    early = running.put(address, f"0-{QUANTUM - 1}/*", NOISE[:QUANTUM], **{"x-goog-hash": f"crc32c={crc(NOISE)}"})
    assert running.reason(early) == (400, "invalid")
    running.put(address, f"0-{QUANTUM - 1}/*", NOISE[:QUANTUM])
    last = f"{QUANTUM}-{SIZE - 1}/{SIZE}"
    wrong = running.put(address, last, NOISE[QUANTUM:], **{"x-goog-hash": f"crc32c={crc(b'else')}"})
    assert running.reason(wrong) == (400, "invalid")
    assert running.put(address, "*/*").status_code == 404
    assert (running.service.names(BUCKET), list((running.folder / "buckets" / BUCKET / "data").iterdir())) == ([], [])
    for given in ({"crc32c": crc(b"else")}, {"md5Hash": base64.b64encode(bytes(16)).decode()}):
        address = running.start("disk", json=given)
        assert running.reason(running.put(address, f"0-{SIZE - 1}/{SIZE}", NOISE)) == (400, "invalid")


def test_conditions_are_judged_at_the_start_and_at_the_end(running: Storage) -> None:
    address = running.start("disk", "&ifGenerationMatch=0")
    path = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=disk"
    assert running.call("POST", path, data=b"first").status_code == 200
    assert running.reason(running.put(address, "0-4/5", b"later")) == (412, "conditionNotMet")
    again = running.call("POST", path.replace("media", "resumable") + "&ifGenerationMatch=0")
    assert running.reason(again) == (412, "conditionNotMet")
    assert body(running) == b"first"


def test_a_cancelled_session_and_one_whose_week_is_over_are_gone(running: Storage) -> None:
    cancelled, old = running.start("disk"), running.start("disk")
    running.put(cancelled, f"0-{QUANTUM - 1}/*", NOISE[:QUANTUM])
    running.put(old, f"0-{QUANTUM - 1}/*", NOISE[:QUANTUM])
    assert running.call("DELETE", cancelled, principal=None).status_code == 499
    assert running.reason(running.put(cancelled, "*/*")) == (410, "uploadGone")
    running.clock.advance(7 * 24 * 3600 - 1)
    assert running.put(old, "*/*").status_code == 308
    running.clock.advance(1)
    assert running.reason(running.put(old, f"*/{SIZE}")) == (410, "uploadGone")
    running.start("other")
    assert list((running.folder / "buckets" / BUCKET / "data").iterdir()) == []
    assert running.service.open_uploads(BUCKET) == 1
    unknown = running.put(old.rpartition("=")[0] + "=" + "0" * 80, "*/*")
    assert running.reason(unknown) == (404, "notFound")


def test_a_session_outlives_the_service(running: Storage) -> None:
    address = running.start("disk")
    running.put(address, f"0-{QUANTUM - 1}/*", NOISE[:QUANTUM])
    again = StorageService(running.folder, gate=running.identity, projects={PROJECT: "4711"}, clock=running.clock)
    with again.serve() as url:
        moved = url + address.removeprefix(running.url)
        assert running.put(moved, "*/*").headers["Range"] == f"bytes=0-{QUANTUM - 1}"
        done = running.put(moved, f"{QUANTUM}-{SIZE - 1}/{SIZE}", NOISE[QUANTUM:])
        assert (done.status_code, done.json()["crc32c"]) == (200, crc(NOISE))
        assert running.call("GET", f"{url}/storage/v1/b/{BUCKET}/o/disk?alt=media").content == NOISE


@pytest.mark.parametrize("ends", [SIZE, 3 * QUANTUM], ids=["last", "middle"])
def test_of_a_chunk_that_breaks_off_whole_multiples_stay(running: Storage, ends: int) -> None:
    address = running.start("disk")
    at = urlsplit(address)
    total = str(SIZE) if ends == SIZE else "*"
    head = f"PUT {at.path}?{at.query} HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: {ends}\r\n"
    with socket.create_connection((str(at.hostname), at.port or 80)) as line:
        line.sendall(f"{head}Content-Range: bytes 0-{ends - 1}/{total}\r\n\r\n".encode() + NOISE[: 2 * QUANTUM + 99])
    for _ in range(100):
        held = running.put(address, "*/*").headers.get("Range")
        if held:
            break
        time.sleep(0.02)
    assert held == f"bytes=0-{2 * QUANTUM - 1}"
    assert running.put(address, f"{2 * QUANTUM}-{SIZE - 1}/{SIZE}", NOISE[2 * QUANTUM :]).json()["crc32c"] == crc(NOISE)


def test_zeros_take_no_room(running: Storage) -> None:
    size = 16 * 1024 * 1024
    address = running.start("disk")
    assert running.put(address, f"0-{size - 1}/{size}", bytes(size)).json()["crc32c"] == crc(bytes(size))
    (path,) = (running.folder / "buckets" / BUCKET / "data").iterdir()
    assert (path.stat().st_size, path.stat().st_blocks * 512 < size // 8) == (size, True)


def test_a_start_needs_the_right_and_a_token_that_comes_along_must_be_good(running: Storage) -> None:
    path = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&name=disk"
    assert running.reason(running.call("POST", path, principal=READER)) == (403, "forbidden")
    assert running.reason(running.call("POST", path, principal=None)) == (401, "required")
    address = running.start("disk")
    answer = running.put(address, "*/*", Authorization="Bearer ya29.else")
    assert running.reason(answer) == (401, "authError")
