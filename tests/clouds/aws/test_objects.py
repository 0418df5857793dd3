"""What S3's adapter does beyond its contract: the owner's check, many parts, and bodies that break off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, ResponseStreamingError

from failback.clouds.aws.answers import BODY_ATTEMPTS, whole_body
from failback.clouds.aws.objects import UPLOAD_NOTES, S3Objects, S3Uploads
from tests.clouds.aws.embedded import BUCKET, OTHER_ACCOUNT, EmbeddedParts, client_at, embedded_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.response import StreamingBody

ACCOUNT = "123456789012"
PART = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedParts]:
    with embedded_parts(tmp_path_factory.mktemp("aws")) as parts:
        yield parts


def test_another_accounts_bucket_is_refused_with_every_call(parts: EmbeddedParts) -> None:
    S3Objects(parts.s3, BUCKET, owner=ACCOUNT).write("owned", b"x", tags={})
    objects = S3Objects(parts.s3, BUCKET, owner=OTHER_ACCOUNT)
    uploads = S3Uploads(parts.s3, BUCKET, owner=OTHER_ACCOUNT)
    upload = S3Uploads(parts.s3, BUCKET, owner=ACCOUNT).begin("big", tags={})
    for call in (
        lambda: objects.find("owned"),
        lambda: objects.read("owned", 0, 1),
        lambda: objects.write("owned", b"y", tags={}),
        lambda: objects.remove("owned"),
        lambda: uploads.begin("big", tags={}),
        lambda: uploads.put("big", upload, 1, b"x"),
        lambda: uploads.finish("big", upload),
        lambda: uploads.abort("big", upload),
    ):
        with pytest.raises(ClientError, match=r"403|AccessDenied"):
            call()


def test_an_uploads_note_lives_as_long_as_the_upload(parts: EmbeddedParts) -> None:
    objects, uploads = S3Objects(parts.s3, BUCKET), S3Uploads(parts.s3, BUCKET)
    first, second = (uploads.begin(key, tags={"drs-failback:run": "r"}) for key in ("one", "two"))
    for upload, key in ((first, b"one"), (second, b"two")):
        assert objects.read(UPLOAD_NOTES + upload, 0, 3) == key
    uploads.put("one", first, 1, b"x")
    uploads.finish("one", first)
    uploads.abort("two", second)
    assert objects.find(UPLOAD_NOTES + first) is None
    assert objects.find(UPLOAD_NOTES + second) is None
    tags = parts.s3.get_object_tagging(Bucket=BUCKET, Key="one")["TagSet"]
    assert tags == [{"Key": "drs-failback:run", "Value": "r"}]


def test_parts_are_listed_to_the_last_page(parts: EmbeddedParts) -> None:
    s3, asked = client_at("s3", parts.s3.meta.endpoint_url), []

    def two_at_a_time(params: dict[str, object], **_: object) -> None:
        asked.append(params["UploadId"])
        params["MaxParts"] = 2

    s3.meta.events.register("before-parameter-build.s3.ListParts", two_at_a_time)
    uploads = S3Uploads(s3, BUCKET)
    upload = uploads.begin("many", tags={})
    for number in range(1, 5):
        uploads.put("many", upload, number, bytes([number]) * PART)
    uploads.put("many", upload, 5, b"end")
    assert uploads.finish("many", upload).size == 4 * PART + 3
    assert asked == [upload] * 3


def test_a_part_that_arrives_changed_is_refused(parts: EmbeddedParts, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = S3Uploads(parts.s3, BUCKET)
    upload = uploads.begin("damaged", tags={})
    # The transport can't be made to damage what it carries, so the checksum is taken of something else.
    monkeypatch.setattr("failback.clouds.aws.objects._crc32", lambda _data: "AAAAAA==")
    with pytest.raises(ClientError, match=r"BadDigest|checksum"):
        uploads.put("damaged", upload, 1, b"data")


class BrokenBody:
    """A body that breaks off a few times."""

    def __init__(self, breaks: int) -> None:
        self.breaks, self.asked = breaks, 0

    def ask(self) -> StreamingBody:
        self.asked += 1
        return self  # type: ignore[return-value]

    def read(self) -> bytes:
        if self.asked <= self.breaks:
            raise ResponseStreamingError(error="connection broken")
        return b"whole"


def test_a_body_that_breaks_off_is_asked_for_again() -> None:
    body = BrokenBody(BODY_ATTEMPTS - 1)
    assert whole_body(body.ask) == b"whole"
    assert body.asked == BODY_ATTEMPTS
    with pytest.raises(ResponseStreamingError):
        whole_body(BrokenBody(BODY_ATTEMPTS).ask)
