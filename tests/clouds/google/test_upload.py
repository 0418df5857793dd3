"""A client image's upload: parts, their checksums, what they're put together to, and what's done again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import google_crc32c
import pytest

from failback.clouds.google.checksums import as_text, crc32c_of, from_text, joined
from failback.clouds.google.removal import remove_object
from failback.clouds.google.upload import MIB, PART, Slice, Upload
from failback.errors import CloudBusy, CloudRefused, CloudUnreachable, ImportFailed, SignInRefused
from failback.naming import RUN_TAG
from localcloud.faults import Cut, Deny, FaultPlan, FaultRule, Lose, Status, Throttle
from localcloud.google_identity.settings import IdentitySettings
from tests.clouds.google.services import ACCOUNT, BUCKET, ISSUER, POOL, SIGNER, services
from tests.home.memory import MemoryContent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from failback.clouds.google.place import GooglePlace
    from localcloud.faults import Action
    from tests.clouds.google.services import Services

KEY, TAGS = "0123456789abcdef0123", {RUN_TAG: "run-1"}
SMALL = 256 << 10
FOLDER = f"images/{KEY}/"


def content(size: int, seed: int = 1) -> MemoryContent:
    """An archive: nothing but noise."""
    return MemoryContent(size, {0: random.Random(seed).randbytes(size)})


@dataclass
class Bench:
    """An upload to embedded Cloud Storage."""

    google: Services
    place: GooglePlace

    def upload(self, size: int = 2 << 30, seconds: int = 20, part: int = SMALL) -> Upload:
        """One with other limits."""
        limits = Slice(seconds=seconds, size=size, part=part)
        return Upload(self.place, KEY, self.google.clock, limits, backoff=lambda _: 0.0)

    def fail(self, *rules: FaultRule) -> None:
        """Let Cloud Storage fail so from now on."""
        self.google.faults.use(FaultPlan(rules=rules))

    def blob(self, name: str) -> Any:  # noqa: ANN401 - the SDK has no types
        """An object, past all faults."""
        self.fail()
        return self.place.clients.storage.bucket(BUCKET).get_blob(name)

    def put(self, name: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        """An object that's somebody's."""
        blob = self.place.clients.storage.bucket(BUCKET).blob(name)
        blob.metadata = metadata or {}
        blob.upload_from_string(data)

    def whole(self, upload: Upload, wanted: MemoryContent) -> str:
        """Send and assemble, in as many calls as it takes; the whole's generation, its bytes compared."""
        reached = 0
        while reached < wanted.size:
            reached = upload.send(wanted, reached, TAGS)
        while not (generation := upload.assemble(wanted.size, TAGS)):
            assert generation == ""
        assert self.blob(upload.whole_name).download_as_bytes() == wanted.whole()
        return generation


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Embedded Cloud Storage, and a place in it."""
    with services(tmp_path) as google:
        yield Bench(google, google.connect().place)


@pytest.mark.parametrize("lengths", [(), (0,), (1,), (1000, 1, 0, 777), (4096, 4096)], ids=str)
def test_checksums_of_pieces_join(lengths: tuple[int, ...]) -> None:
    pieces = [random.Random(number).randbytes(length) for number, length in enumerate(lengths)]
    whole = google_crc32c.value(b"".join(pieces))
    assert joined((crc32c_of([each]), len(each)) for each in pieces) == crc32c_of(pieces) == whole
    assert from_text(as_text(whole)) == whole


def test_parts_become_one_object_and_go(bench: Bench) -> None:
    upload, wanted = bench.upload(), content(5 * SMALL + 17)
    generation = bench.whole(upload, wanted)
    whole = bench.blob(upload.whole_name)
    assert whole.metadata == {"drs-failback-run": "run-1", "drs-failback-image": KEY}
    assert upload.is_whole(generation)
    assert not upload.is_whole("1")
    assert len(bench.google.names()) == 7
    upload.remove_parts()
    assert bench.google.names() == [f"{FOLDER}client.tar.gz"]
    upload.remove_all()
    assert bench.google.names() == []
    assert not upload.is_whole(generation)


def test_large_parts_go_by_resumable_sessions_that_end(bench: Bench) -> None:
    assert PART % (256 << 10) == 0
    wanted = content(9 * MIB)
    bench.whole(bench.upload(part=PART), wanted)
    assert bench.google.storage.open_uploads(BUCKET) == 0


def test_a_call_takes_a_slice(bench: Bench) -> None:
    wanted, upload = content(5 * SMALL), bench.upload(size=2 * SMALL)
    assert upload.send(wanted, 0, TAGS) == 2 * SMALL
    assert upload.send(wanted, 2 * SMALL, TAGS) == 4 * SMALL
    assert upload.send(wanted, 4 * SMALL, TAGS) == 5 * SMALL
    assert bench.upload(size=1).send(wanted, 0, TAGS) == SMALL
    assert bench.upload(seconds=0).send(wanted, 0, TAGS) == SMALL


def test_more_parts_than_one_composition_takes(bench: Bench) -> None:
    wanted = content(34 * 1024)
    upload = bench.upload(part=1024)
    assert upload.send(wanted, 0, TAGS) == wanted.size
    hurried = bench.upload(part=1024, seconds=0)
    assert hurried.assemble(wanted.size, TAGS) == ""
    bench.whole(upload, wanted)


@pytest.mark.parametrize(
    ("operation", "part", "action"),
    [
        ("objects.insert", SMALL, Throttle()),
        ("objects.insert", SMALL, Lose()),
        ("objects.insert", 9 * MIB, Status(code=503)),
        ("objects.insert", 9 * MIB, Lose()),
        ("objects.insert", 9 * MIB, Cut(after=10)),
        ("objects.compose", SMALL, Throttle()),
        ("objects.compose", SMALL, Lose()),
    ],
    ids=lambda each: str(getattr(each, "kind", each)),
)
def test_faults_are_got_over(bench: Bench, action: Action, part: int, operation: str) -> None:
    bench.fail(FaultRule(action=action, operation=operation, nth=(1, 3)))
    bench.whole(bench.upload(part=part), content(part + 1))


def test_parts_of_an_earlier_attempt_count_if_they_re_the_same(bench: Bench) -> None:
    wanted, upload = content(4 * SMALL), bench.upload()
    upload.send(wanted, 0, TAGS)
    first = bench.blob(f"{FOLDER}part-00000").generation
    upload.send(wanted, 0, TAGS)
    assert bench.blob(f"{FOLDER}part-00000").generation == first
    other = content(4 * SMALL, seed=2)
    upload.send(other, 0, TAGS)
    assert bench.blob(f"{FOLDER}part-00000").generation != first
    bench.whole(upload, other)


def test_a_whole_of_other_parts_is_put_together_anew(bench: Bench) -> None:
    upload = bench.upload()
    bench.whole(upload, content(4 * SMALL))
    other = content(4 * SMALL, seed=2)
    upload.send(other, 0, TAGS)
    bench.whole(upload, other)


def test_without_a_part_all_is_sent_again(bench: Bench) -> None:
    wanted, upload = content(4 * SMALL), bench.upload()
    upload.send(wanted, 0, TAGS)
    bench.blob(f"{FOLDER}part-00002").delete()
    assert upload.assemble(wanted.size, TAGS) is None


def test_somebody_else_s_object_in_the_way_stays(bench: Bench) -> None:
    wanted, upload = content(2 * SMALL), bench.upload()
    bench.put(f"{FOLDER}part-00001", b"mine")
    with pytest.raises(ImportFailed, match=r"part-00001 in the way"):
        upload.send(wanted, 0, TAGS)
    upload.remove_all()
    assert bench.google.names() == [f"{FOLDER}part-00001"]


def test_somebody_else_s_object_in_the_whole_one_s_place_stays(bench: Bench) -> None:
    wanted, upload = content(2 * SMALL), bench.upload()
    bench.put(upload.whole_name, b"mine")
    upload.send(wanted, 0, TAGS)
    with pytest.raises(ImportFailed, match=r"client.tar.gz in the way"):
        upload.assemble(wanted.size, TAGS)
    upload.remove_all()
    assert bench.google.names() == [upload.whole_name]


def test_a_refusal_brings_no_session_along(bench: Bench) -> None:
    bench.fail(FaultRule(action=Deny(), operation="objects.insert", method="PUT"))
    with pytest.raises(CloudRefused, match="forbidden") as caught:
        bench.upload(part=9 * MIB).send(content(9 * MIB), 0, TAGS)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "upload_id=***" in str(caught.value) or "upload_id" not in str(caught.value)


def test_a_lost_answer_to_a_removal_is_fine(bench: Bench) -> None:
    upload = bench.upload()
    upload.send(content(2 * SMALL), 0, TAGS)
    bench.fail(FaultRule(action=Lose(), operation="objects.delete", nth=(1,)))
    upload.remove_parts()
    upload.send(content(SMALL), 0, TAGS)
    bench.fail(FaultRule(action=Lose(), operation="objects.delete", nth=(1,)))
    assert remove_object(bench.place, f"{FOLDER}part-00000")
    assert bench.google.names() == []


def test_a_refused_sign_in_stays_what_it_is(tmp_path: Path) -> None:
    with services(tmp_path, IdentitySettings((POOL,), {ISSUER: SIGNER.public_key}, (ACCOUNT,))) as google:
        home = google.connect()
        with pytest.raises(home.foreign) as caught:
            Upload(home.place, KEY, google.clock).send(content(SMALL), 0, TAGS)
        assert isinstance(home.translate(caught.value), SignInRefused)


def test_a_lasting_fault_is_busy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("failback.clouds.google.upload.AGAIN_SECONDS", 0.1)
    bench.fail(FaultRule(action=Throttle(), operation="objects.insert"))
    with pytest.raises(CloudBusy, match="busy"):
        bench.upload().send(content(SMALL), 0, TAGS)
    bench.fail(FaultRule(action=Lose()))
    with pytest.raises(CloudUnreachable):
        bench.upload().send(content(SMALL), 0, TAGS)


def test_the_last_part_alone_may_be_short(bench: Bench) -> None:
    upload = bench.upload()
    upload.send(content(SMALL + 1), 0, TAGS)
    assert upload.assemble(3 * SMALL, TAGS) is None
