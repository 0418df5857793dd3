"""What can be told of an AWS request before any service has seen it: service, region, operation, bucket.

Source: AWS Signature Version 4, credential scope; the query protocol's Action and the JSON protocols' X-Amz-Target.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIEnvironment

DEFAULT_REGION = "us-east-1"
MAX_FORM_BYTES = 4 * 1024 * 1024
"""The largest form that's looked into; CloudFormation takes templates of 1 MB in one, each byte three when quoted."""

_SCOPE = re.compile(r"Credential=[^/,\s]+/\d{8}/([\w-]+)/([\w-]+)/aws4_request")
_PRESIGNED_SCOPE = re.compile(r"[^/]+/\d{8}/([\w-]+)/([\w-]+)/aws4_request")
_HOST_STYLE = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\.(?:s3[.-][\w.-]+|localhost)(?::\d+)?", re.ASCII
)
# What is sent without a signature and yet not to S3, by the query protocol's version.
_UNSIGNED_VERSIONS = {"2011-06-15": "sts"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `action` and `parameters` are empty where the protocol doesn't say them outside its body."""

    service: str
    region: str = DEFAULT_REGION
    action: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    bucket: str = ""


def read_call(environ: WSGIEnvironment) -> Call:
    """Tell service and operation; a form is read and put back, any other body is left alone."""
    service, region = _scope(environ)
    form = _form(environ) if service in {"", "ec2", "sts", "iam", "cloudformation", "sns", "sqs", "monitoring"} else {}
    if not service:
        service = _UNSIGNED_VERSIONS.get(form.get("Version", ""), "s3")
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    action = form.get("Action", "") or target.rpartition(".")[2]
    bucket = _bucket(environ)[0] if service == "s3" else ""
    return Call(service, region, action, form, bucket)


def path_style(environ: WSGIEnvironment) -> WSGIEnvironment:
    """The same S3 request with its bucket in the path, wherever it was."""
    bucket, in_host = _bucket(environ)
    if not in_host:
        return environ
    path = f"/{bucket}{environ.get('PATH_INFO', '')}"
    query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
    return {**environ, "PATH_INFO": path, "REQUEST_URI": path + query, "RAW_URI": path + query}


def _scope(environ: WSGIEnvironment) -> tuple[str, str]:
    """Service and region of the credential scope; empty and the default if the request isn't signed."""
    found = _SCOPE.search(str(environ.get("HTTP_AUTHORIZATION", "")))
    if found is None:
        credential = parse_qs(str(environ.get("QUERY_STRING", ""))).get("X-Amz-Credential", [""])[0]
        found = _PRESIGNED_SCOPE.fullmatch(unquote(credential))
    return (found[2], found[1]) if found else ("", DEFAULT_REGION)


def _form(environ: WSGIEnvironment) -> Mapping[str, str]:
    size = int(environ.get("CONTENT_LENGTH") or 0)
    is_form = str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")
    if not is_form or not 0 < size <= MAX_FORM_BYTES:
        return {}
    body = environ["wsgi.input"].read(size)
    environ["wsgi.input"] = io.BytesIO(body)
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace"), True).items()}


def _bucket(environ: WSGIEnvironment) -> tuple[str, bool]:
    """The bucket's name, and whether it was the host that named it."""
    found = _HOST_STYLE.fullmatch(str(environ.get("HTTP_HOST", "")).lower())
    if found:
        return found["bucket"], True
    return str(environ.get("PATH_INFO", "")).lstrip("/").partition("/")[0], False
