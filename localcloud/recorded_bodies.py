"""What's kept of bodies and answers of calls: which thing is changed, and how; nothing that opens a door.

User data and an instance's metadata may hold keys for an hour, tokens are in what Entra, STS and Step Functions are
told, and a blob's URL is its signature: none of that is kept. Of the run log's items it's what is set in which one,
without what it's set to.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from localcloud.service_call import peek

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed.wsgi import WSGIEnvironment

    from localcloud.service_call import Call

Json = Any
LARGEST_READ = 1 << 20
"""Bytes of a body that are looked at; ARM's and AWS's own documents are smaller."""
LARGEST_KEPT = 16 << 10
"""Characters of it that are kept: a machine with its 60 disks has some 14,000."""
LARGEST_ANSWER = 4 << 20
"""Bytes of an answer that's listened to: a page of 200 recovery instances has less than one MiB."""
KEPT_OUT = "kept out"
SECRETS = frozenset({"userData", "customData", "adminPassword", "secrets", "protectedSettings"})
"""Members of ARM's documents that aren't kept."""
COMPUTE_SECRETS = frozenset({"items", "rawKey", "rsaEncryptedKey"})
"""The same of Compute's: what metadata holds, and keys of disks."""
LARGEST_HEAD = 64 << 10
"""Bytes of an upload that its document is within."""
_READS = ("Describe", "Get", "List")
_TAGGED = frozenset({"PutObject", "CreateMultipartUpload"})
_PLACES = frozenset({"uploadId", "tagKeys", "deviceName", "autoDelete"})
"""Parameters of URLs that name what's changed."""


def body_of(call: Call, environ: WSGIEnvironment) -> str:
    """JSON of what a call that changes something says; one that says more than is kept is cut short."""
    keep = _BODIES.get(call.service)
    if keep is None or environ["REQUEST_METHOD"] in {"GET", "HEAD"} or call.operation.startswith(_READS):
        return ""
    try:
        kept = keep(call, environ)
    except (ValueError, AttributeError, TypeError):
        # Not what the service takes: it refuses it.
        return ""
    return "" if kept is None else json.dumps(kept)[:LARGEST_KEPT]


def query_of(call: Call, environ: WSGIEnvironment) -> str:
    """The URL's parameters that name what's changed."""
    if call.service not in {"s3", "drs", "compute"}:
        return ""
    given = parse_qsl(str(environ.get("QUERY_STRING", "")))
    return json.dumps(kept) if (kept := [[name, value] for name, value in given if name in _PLACES]) else ""


def is_heard(service: str, operation: str) -> bool:
    """Whether anything of the answer is kept."""
    return (service, operation) in _ANSWERS


def answer_of(service: str, operation: str, data: bytes) -> str:
    """JSON of what's kept of an answer: ids of what was made, states that were told."""
    try:
        return json.dumps(_ANSWERS[service, operation](data))
    except (ValueError, AttributeError, TypeError, KeyError):
        return ""


def _json(environ: WSGIEnvironment) -> Json:
    data = peek(environ, LARGEST_READ)
    return json.loads(data) if data else None


def _arm(_call: Call, environ: WSGIEnvironment) -> Json:
    return _without(SECRETS, _json(environ))


def _compute(_call: Call, environ: WSGIEnvironment) -> Json:
    return _without(COMPUTE_SECRETS, _json(environ))


def _without(secrets: frozenset[str], value: Json) -> Json:
    if isinstance(value, dict):
        return {name: KEPT_OUT if name in secrets else _without(secrets, each) for name, each in value.items()}
    return [_without(secrets, each) for each in value] if isinstance(value, list) else value


def _google_object(_call: Call, environ: WSGIEnvironment) -> Json:
    """An object's name and metadata: from the document that's before its bytes, or what parts are to become."""
    if environ["REQUEST_METHOD"] != "POST":
        return None
    text = peek(environ, LARGEST_HEAD).decode("utf-8", "replace")
    start = text.find("{")
    document, _ = json.JSONDecoder().raw_decode(text, max(0, start))
    document = document.get("destination", document)
    return {name: document.get(name) for name in ("name", "metadata")}


def _document(_call: Call, environ: WSGIEnvironment) -> Json:
    return _json(environ)


def _snapshot(call: Call, environ: WSGIEnvironment) -> Json:
    return _json(environ) if call.operation == "StartSnapshot" else None


def _form(_call: Call, environ: WSGIEnvironment) -> Json:
    return dict(parse_qsl(peek(environ, LARGEST_READ).decode("utf-8", "replace")))


def _item(_call: Call, environ: WSGIEnvironment) -> Json:
    """Which item, and what's done to it; names in place of the expression's own."""
    asked = _json(environ)
    key = asked.get("Key") or asked.get("Item") or {}
    expression = str(asked.get("UpdateExpression", ""))
    for short, name in (asked.get("ExpressionAttributeNames") or {}).items():
        expression = expression.replace(short, name)
    return {
        "table": asked.get("TableName", ""),
        "pk": key.get("pk", {}).get("S", ""),
        "sk": key.get("sk", {}).get("S", ""),
        "update": expression,
    }


def _object(call: Call, environ: WSGIEnvironment) -> Json:
    """An object's tags come in a header."""
    if call.operation not in _TAGGED:
        return None
    return {"tags": dict(parse_qsl(str(environ.get("HTTP_X_AMZ_TAGGING", ""))))}


def _command(_call: Call, environ: WSGIEnvironment) -> Json:
    """A document's parameters are the customer's own."""
    asked = _json(environ)
    return {name: asked.get(name) for name in ("DocumentName", "InstanceIds", "Targets")}


_BODIES: Mapping[str, Callable[[Call, WSGIEnvironment], Json]] = {
    "arm": _arm,
    "drs": _document,
    "ec2": _form,
    "ebs": _snapshot,
    "dynamodb": _item,
    "s3": _object,
    "ssm": _command,
    "compute": _compute,
    "google_storage": _google_object,
}


def _words(tag: str) -> Callable[[bytes], Json]:
    """Every text of an XML element."""
    pattern = re.compile(rf"<{tag}>([^<]+)</{tag}>")
    return lambda data: pattern.findall(data.decode("utf-8", "replace"))


def _instances(data: bytes) -> Json:
    """How each failback stands."""
    items = json.loads(data)["items"]
    return {each["recoveryInstanceID"]: each.get("failback", {}).get("state", "") for each in items}


def _jobs(data: bytes) -> Json:
    """How each server of each job stands."""
    return {
        job["jobID"]: {
            "status": job.get("status", ""),
            "servers": {
                each["recoveryInstanceID"]: each.get("launchStatus", "")
                for each in job.get("participatingServers", ())
                if "recoveryInstanceID" in each
            },
        }
        for job in json.loads(data)["items"]
    }


_ANSWERS: Mapping[tuple[str, str], Callable[[bytes], Json]] = {
    ("ec2", "RegisterImage"): _words("imageId"),
    ("ec2", "AuthorizeSecurityGroupIngress"): _words("securityGroupRuleId"),
    ("s3", "CreateMultipartUpload"): _words("UploadId"),
    ("ebs", "StartSnapshot"): lambda data: [json.loads(data)["SnapshotId"]],
    ("drs", "StartFailbackLaunch"): lambda data: [json.loads(data)["job"]["jobID"]],
    ("drs", "DescribeRecoveryInstances"): _instances,
    ("drs", "DescribeJobs"): _jobs,
}
