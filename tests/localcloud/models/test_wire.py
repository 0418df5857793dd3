"""The judge itself: what isn't the model's is noticed, wherever it stands in an answer; and every code there is."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tests.localcloud.models.documented import DOCUMENTED
from tests.localcloud.models.wire import Answer, faults

ROOT = Path(__file__).resolve().parents[3]
# Where each service's refusals are made, and which argument of theirs is the code.
REFUSALS = {
    "EbsRefusal": ("ebs", "localcloud/ebs", 1),
    "Ec2Refusal": ("ec2", "localcloud/ebs", 1),
    "S3Refusal": ("s3", "localcloud/objects", 0),
    "StsRefusal": ("sts", "localcloud", 1),
    "_Refusal": ("sts", "localcloud", 1),
}
STARTED = {"SnapshotId": "snap-0123456789abcdef0", "VolumeSize": 1, "Status": "pending", "StartTime": 1.5}
LISTED = "<ListBucketResult><Contents><Key>a</Key><Size>1</Size>{}</Contents></ListBucketResult>"


@pytest.fixture(scope="module")
def models() -> Any:  # noqa: ANN401 - botocore's own
    session = botocore.session.get_session()
    return {name: session.get_service_model(name) for name in ("ebs", "s3", "ec2", "sts")}


def told(models: Any, service: str, operation: str, body: str, *, status: int = 200, **headers: str) -> str:  # noqa: ANN401
    model = models[service].operation_model(operation)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return "\n".join(faults(Answer(model, status, names, body.encode()), DOCUMENTED[service]))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"Colour": "red"}, "Colour isn't in the model"),
        ({"VolumeSize": "1"}, "VolumeSize: '1' isn't a long"),
        ({"VolumeSize": True}, "VolumeSize: True isn't a long"),
        ({"Status": "lost"}, "'lost' isn't a Status"),
        ({"StartTime": "2026"}, "StartTime: '2026' isn't a timestamp"),
        ({"Tags": [{"Name": "a"}]}, "Tags[].Name isn't in the model"),
    ],
    ids=["good", "member", "number", "boolean", "enum", "moment", "nested"],
)
def test_json_is_judged(models: Any, change: Any, fault: str) -> None:  # noqa: ANN401 - any JSON
    found = told(models, "ebs", "StartSnapshot", json.dumps(STARTED | change), status=201)
    assert fault in found
    assert bool(found) == bool(fault)


@pytest.mark.parametrize(
    ("more", "headers", "fault"),
    [
        ("", {}, ""),
        ("<ETag>x</ETag>", {"x_amz_request_charged": "requester"}, ""),
        ("<Colour>x</Colour>", {}, "Contents.Colour isn't in the model"),
        ("<Key>b</Key>", {}, "Key is there twice"),
        ("<StorageClass>ICE</StorageClass>", {}, "'ICE' isn't a ObjectStorageClass"),
        ("<LastModified>today</LastModified>", {}, "'today' isn't a LastModified"),
        ("<Owner><ID>1</ID><Mail/></Owner>", {}, "Owner.Mail isn't in the model"),
        ("", {"x_amz_colour": "red"}, "header x-amz-colour isn't in the model"),
        ("", {"x_amz_request_charged": "me"}, "header x-amz-request-charged: 'me'"),
    ],
    ids=["good", "more", "member", "twice", "enum", "moment", "nested", "header", "header-enum"],
)
def test_xml_is_judged(models: Any, more: str, headers: Any, fault: str) -> None:  # noqa: ANN401
    found = told(models, "s3", "ListObjectsV2", LISTED.format(more), **headers)
    assert fault in found
    assert bool(found) == bool(fault)


@pytest.mark.parametrize(
    ("service", "operation", "status", "body", "fault"),
    [
        ("s3", "GetObject", 404, "<Error><Code>NoSuchKey</Code></Error>", ""),
        ("s3", "GetObject", 400, "<Error><Code>NoSuchKey</Code></Error>", "status 404, not 400"),
        ("s3", "GetObject", 400, "<Error><Code>Sorry</Code></Error>", "Sorry (400) isn't known"),
        ("ec2", "DeleteSnapshot", 200, "<DeleteSnapshotResponse><requestId>1</requestId></DeleteSnapshotResponse>", ""),
        ("ec2", "DeleteSnapshot", 200, "<DeleteSnapshotResponse><a>1</a></DeleteSnapshotResponse>", "hasn't"),
        ("ec2", "DescribeImages", 200, "<DescribeImagesResponse><imagesSet><a/></imagesSet></DescribeImagesResponse>",
         "isn't called item"),
        ("sts", "GetWebIdentityToken", 200, "<GetWebIdentityTokenResponse/>", "no single GetWebIdentityTokenResult"),
        ("ebs", "CompleteSnapshot", 200, '{"Status": "completed"}', "status 200, not [202]"),
    ],
    ids=["modelled", "status", "unknown", "bare", "not-bare", "item", "wrapper", "success"],
)  # fmt: skip
def test_the_rest_is_judged(
    models: Any,  # noqa: ANN401 - botocore's own
    service: str,
    operation: str,
    status: int,
    body: str,
    fault: str,
) -> None:
    found = told(models, service, operation, body, status=status)
    assert fault in found
    assert bool(found) == bool(fault)


@pytest.mark.parametrize("name", REFUSALS)
def test_every_code_of_a_refusal_is_the_services_own(models: Any, name: str) -> None:  # noqa: ANN401 - botocore's own
    service, folder, place = REFUSALS[name]
    modelled = {error.error_code for each in models[service].operation_names
                for error in models[service].operation_model(each).error_shapes}  # fmt: skip
    codes = _codes(ROOT / folder, name, place)
    assert codes
    assert codes - modelled - set(DOCUMENTED[service]) == set()


def _codes(folder: Path, name: str, place: int) -> set[str]:
    """The codes of all refusals that are made by that name."""
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                named = [each.value for each in node.keywords if each.arg == "code"]
                given = named[0] if named else node.args[place]
                found |= {str(each.value) for each in ast.walk(given) if isinstance(each, ast.Constant)}
    return found
