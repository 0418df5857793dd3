"""Error codes that the models don't list, with their HTTP status and where they are documented."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_EMULATED = {"s3": "NotImplemented", "ec2": "UnsupportedOperation", "sts": "NotImplemented", "ebs": ""}
"""How each embedded service says that it knows something and doesn't do it; EBS direct does everything."""

# Amazon EC2 API reference, "Error codes for the Amazon EC2 API": common client errors, then client errors for actions.
_EC2 = {
    "AuthFailure": 401,
    "DryRunOperation": 412,
    "RequestLimitExceeded": 503,
    "UnauthorizedOperation": 403,
    **dict.fromkeys(
        (
            "FilterLimitExceeded", "IncorrectState", "InvalidAction", "InvalidAMIID.Malformed", "InvalidAMIID.NotFound",
            "InvalidAMIName.Duplicate", "InvalidAMIName.Malformed", "InvalidBlockDeviceMapping", "InvalidID",
            "InvalidParameterCombination", "InvalidParameterValue", "InvalidSnapshot.InUse", "InvalidSnapshot.NotFound",
            "InvalidSnapshotID.Malformed", "MissingParameter", "TagLimitExceeded", "UnknownParameter",
            "UnsupportedOperation",
        ),
        400,
    ),
}  # fmt: skip
# Amazon S3 API reference, "Error responses": list of error codes, of tagging's, of SigV4's.
_S3 = {
    "AccessDenied": 403,
    "BucketAlreadyExists": 409,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "InternalError": 500,
    "InvalidRange": 416,
    "MethodNotAllowed": 405,
    "MissingContentLength": 411,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
    "SlowDown": 503,
    **dict.fromkeys(
        (
            "AuthorizationQueryParametersError", "BadDigest", "EntityTooLarge", "EntityTooSmall", "IncompleteBody",
            "InvalidArgument", "InvalidBucketName", "InvalidPart", "InvalidPartOrder", "InvalidRequest", "InvalidTag",
            "KeyTooLongError", "MalformedXML", "MetadataTooLarge",
        ),
        400,
    ),
    # In S3's answers, though not in its list: more tags than ten, and a trailer that doesn't come.
    "BadRequest": 400,
    "MalformedTrailerError": 400,
    # No code of S3's: RFC 9110, section 15.4.5.
    "NotModified": 304,
}  # fmt: skip
# AWS STS API reference, "Common errors", where keys that have run out are ExpiredToken in the answers;
# AssumeRoleWithWebIdentity's refusal by the trust policy is AccessDenied.
_STS = {
    "AccessDenied": 403,
    "ExpiredToken": 403,
    "InvalidAction": 400,
    "MissingAuthenticationToken": 403,
    "NotImplemented": 400,
    "ValidationError": 400,
}
# EBS direct APIs reference, "Common errors"; the second is what the front says where no operation has the path.
_EBS = {"MissingAuthenticationTokenException": 403, "UnknownOperationException": 404}

DOCUMENTED: Mapping[str, Mapping[str, int]] = {"ec2": _EC2, "s3": _S3, "sts": _STS, "ebs": _EBS}
