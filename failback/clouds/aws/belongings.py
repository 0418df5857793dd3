"""What a run has made in AWS: rules of security groups, AMIs, snapshots, uploads under way and objects, by its tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.clouds.aws.answers import code_of
from failback.clouds.aws.objects import UPLOAD_NOTES, S3Objects, S3Uploads
from failback.errors import NotGivenBack
from failback.model.ending import Belonging
from failback.naming import RUN_TAG, SERVER_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import FilterTypeDef, TagTypeDef
    from mypy_boto3_s3 import S3Client

CLOUD = "aws"
# Where objects of runs lie. Reports aren't given back: they tell of what was.
PREFIXES = ("iso/", "images/")
_GONE = frozenset(
    {
        "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidSnapshot.NotFound", "NoSuchKey",
        "InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound", "InvalidGroup.NotFound",
    }
)  # fmt: skip
# EC2 says so for a moment after the AMI is gone.
_IN_USE = "InvalidSnapshot.InUse"


class AwsBelongings:
    """Belongings. Nothing is removed that doesn't carry the tag at that moment: of the run for which it was found.

    What was found by another instance needs the tag of any run.
    """

    def __init__(self, ec2: EC2Client, s3: S3Client, bucket: str) -> None:
        self._ec2, self._s3, self._bucket = ec2, s3, bucket
        self._objects, self._uploads = S3Objects(s3, bucket), S3Uploads(s3, bucket)
        self._found_for: dict[tuple[str, str], str] = {}
        self._staying: set[str] = set()

    def made_by(self, run: str, *, server: str = "") -> Sequence[Belonging]:
        """A rule's `name` is that of its security group."""
        tags = {RUN_TAG: run, **({SERVER_TAG: server} if server else {})}
        found = [
            *self._rules(tags),
            *self._images(tags),
            *self._snapshots(tags),
            *self._uploads_of(tags),
            *self._objects_of(tags),
        ]
        self._found_for.update({(each.kind, each.id): run for each in found})
        return found

    def of_run(self, run: str) -> Sequence[Belonging]:
        """All but rules: here nothing else is made for a server."""
        return [each for each in self.made_by(run) if each.kind != "rule"]

    def remove(self, belonging: Belonging) -> bool:
        try:
            run = self._tags(belonging).get(RUN_TAG)
            expected = self._found_for.get((belonging.kind, belonging.id), run)
            if run is not None and run == expected:
                self._removals()[belonging.kind](belonging)
        except (self._ec2.exceptions.ClientError, self._s3.exceptions.ClientError) as error:
            if code_of(error) == _IN_USE:
                self._check_users(belonging.id)
                return False
            if code_of(error) not in _GONE:
                self._staying.add(belonging.id)
                raise
        return True

    def _check_users(self, snapshot: str) -> None:
        """Don't wait for an AMI that stays: one that couldn't be removed, or that no run has made."""
        used: list[FilterTypeDef] = [{"Name": "block-device-mapping.snapshot-id", "Values": [snapshot]}]
        images = self._ec2.describe_images(Owners=["self"], Filters=used)["Images"]
        tags = {image["ImageId"]: _tags(image.get("Tags", ())) for image in images}
        users = sorted(name for name in tags if name in self._staying or RUN_TAG not in tags[name])
        if users:
            message = f"{', '.join(users)} uses the snapshot {snapshot}: deregister the AMI first, if it isn't needed"
            raise NotGivenBack(message)

    def command(self, belonging: Belonging) -> str:
        place = f"--bucket {self._bucket}"
        rule = f"--group-id {belonging.name} --security-group-rule-ids {belonging.id}"
        return {
            "rule": f"aws ec2 revoke-security-group-ingress {rule}",
            "ami": f"aws ec2 deregister-image --image-id {belonging.id}",
            "snapshot": f"aws ec2 delete-snapshot --snapshot-id {belonging.id}",
            "upload": f"aws s3api abort-multipart-upload {place} --key {belonging.name} --upload-id {belonging.id}",
            "object": f"aws s3api delete-object {place} --key {belonging.id}",
        }[belonging.kind]

    def _removals(self) -> Mapping[str, Callable[[Belonging], object]]:
        return {
            "rule": self._close,
            "ami": lambda each: self._ec2.deregister_image(ImageId=each.id),
            "snapshot": lambda each: self._ec2.delete_snapshot(SnapshotId=each.id),
            "upload": lambda each: self._uploads.abort(each.name, each.id),
            "object": lambda each: self._objects.remove(each.id),
        }

    def _close(self, rule: Belonging) -> None:
        self._ec2.revoke_security_group_ingress(GroupId=rule.name, SecurityGroupRuleIds=[rule.id])

    def _rules(self, tags: Mapping[str, str]) -> Iterator[Belonging]:
        pages = self._ec2.get_paginator("describe_security_group_rules").paginate(Filters=_filters(tags))
        for page in pages:
            for rule in page["SecurityGroupRules"]:
                yield Belonging(cloud=CLOUD, kind="rule", id=rule["SecurityGroupRuleId"], name=rule["GroupId"])

    def _images(self, tags: Mapping[str, str]) -> Iterator[Belonging]:
        pages = self._ec2.get_paginator("describe_images").paginate(Owners=["self"], Filters=_filters(tags))
        for page in pages:
            for image in page["Images"]:
                yield Belonging(cloud=CLOUD, kind="ami", id=image["ImageId"], name=image.get("Name", ""))

    def _snapshots(self, tags: Mapping[str, str]) -> Iterator[Belonging]:
        """Those still pending too."""
        pages = self._ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=_filters(tags))
        for page in pages:
            for snapshot in page["Snapshots"]:
                yield Belonging(cloud=CLOUD, kind="snapshot", id=snapshot["SnapshotId"])

    def _uploads_of(self, tags: Mapping[str, str]) -> Iterator[Belonging]:
        for note in self._keys(UPLOAD_NOTES):
            if tags.items() <= self._object_tags(note).items():
                found = self._objects.find(note)
                key = self._objects.read(note, 0, found.size).decode() if found else ""
                yield Belonging(cloud=CLOUD, kind="upload", id=note.removeprefix(UPLOAD_NOTES), name=key)

    def _objects_of(self, tags: Mapping[str, str]) -> Iterator[Belonging]:
        """A proof before what it stands for: an object without its proof counts as absent, never the reverse."""
        keys = [key for prefix in PREFIXES for key in self._keys(prefix)]
        for key in sorted(keys, key=lambda key: (not key.endswith(".json"), key)):
            if tags.items() <= self._object_tags(key).items():
                yield Belonging(cloud=CLOUD, kind="object", id=key)

    def _keys(self, prefix: str) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def _tags(self, belonging: Belonging) -> dict[str, str]:
        """Its tags as they are now; none where it's gone."""
        if belonging.kind == "upload":
            return self._object_tags(UPLOAD_NOTES + belonging.id)
        if belonging.kind == "object":
            return self._object_tags(belonging.id)
        if belonging.kind == "rule":
            (rule,) = self._ec2.describe_security_group_rules(SecurityGroupRuleIds=[belonging.id])["SecurityGroupRules"]
            return _tags(rule.get("Tags", ()))
        if belonging.kind == "ami":
            images = self._ec2.describe_images(ImageIds=[belonging.id])["Images"]
            return _tags(images[0].get("Tags", ())) if images else {}
        (snapshot,) = self._ec2.describe_snapshots(SnapshotIds=[belonging.id])["Snapshots"]
        return _tags(snapshot.get("Tags", ()))

    def _object_tags(self, key: str) -> dict[str, str]:
        try:
            answer = self._s3.get_object_tagging(Bucket=self._bucket, Key=key)
        except self._s3.exceptions.ClientError as error:
            if code_of(error) in _GONE:
                return {}
            raise
        return {each["Key"]: each["Value"] for each in answer["TagSet"]}


def _filters(tags: Mapping[str, str]) -> list[FilterTypeDef]:
    # A filter's value may hold wildcards, and a run's name none of them: Step Functions refuses them in names.
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]


def _tags(tags: Sequence[TagTypeDef]) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in tags}
