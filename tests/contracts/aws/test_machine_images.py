"""The contract of MachineImages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.errors import AmiUnsuitable, CloudRefused
from failback.model.run import Ami

if TYPE_CHECKING:
    from tests.contracts.aws.conftest import Images


def completed(images: Images, token: str) -> str:
    snapshot = images.snapshots.start(size_gib=2, token=token, tags={})
    images.snapshots.complete(snapshot, blocks=0)
    return snapshot


def test_an_image_is_found_by_its_name_and_its_id(images: Images) -> None:
    snapshot = completed(images, "images-1")
    assert images.images.find("client-1") is None
    ami = images.images.register("client-1", snapshot=snapshot, size_gib=2, tags={"drs-failback:run": "r"})
    assert (ami.name, ami.snapshot, ami.size_gib) == ("client-1", snapshot, 2)
    assert images.images.find("client-1") == ami == images.images.describe(ami.id)


def test_a_lost_answer_is_made_good_and_another_image_is_not_taken(images: Images) -> None:
    snapshot = completed(images, "images-2")
    ami = images.images.register("client-2", snapshot=snapshot, size_gib=2, tags={})
    assert images.images.register("client-2", snapshot=snapshot, size_gib=2, tags={}) == ami
    with pytest.raises(CloudRefused, match="client-2"):
        images.images.register("client-2", snapshot=completed(images, "images-3"), size_gib=2, tags={})


def test_anybodys_image_is_described_and_what_is_not_there_is_unsuitable(images: Images) -> None:
    snapshot = completed(images, "images-4")
    own = Ami(id="ami-0123456789abcdef0", name="golden", snapshot=snapshot, size_gib=9)
    name = images.add(own)
    assert images.images.describe(name) == own.model_copy(update={"id": name})
    with pytest.raises(AmiUnsuitable, match="ami-00000000000000fff"):
        images.images.describe("ami-00000000000000fff")
