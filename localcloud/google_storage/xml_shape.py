"""The XML API's documents: answers, refusals, and the list of an upload's parts.

Source: Cloud Storage documentation, "HTTP status and error codes for XML", and "Complete a multipart upload".
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from localcloud.google_identity.refusal import ApiRefusal
from localcloud.google_storage.exchange import Reply, StorageRequest
from localcloud.objects import documents
from localcloud.objects.refusal import S3Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

XML_TYPE = "application/xml; charset=UTF-8"
_CODES = {
    "authError": "AuthenticationRequired",
    "forbidden": "AccessDenied",
    "lengthRequired": "MissingContentLength",
    "notFound": "NoSuchBucket",
    "rateLimitExceeded": "SlowDown",
    "required": "AuthenticationRequired",
}
"""What the JSON API's reasons are called here."""


def document_reply(root: str, content: Mapping[str, object]) -> Reply:
    """An answer with a document."""
    return _reply(200, documents.write(root, content).encode())


def refusal_reply(refusal: ApiRefusal) -> Reply:
    """A refusal as an answer."""
    return _reply(refusal.status, refusal_document(refusal))


def refusal_document(refusal: ApiRefusal) -> bytes:
    """A refusal's document; a reason that begins with a capital is one of the XML API's own codes."""
    known = refusal.reason if refusal.reason[0].isupper() else "InvalidArgument"
    code = _CODES.get(refusal.reason, known)
    text = f"<Error><Code>{code}</Code><Message>{escape(refusal.message)}</Message></Error>"
    return f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode()


def read_parts(request: StorageRequest) -> list[tuple[int, str]]:
    """Numbers and ETags that a request to complete an upload names; raises ApiRefusal."""
    if request.body.left > documents.LARGEST:
        raise _malformed()
    try:
        root = documents.read(request.body.read(request.body.left), "CompleteMultipartUpload")
    except S3Refusal as refusal:
        raise _malformed() from refusal
    parts = [_part(each) for each in root]
    if not parts:
        raise _malformed()
    return parts


def _part(element: Element) -> tuple[int, str]:
    found = {child.tag: (child.text or "").strip() for child in element}
    number = found.get("PartNumber", "")
    if element.tag != "Part" or set(found) != {"PartNumber", "ETag"} or not number.isdecimal() or len(number) > 5:
        raise _malformed()
    return int(number), found["ETag"]


def _malformed() -> ApiRefusal:
    message = "The XML you provided was not well-formed or did not validate against our published schema."
    return ApiRefusal(400, "MalformedCompleteMultipartUploadRequest", message)


def _reply(status: int, data: bytes) -> Reply:
    return Reply(status, {"Content-Type": XML_TYPE, "Content-Length": str(len(data))}, [data])
