"""The EBS direct APIs over the snapshot store, as a WSGI application.

Source: botocore's service model ebs 2019-11-02 (shapes, limits, errors and their reasons) and the EBS user guide's
pages on the EBS direct APIs. Which reason a refusal carries isn't documented for every case.

Unconfirmed: the error of the 101st pending snapshot, the reasons of refusals, and when a time-out begins.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from itertools import islice
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from localcloud.accounts import Accounts
from localcloud.ebs.listing import BlockLister
from localcloud.ebs.record import BLOCK, SnapshotRecord
from localcloud.ebs.refusal import EbsRefusal, invalid
from localcloud.ebs.rest_call import RestReader, encode_answer, encode_refusal
from localcloud.ebs.store import new_id
from localcloud.ebs.vendor_model import VendorModel
from localcloud.faults import Answer, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from localcloud.ebs.store import SnapshotStore

LARGEST_VOLUME = 65536
"""GiB."""
MOST_PENDING = 100
"""Pending snapshots of an account: the service's quota."""
MOST_TAGS = 50
DEFAULT_TIMEOUT = 60
"""Minutes without a block until an unfinished snapshot fails."""
KMS_KEY = "arn:aws:kms:us-east-1:{owner}:key/00000000-0000-4000-8000-0000000000eb"
"""The account's default key, for encrypted snapshots that name none."""

Values = dict[str, Any]


