"""S3 for large objects as a WSGI application: who may call what, and the buckets themselves.

Signatures aren't verified; the access key tells the account. A bucket belongs to an account; others are refused, but
for reading from a public one. Source: botocore's service model s3 2006-03-01 and the Amazon S3 API reference.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from localcloud.accounts import ACCOUNT, Accounts
from localcloud.faults import Answer, Call
from localcloud.objects import bucket_calls, documents, object_calls, upload_calls
from localcloud.objects.acceptance import refuse_unhandled
from localcloud.objects.copying import Source, split_source
from localcloud.objects.exchange import Reply, S3Request, read_request
from localcloud.objects.record import BucketRecord
from localcloud.objects.refusal import S3Refusal
from localcloud.objects.routes import Route, find_route, operation_name, place_of
from localcloud.objects.store import Bucket, ObjectStore, now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_NAME = re.compile(r"(?!xn--|\d+\.\d+\.\d+\.\d+$)[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]")
HOSTS = ("s3.localhost",)
_REGION_ONLY, _BUCKET_KINDS = frozenset({"LocationConstraint"}), frozenset({"Bucket", "Location", "Tags"})

_BUCKET_CALLS: Mapping[str, Callable[[S3Request, Bucket], Reply]] = {
    "HeadBucket": bucket_calls.head_bucket,
    "GetBucketLocation": bucket_calls.get_location,
    "ListObjectsV2": bucket_calls.list_objects,
    "ListMultipartUploads": bucket_calls.list_uploads,
    "DeleteObjects": bucket_calls.delete_objects,
    "PutObject": object_calls.put_object,
    "GetObject": object_calls.get_object,
    "HeadObject": object_calls.get_object,
    "DeleteObject": object_calls.delete_object,
    "GetObjectTagging": object_calls.get_tags,
    "PutObjectTagging": object_calls.put_tags,
    "DeleteObjectTagging": object_calls.delete_tags,
    "CreateMultipartUpload": upload_calls.create_upload,
    "UploadPart": upload_calls.put_part,
    "ListParts": upload_calls.list_parts,
    "CompleteMultipartUpload": upload_calls.complete_upload,
    "AbortMultipartUpload": upload_calls.abort_upload,
}
_COPY_CALLS: Mapping[str, Callable[[S3Request, Bucket, Source], Reply]] = {
    "CopyObject": object_calls.copy_object,
    "UploadPartCopy": upload_calls.copy_part,
}


class ObjectService:
    """A WSGI application; `hosts` are names behind a bucket's in virtual-host style, besides AWS's own."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        accounts: Accounts | None = None,
        region: str = "us-east-1",
        hosts: Sequence[str] = HOSTS,
    ) -> None:
        self._store, self._accounts = store, accounts or Accounts()
        self._region, self._hosts = region, tuple(hosts)

    def add_bucket(self, name: str, *, owner: str = ACCOUNT, public: bool = False) -> Bucket:
        """Make a bucket, as one of AWS's own that anyone may read; one that's there stays as it is."""
        with self._store.lock:
            return self._store.find(name) or self._create(name, owner, self._region, public=public)

    def handles(self, bucket: str) -> bool:
        """Whether a bucket is one of this service's."""
        return self._store.find(bucket) is not None

    def bucket_of(self, environ: WSGIEnvironment) -> str:
        """The bucket that a request names; empty for none."""
        return self._read(environ).bucket

    def identify(self, environ: WSGIEnvironment) -> Call:
        """Which operation a request is."""
        try:
            request = self._read(environ)
        except S3Refusal:
            return Call("s3", "")
        route = find_route(request.method, place_of(request.bucket, request.key), request.query)
        return Call("s3", operation_name(route, "x-amz-copy-source" in request.headers) if route else "")

    def throttled(self, environ: WSGIEnvironment) -> Answer:
        """How S3 says that there are too many requests."""
        body = S3Refusal(code="SlowDown", message="Please reduce your request rate.").to_xml(environ["PATH_INFO"])
        return Answer(503, (("Content-Type", "application/xml"),), body.encode())

    def denied(self, environ: WSGIEnvironment) -> Answer:
        """How S3 says that a right is lacking."""
        body = S3Refusal(code="AccessDenied", message="Access Denied").to_xml(environ["PATH_INFO"])
        return Answer(403, (("Content-Type", "application/xml"),), body.encode())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            reply = self._answer(self._read(environ))
        except S3Refusal as refusal:
            reply = _refused(refusal, environ)
        return _send(reply, environ["REQUEST_METHOD"], start_response)

    def _read(self, environ: WSGIEnvironment) -> S3Request:
        return read_request(environ, self._accounts.caller(environ), self._hosts)

    def _answer(self, request: S3Request) -> Reply:
        route = find_route(request.method, place_of(request.bucket, request.key), request.query)
        if route is None:
            message = "A header or query you provided implies functionality that is not implemented."
            raise S3Refusal(code="NotImplemented", message=message)
        operation = operation_name(route, "x-amz-copy-source" in request.headers)
        refuse_unhandled(operation, request.headers)
        if operation == "ListBuckets":
            return self._list_buckets(request)
        if operation == "CreateBucket":
            return self._create_bucket(request)
        bucket = self._allowed(request, route, request.bucket, request.headers.get("x-amz-expected-bucket-owner"))
        if operation == "DeleteBucket":
            return self._delete_bucket(bucket)
        if operation in _COPY_CALLS:
            return _COPY_CALLS[operation](request, bucket, self._source(request))
        return _BUCKET_CALLS[operation](request, bucket)

    def _allowed(self, request: S3Request, route: Route, name: str, expected_owner: str | None) -> Bucket:
        bucket = self._store.find(name)
        if bucket is None:
            raise S3Refusal(code="NoSuchBucket", message="The specified bucket does not exist")
        open_to_all = bucket.record.public and route.public
        if expected_owner not in (None, bucket.record.owner) or not (
            request.caller == bucket.record.owner or open_to_all
        ):
            raise _denied()
        return bucket

    def _source(self, request: S3Request) -> Source:
        name, key = split_source(request.headers["x-amz-copy-source"])
        read = Route("GetObject", "GET", "object", public=True)
        bucket = self._allowed(request, read, name, request.headers.get("x-amz-source-expected-bucket-owner"))
        return Source(bucket, object_calls.found(bucket, key))

    def _list_buckets(self, request: S3Request) -> Reply:
        if request.caller is None:
            raise _denied()
        mine = [each.record for each in self._store.buckets() if each.record.owner == request.caller]
        listed = [{"Name": each.name, "CreationDate": f"{each.created:%Y-%m-%dT%H:%M:%S.000Z}"} for each in mine]
        content = {"Buckets": {"Bucket": listed}, "Owner": {"ID": request.caller}}
        return Reply(body=documents.write("ListAllMyBucketsResult", content))

    def _create_bucket(self, request: S3Request) -> Reply:
        if request.caller is None:
            raise _denied()
        region = self._region
        body = request.document()
        if body:
            document = documents.read(body, "CreateBucketConfiguration")
            given = documents.children(document, _REGION_ONLY, unemulated=_BUCKET_KINDS)
            region = given.get("LocationConstraint", region)
        with self._store.lock:
            known = self._store.find(request.bucket)
            if known is not None:
                mine = known.record.owner == request.caller
                code = "BucketAlreadyOwnedByYou" if mine else "BucketAlreadyExists"
                raise S3Refusal(code=code, message="The requested bucket name is not available.")
            self._create(request.bucket, request.caller, region)
        return Reply(headers={"Location": f"/{request.bucket}"})

    def _create(self, name: str, owner: str, region: str, *, public: bool = False) -> Bucket:
        if _NAME.fullmatch(name) is None:
            raise S3Refusal(code="InvalidBucketName", message="The specified bucket is not valid.")
        return self._store.create(BucketRecord(name=name, owner=owner, created=now(), region=region, public=public))

    def _delete_bucket(self, bucket: Bucket) -> Reply:
        with self._store.lock, bucket.lock:
            if next(bucket.keys_from(""), None) is not None or bucket.uploads():
                raise S3Refusal(code="BucketNotEmpty", message="The bucket you tried to delete is not empty")
            self._store.delete(bucket.record.name)
        return Reply(204)


def _denied() -> S3Refusal:
    return S3Refusal(code="AccessDenied", message="Access Denied")


def _refused(refusal: S3Refusal, environ: WSGIEnvironment) -> Reply:
    bodiless = environ["REQUEST_METHOD"] == "HEAD" or refusal.status == 304
    text = "" if bodiless else refusal.to_xml(environ.get("PATH_INFO", ""))
    return Reply(refusal.status, refusal.headers, text)


def _send(reply: Reply, method: str, start_response: StartResponse) -> Iterable[bytes]:
    headers = dict(reply.headers)
    body = reply.body
    if isinstance(body, str):
        data = body.encode()
        body = [data]
        if data:
            headers.setdefault("Content-Type", "application/xml")
        if reply.status != 304 and method != "HEAD":
            headers["Content-Length"] = str(len(data))
    elif reply.status != 204:
        headers.setdefault("Content-Length", "0")
    request_id = {"x-amz-request-id": secrets.token_hex(8).upper(), "x-amz-id-2": secrets.token_hex(16)}
    start_response(f"{reply.status} S3", [*headers.items(), *request_id.items()])
    return body
