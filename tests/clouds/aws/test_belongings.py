"""Giving back in AWS, where it's about to go wrong: tags that change, and a snapshot that's still in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from failback.clouds.aws.belongings import AwsBelongings
from failback.clouds.aws.hosts import Ec2Hosts
from failback.clouds.aws.machine_images import Ec2MachineImages
from failback.clouds.aws.objects import S3Objects
from failback.clouds.aws.snapshots import EbsSnapshots
from failback.errors import NotGivenBack
from failback.model.ending import Belonging
from failback.naming import RUN_TAG, SERVER_TAG
from tests.clouds.aws.embedded import BUCKET, EmbeddedParts, client_at, embedded_parts

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedParts]:
    with embedded_parts(tmp_path_factory.mktemp("aws")) as parts:
        yield parts


def test_what_another_run_has_taken_over_stays(parts: EmbeddedParts) -> None:
    objects, belongings = S3Objects(parts.s3, BUCKET), AwsBelongings(parts.ec2, parts.s3, BUCKET)
    objects.write("iso/x.iso", b"mine", tags={RUN_TAG: "mine"})
    objects.write("iso/y.iso", b"nobody's", tags={})
    (found,) = belongings.made_by("mine")
    objects.write("iso/x.iso", b"another's", tags={RUN_TAG: "another"})
    assert belongings.remove(found)
    assert belongings.remove(Belonging(cloud="aws", kind="object", id="iso/y.iso"))
    assert objects.find("iso/x.iso") is not None
    assert objects.find("iso/y.iso") is not None


def test_a_rule_whose_tag_is_gone_stays(parts: EmbeddedParts) -> None:
    group = parts.ec2.create_security_group(GroupName="retagged", Description="x")["GroupId"]
    rule = Ec2Hosts(parts.ec2).admit(group, "192.0.2.1/32", tags={RUN_TAG: "retagged"})
    belongings = AwsBelongings(parts.ec2, parts.s3, BUCKET)
    (found,) = belongings.made_by("retagged")
    assert (found.kind, found.id, found.name) == ("rule", rule, group)
    assert belongings.command(found).endswith(f"--group-id {group} --security-group-rule-ids {rule}")
    parts.ec2.delete_tags(Resources=[rule], Tags=[{"Key": RUN_TAG}])
    assert belongings.remove(found)
    assert Ec2Hosts(parts.ec2).admits([group], "192.0.2.1/32")


def test_objects_and_images_of_one_server_are_told_apart(parts: EmbeddedParts) -> None:
    objects, belongings = S3Objects(parts.s3, BUCKET), AwsBelongings(parts.ec2, parts.s3, BUCKET)
    for server in ("i-0000000a", "i-0000000b"):
        objects.write(f"images/{server}", b"x", tags={RUN_TAG: "told-apart", SERVER_TAG: server})
    assert [each.id for each in belongings.made_by("told-apart", server="i-0000000b")] == ["images/i-0000000b"]
    assert len(belongings.made_by("told-apart")) == 2


def test_a_snapshot_in_use_goes_once_its_image_is_gone(parts: EmbeddedParts) -> None:
    snapshots = EbsSnapshots(parts.ebs, parts.ec2)
    snapshot = snapshots.start(size_gib=1, token="in-use", tags={RUN_TAG: "in-use"})
    snapshots.complete(snapshot, blocks=0)
    Ec2MachineImages(parts.ec2).register("in-use", snapshot=snapshot, size_gib=1, tags={RUN_TAG: "in-use"})
    belongings = AwsBelongings(parts.ec2, parts.s3, BUCKET)
    image, disk = belongings.made_by("in-use")
    assert not belongings.remove(disk)
    assert belongings.remove(image)
    assert belongings.remove(disk)
    assert list(belongings.made_by("in-use")) == []


def test_a_snapshot_of_an_image_that_stays_is_not_waited_for(
    parts: EmbeddedParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = EbsSnapshots(parts.ebs, parts.ec2)
    snapshot = snapshots.start(size_gib=1, token="staying", tags={RUN_TAG: "staying"})
    snapshots.complete(snapshot, blocks=0)
    ami = Ec2MachineImages(parts.ec2).register("staying", snapshot=snapshot, size_gib=1, tags={RUN_TAG: "staying"})
    belongings = AwsBelongings(parts.ec2, parts.s3, BUCKET)
    image, disk = belongings.made_by("staying")
    assert not belongings.remove(disk)
    denied = ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": ""}}, "DeregisterImage")
    with monkeypatch.context() as patch:
        patch.setattr(parts.ec2, "deregister_image", lambda **_: (_ for _ in ()).throw(denied))
        with pytest.raises(ClientError):
            belongings.remove(image)
    with pytest.raises(NotGivenBack, match=ami.id):
        belongings.remove(disk)


def test_a_snapshot_that_somebody_else_uses_is_not_waited_for(parts: EmbeddedParts) -> None:
    snapshots = EbsSnapshots(parts.ebs, parts.ec2)
    snapshot = snapshots.start(size_gib=1, token="theirs", tags={RUN_TAG: "theirs"})
    snapshots.complete(snapshot, blocks=0)
    ami = Ec2MachineImages(parts.ec2).register("theirs", snapshot=snapshot, size_gib=1, tags={})
    belongings = AwsBelongings(parts.ec2, parts.s3, BUCKET)
    (disk,) = belongings.made_by("theirs")
    with pytest.raises(NotGivenBack, match=ami.id):
        belongings.remove(disk)


def test_a_refusal_is_not_taken_for_gone(parts: EmbeddedParts) -> None:
    url = parts.s3.meta.endpoint_url
    belongings = AwsBelongings(parts.ec2, client_at("s3", url, key="AKIAOTHER"), BUCKET)
    with pytest.raises(ClientError, match="AccessDenied"):
        belongings.remove(Belonging(cloud="aws", kind="object", id="iso/x.iso"))