class EbsDirectService:
    """A WSGI application; `accounts` tells whose an access key is."""

    def __init__(self, store: SnapshotStore, *, accounts: Accounts | None = None) -> None:
        self._store, self._accounts = store, accounts or Accounts()
        self._model = VendorModel("ebs", "2019-11-02")
        self._reader = RestReader(self._model)
        self._lister = BlockLister(store, self._completed)
        self._operations: dict[str, Callable[[str, Values, Request], Values]] = {
            "StartSnapshot": self._start,
            "PutSnapshotBlock": self._put,
            "CompleteSnapshot": self._complete,
            "ListSnapshotBlocks": lambda caller, values, _: self._lister.list_blocks(caller, values),
            "ListChangedBlocks": lambda caller, values, _: self._lister.list_changed(caller, values),
            "GetSnapshotBlock": self._get,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            response = self._answer(Request(environ))
        except EbsRefusal as refusal:
            response = encode_refusal(refusal)
        response.headers["x-amzn-RequestId"] = secrets.token_hex(16)
        return response(environ, start_response)

    def identify(self, environ: WSGIEnvironment) -> Call:
        """Which operation a request is."""
        found = self._reader.operation_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        return Call("ebs", found[0] if found else "")

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """How this service says that there are too many requests."""
        text = "The number of API requests has exceeded the maximum allowed API request throttling limit"
        return _faulty(EbsRefusal(400, "RequestThrottledException", text, "ACCOUNT_THROTTLED"))

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """How this service says that a right is lacking."""
        text = "You do not have permission to perform this operation"
        return _faulty(EbsRefusal(403, "AccessDeniedException", text, "UNAUTHORIZED_ACCOUNT"))

    def _answer(self, request: Request) -> Response:
        call = self._reader.read(request)
        caller = self._accounts.caller(request.environ)
        if caller is None:
            raise EbsRefusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        values = self._operations[call.operation](caller, dict(call.values), request)
        return encode_answer(self._model, call.operation, values)

    def _owned(self, caller: str, snapshot: str) -> SnapshotRecord:
        record = self._store.find(snapshot)
        if record is None:
            message = f"The snapshot '{snapshot}' does not exist."
            raise EbsRefusal(404, "ResourceNotFoundException", message, "SNAPSHOT_NOT_FOUND")
        if record.owner != caller:
            message = f"The account {caller} isn't authorized to use the snapshot '{snapshot}'"
            raise EbsRefusal(403, "AccessDeniedException", message, "UNAUTHORIZED_ACCOUNT")
        return record

    def _completed(self, caller: str, snapshot: str) -> SnapshotRecord:
        return self._in_state(caller, snapshot, "completed")

    def _in_state(self, caller: str, snapshot: str, wanted: str) -> SnapshotRecord:
        record = self._owned(caller, snapshot)
        status = self._store.status(record)
        # One that is sealed takes no more blocks, though it's still called pending for a while.
        status_fits = status == wanted and not (wanted == "pending" and record.sealed)
        if not status_fits:
            raise invalid(
                reason="INVALID_SNAPSHOT_ID", message=f"The snapshot '{snapshot}' is {status}, it must be {wanted}"
            )
        return record

    def _start(self, caller: str, values: Values, _: Request) -> Values:
        size = values["VolumeSize"]
        if size > LARGEST_VOLUME:
            raise invalid(reason="INVALID_VOLUME_SIZE", message=f"A volume has at most {LARGEST_VOLUME} GiB")
        tags = checked_tags(values.get("Tags", []))
        with self._store.lock:
            known = self._same_token(caller, values)
            if known is not None:
                return self._started(known)
            parent = self._checked_parent(caller, values)
            self._check_pending(caller)
            snapshot = new_id("snap")
            encrypted = values.get("Encrypted", False) or (parent is not None and parent.encrypted)
            default_key = (parent and parent.kms_key) or KMS_KEY.format(owner=caller)
            record = SnapshotRecord(
                id=snapshot,
                owner=caller,
                size=size,
                started=self._store.clock(),
                lineage=parent.lineage if parent else snapshot,
                description=values.get("Description"),
                parent=values.get("ParentSnapshotId"),
                encrypted=encrypted,
                kms_key=values.get("KmsKeyArn", default_key) if encrypted else None,
                client_token=values.get("ClientToken"),
                timeout=values.get("Timeout", DEFAULT_TIMEOUT),
                tags=tags,
            )
            self._store.create(record)
        return self._started(record)

    def _started(self, record: SnapshotRecord) -> Values:
        return {
            "SnapshotId": record.id,
            "Description": record.description,
            "OwnerId": record.owner,
            "Status": self._store.status(record),
            "StartTime": record.started,
            "VolumeSize": record.size,
            "BlockSize": BLOCK,
            "Tags": [{"Key": key, "Value": value} for key, value in record.tags.items()] or None,
            "ParentSnapshotId": record.parent,
            "KmsKeyArn": record.kms_key,
            "SseType": "sse-kms" if record.encrypted else "none",
        }

    def _same_token(self, caller: str, values: Values) -> SnapshotRecord | None:
        token = values.get("ClientToken")
        if token is None:
            return None
        for record in self._store.records.values():
            if record.client_token == token and record.owner == caller:
                if not same_request(record, values):
                    message = "The request uses the same client token as a previous, but non-identical request."
                    raise EbsRefusal(409, "ConflictException", message)
                return record
        return None

    def _checked_parent(self, caller: str, values: Values) -> SnapshotRecord | None:
        if values.get("KmsKeyArn") is not None and not values.get("Encrypted"):
            raise invalid(reason="INVALID_PARAMETER_VALUE", message="KmsKeyArn needs Encrypted to be true")
        name = values.get("ParentSnapshotId")
        if name is None:
            return None
        if "Encrypted" in values:
            raise invalid(reason="INVALID_PARAMETER_VALUE", message="ParentSnapshotId and Encrypted exclude each other")
        parent = self._completed(caller, name)
        if values["VolumeSize"] < parent.size:
            raise invalid(
                reason="INVALID_VOLUME_SIZE", message=f"The parent snapshot has {parent.size} GiB, the volume fewer"
            )
        return parent

    def _check_pending(self, caller: str) -> None:
        mine = (record for record in self._store.records.values() if record.owner == caller)
        if sum(self._store.status(record) == "pending" for record in mine) >= MOST_PENDING:
            message = f"The account has {MOST_PENDING} pending snapshots"
            raise EbsRefusal(400, "ConcurrentLimitExceededException", message)

    def _put(self, caller: str, values: Values, request: Request) -> Values:
        record = self._in_state(caller, values["SnapshotId"], "pending")
        index = values["BlockIndex"]
        if index >= record.blocks:
            raise invalid(
                reason="INVALID_BLOCK", message=f"The volume has {record.blocks} blocks, there is no block {index}"
            )
        if values["DataLength"] != BLOCK:
            raise invalid(reason="INVALID_BLOCK", message=f"x-amz-Data-Length isn't {BLOCK}")
        data = request.stream.read(BLOCK + 1)
        if len(data) != BLOCK or request.content_length not in (BLOCK, None):
            raise invalid(reason="INVALID_BLOCK", message=f"The body isn't {BLOCK} bytes")
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")
        if checksum != values["Checksum"]:
            raise invalid(reason="INVALID_BLOCK", message="The checksum doesn't match the block's data")
        self._store.write_block(record.id, index, data)
        if values.get("Progress", 0) > record.progress:
            self._store.change(record.id, progress=values["Progress"])
        return {"Checksum": checksum, "ChecksumAlgorithm": "SHA256"}

    def _complete(self, caller: str, values: Values, _: Request) -> Values:
        with self._store.lock:
            record = self._in_state(caller, values["SnapshotId"], "pending")
            given = [name in values for name in ("Checksum", "ChecksumAlgorithm", "ChecksumAggregationMethod")]
            if any(given) and not all(given):
                raise invalid(
                    reason="INVALID_PARAMETER_VALUE", message="A checksum needs its algorithm and aggregation method"
                )
            count, aggregate = 0, hashlib.sha256()
            for _index, digest in self._store.written(record.id):
                count += 1
                aggregate.update(digest)
            if count != values["ChangedBlocksCount"]:
                raise invalid(
                    reason="INVALID_PARAMETER_VALUE",
                    message=f"ChangedBlocksCount isn't the number of blocks put ({count})",
                )
            if values.get("Checksum", encoded := _base64(aggregate.digest())) != encoded:
                raise invalid(
                    reason="INVALID_PARAMETER_VALUE", message="The checksum doesn't match the snapshot's blocks"
                )
            sealed = self._store.clock()
            fresh = self._store.change(record.id, sealed=sealed, settle=self._store.settle, progress=100)
        return {"Status": self._store.status(fresh)}

    def _get(self, caller: str, values: Values, _: Request) -> Values:
        record = self._completed(caller, values["SnapshotId"])
        index = values["BlockIndex"]
        self._lister.check_block_token(values["BlockToken"], record.id, index)
        digest = self._store.digest(record.id, index)
        if digest is None:
            raise invalid(reason="INVALID_BLOCK", message=f"The snapshot '{record.id}' has no block {index}")
        return {
            "DataLength": BLOCK,
            "BlockData": self._store.read_block(record.id, index),
            "Checksum": _base64(digest),
            "ChecksumAlgorithm": "SHA256",
        }


def same_request(record: SnapshotRecord, values: Mapping[str, Any]) -> bool:
    """Whether a StartSnapshot asks for what a snapshot was started with."""
    asked = (
        values["VolumeSize"],
        values.get("Description"),
        values.get("ParentSnapshotId"),
        values.get("Timeout", DEFAULT_TIMEOUT),
        values.get("Encrypted", record.encrypted if record.parent else False),
        values.get("KmsKeyArn", record.kms_key),
    )
    return asked == (
        record.size, record.description, record.parent, record.timeout, record.encrypted, record.kms_key,
    )  # fmt: skip


def checked_tags(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags as a mapping; refuses more than 50, a key twice, and keys that AWS keeps for itself."""
    listed = list(islice(tags, MOST_TAGS + 1))
    keys = [tag.get("Key", "") for tag in listed]
    if len(listed) > MOST_TAGS:
        raise invalid(reason="INVALID_TAG", message=f"There are more than {MOST_TAGS} tags")
    if len(set(keys)) != len(keys) or any(not key or key.lower().startswith("aws:") for key in keys):
        raise invalid(reason="INVALID_TAG", message="A tag's key is missing, given twice, or begins with aws:")
    return {tag["Key"]: tag.get("Value", "") for tag in listed}


def _faulty(refusal: EbsRefusal) -> Answer:
    response = encode_refusal(refusal)
    return Answer(response.status_code, tuple(response.headers.items()), response.get_data())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
