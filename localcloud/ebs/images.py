"""EC2's image, snapshot and tag calls over the snapshot store, as a WSGI application and for a gateway to ask.

Source: botocore's service model ec2 2016-11-15 and EC2's list of error codes.

Unconfirmed: IncorrectState for an image from a snapshot that is still pending.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from localcloud.accounts import Accounts
from localcloud.ebs import descriptions
from localcloud.ebs.filters import page, select
from localcloud.ebs.query_call import encode_answer, encode_refusal, read_parameters
from localcloud.ebs.record import BLOCK, ImageRecord
from localcloud.ebs.refusal import Ec2Refusal
from localcloud.ebs.registration import new_image
from localcloud.ebs.tagging import TagBook, checked_tags
from localcloud.ebs.vendor_model import VendorModel
from localcloud.faults import Answer, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from localcloud.ebs.store import SnapshotStore

VERSION = "2016-11-15"
_OURS = frozenset({"RegisterImage", "DescribeImages", "DeregisterImage", "DescribeSnapshots", "DeleteSnapshot"})
_TAGGING = frozenset({"CreateTags", "DeleteTags"})
_IDS = re.compile(r"(ami|snap)-")
_TYPES = frozenset({"image", "snapshot"})

Values = dict[str, Any]


class ImageService:
    """A WSGI application; images lie in the snapshot store's folder beside the snapshots."""

    def __init__(self, store: SnapshotStore, *, accounts: Accounts | None = None) -> None:
        self._store, self._accounts = store, accounts or Accounts()
        self._model = VendorModel("ec2", VERSION)
        self._folder = store.folder / "images"
        self._folder.mkdir(exist_ok=True)
        records = (ImageRecord.model_validate_json(path.read_bytes()) for path in self._folder.glob("ami-*.json"))
        self._images = {record.id: record for record in records}
        self._tags = TagBook(store, self._images, self._keep)
        self._actions: dict[str, Callable[[str, Values], Values]] = {
            "RegisterImage": self._register,
            "DescribeImages": self._describe_images,
            "DeregisterImage": self._deregister,
            "DescribeSnapshots": self._describe_snapshots,
            "DeleteSnapshot": self._delete_snapshot,
            "CreateTags": self._tags.create,
            "DeleteTags": self._tags.delete,
            "DescribeTags": self._tags.describe,
        }

    @property
    def images(self) -> Mapping[str, ImageRecord]:
        """All images by id."""
        with self._store.lock:
            return dict(self._images)

    def handles(self, action: str, parameters: Mapping[str, str]) -> bool:
        """Whether a call of EC2 is answered here: images and snapshots, and tags where they're of those."""
        if action in _TAGGING:
            ids = [value for name, value in parameters.items() if name.startswith("ResourceId.")]
            return any(_IDS.match(value) for value in ids)
        if action == "DescribeTags":
            return bool(_wanted_types(parameters) & _TYPES)
        return action in _OURS

    def identify(self, environ: WSGIEnvironment) -> Call:
        """Which operation a request is; its form is read here and kept for whoever reads it next."""
        return Call("ec2", _form(environ).get("Action", ""))

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """How EC2 says that there are too many requests."""
        body = encode_refusal(Ec2Refusal(503, "RequestLimitExceeded", "Request limit exceeded."))
        return Answer(503, (("Content-Type", "text/xml;charset=UTF-8"),), body.encode())

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """How EC2 says that a right is lacking."""
        refusal = Ec2Refusal(403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
        return Answer(403, (("Content-Type", "text/xml;charset=UTF-8"),), encode_refusal(refusal).encode())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            text, status = self._answer(environ), 200
        except Ec2Refusal as refusal:
            text, status = encode_refusal(refusal), refusal.status
        headers = {"x-amzn-RequestId": secrets.token_hex(16)}
        return Response(text, status, headers, content_type="text/xml;charset=UTF-8")(environ, start_response)

    def _answer(self, environ: WSGIEnvironment) -> str:
        caller = self._accounts.caller(environ)
        if caller is None:
            raise Ec2Refusal(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
        parameters = _form(environ)
        action = parameters.get("Action", "")
        if action not in self._actions or parameters.get("Version") != VERSION:
            raise Ec2Refusal(400, "InvalidAction", f"The action {action} is not valid for this web service.")
        values = read_parameters(self._model, action, parameters)
        if values.pop("DryRun", False):
            message = "Request would have succeeded, but DryRun flag is set."
            raise Ec2Refusal(412, "DryRunOperation", message)
        with self._store.lock:
            return encode_answer(self._model, action, self._actions[action](caller, values))

    def _keep(self, record: ImageRecord) -> None:
        record.save(self._folder / f"{record.id}.json")
        self._images[record.id] = record

    def _mine(self, caller: str) -> list[ImageRecord]:
        return [image for image in self._images.values() if image.owner == caller]

    def _register(self, caller: str, values: Values) -> Values:
        tags = _specified_tags(values, "image")
        image = new_image(self._store, caller, values, tags, self._store.clock())
        same = [each.id for each in self._mine(caller) if each.name == image.name]
        if same:
            message = f"AMI name {image.name} is already in use by AMI {same[0]}"
            raise Ec2Refusal(400, "InvalidAMIName.Duplicate", message)
        self._keep(image)
        return {"ImageId": image.id}

    def _image(self, caller: str, name: str) -> ImageRecord:
        if re.fullmatch(r"ami-[0-9a-f]{8,17}", name) is None:
            raise Ec2Refusal(400, "InvalidAMIID.Malformed", f'Invalid id: "{name}" (expecting "ami-...")')
        image = self._images.get(name)
        if image is None or image.owner != caller:
            raise Ec2Refusal(400, "InvalidAMIID.NotFound", f"The image id '[{name}]' does not exist")
        return image

    def _describe_images(self, caller: str, values: Values) -> Values:
        ids = values.get("ImageIds")
        if ids and "MaxResults" in values:
            raise Ec2Refusal(400, "InvalidParameterCombination", "MaxResults can't be given together with image ids")
        images = [self._image(caller, name) for name in ids] if ids else self._mine(caller)
        # The caller's own images are all that there are, and nobody is named to launch them but their owner.
        owners = {caller if name == "self" else name for name in values.get("Owners", [caller])}
        users = {caller if name == "self" else name for name in values.get("ExecutableUsers", ["self"])}
        images = [image for image in images if image.owner in owners and caller in users]
        images = select(images, values.get("Filters", ()), descriptions.IMAGE_FIELDS, lambda image: image.tags)
        shown, token = page(images, values, lambda image: image.id)
        return {"Images": [descriptions.describe_image(image) for image in shown], "NextToken": token}

    def _deregister(self, caller: str, values: Values) -> Values:
        image = self._image(caller, values["ImageId"])
        (self._folder / f"{image.id}.json").unlink()
        del self._images[image.id]
        results = None
        if values.get("DeleteAssociatedSnapshots"):
            results = [self._delete_with_image(each.snapshot) for each in image.mappings if each.snapshot]
        return {"Return": True, "DeleteSnapshotResults": results}

    def _delete_with_image(self, snapshot: str) -> Values:
        used = bool(self._users(snapshot))
        if not used and self._store.find(snapshot) is not None:
            self._store.remove(snapshot)
        return {"SnapshotId": snapshot, "ReturnCode": "skipped" if used else "success"}

    def _users(self, snapshot: str) -> list[str]:
        return [
            image.id for image in self._images.values() if any(each.snapshot == snapshot for each in image.mappings)
        ]

    def _snapshot_row(self, caller: str, name: str) -> descriptions.SnapshotRow:
        if re.fullmatch(r"snap-[0-9a-f]{8,17}", name) is None:
            raise Ec2Refusal(400, "InvalidSnapshotID.Malformed", f'Invalid id: "{name}" (expecting "snap-...")')
        record = self._store.find(name)
        if record is None or record.owner != caller:
            raise Ec2Refusal(400, "InvalidSnapshot.NotFound", f"The snapshot '{name}' does not exist.")
        return record, self._store.status(record)

    def _describe_snapshots(self, caller: str, values: Values) -> Values:
        ids = values.get("SnapshotIds")
        if ids and "MaxResults" in values:
            raise Ec2Refusal(400, "InvalidParameterCombination", "MaxResults can't be given together with snapshot ids")
        names = ids or [each.id for each in self._store.records.values() if each.owner == caller]
        rows = [self._snapshot_row(caller, name) for name in names]
        for parameter in ("OwnerIds", "RestorableByUserIds"):
            allowed = {caller if name == "self" else name for name in values.get(parameter, ["self"])}
            rows = [row for row in rows if row[0].owner in allowed]
        rows = select(rows, values.get("Filters", ()), descriptions.SNAPSHOT_FIELDS, lambda row: row[0].tags)
        shown, token = page(rows, values, lambda row: row[0].id)
        snapshots = [descriptions.describe_snapshot(row, self._present(row)) for row in shown]
        return {"Snapshots": snapshots, "NextToken": token}

    def _present(self, row: descriptions.SnapshotRow) -> int:
        record, status = row
        return sum(BLOCK for _ in self._store.blocks(record.id)) if status == "completed" else 0

    def _delete_snapshot(self, caller: str, values: Values) -> Values:
        record, _ = self._snapshot_row(caller, values["SnapshotId"])
        users = self._users(record.id)
        if users:
            message = f"The snapshot {record.id} is currently in use by {users[0]}"
            raise Ec2Refusal(400, "InvalidSnapshot.InUse", message)
        self._store.remove(record.id)
        return {}


def _specified_tags(values: Mapping[str, Any], kind: str) -> dict[str, str]:
    given: list[Mapping[str, str]] = []
    for each in values.get("TagSpecifications", ()):
        if each.get("ResourceType") not in {kind, "snapshot"}:
            message = f"'{each.get('ResourceType')}' is not a valid taggable resource type for this operation."
            raise Ec2Refusal(400, "InvalidParameterValue", message)
        if each["ResourceType"] != kind:
            message = "Tags of the snapshots aren't emulated here: put them on when the snapshot is started"
            raise Ec2Refusal(400, "UnsupportedOperation", message)
        given.extend(each.get("Tags", ()))
    return checked_tags(given)


def _wanted_types(parameters: Mapping[str, str]) -> set[str]:
    """The types of resources that a DescribeTags is about, as far as its filters say."""
    found: set[str] = set()
    for name, value in parameters.items():
        filtered = re.fullmatch(r"Filter\.([0-9]+)\.Value\.[0-9]+", name)
        kind = parameters.get(f"Filter.{filtered[1]}.Name") if filtered else None
        if kind == "resource-type":
            found.add(value)
        elif kind == "resource-id" and (prefix := _IDS.match(value)):
            found.add("image" if prefix[1] == "ami" else "snapshot")
    return found


def _form(environ: WSGIEnvironment) -> dict[str, str]:
    """A request's form and query; werkzeug's own request object keeps what was read in the environment."""
    known = environ.get("localcloud.ec2.form")
    if known is None:
        request = Request(environ)
        known = environ["localcloud.ec2.form"] = {**request.args.to_dict(), **request.form.to_dict()}
    form: dict[str, str] = known
    return form
