"""What cdk-nag finds and we accept, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import Stack
    from constructs import IConstruct

WILDCARD = "AwsSolutions-IAM5"
NO_RESOURCE = (
    "X-Ray, EC2's Describe*, STS's GetWebIdentityToken, SSM's reading of commands and the delivery of logs take no "
    "resource."
)


def accept(construct: IConstruct, rule: str, reason: str) -> None:
    """Accept a finding at a construct and what is below it."""
    from aws_cdk import Acknowledgment, Validations

    Validations.of(construct).acknowledge(Acknowledgment(id=rule, reason=reason))


def accept_wildcard(construct: IConstruct, stack: Stack, resource: str, reason: str) -> None:
    """Accept one resource with a star in it, in that construct's policies."""
    accept(construct, f"{WILDCARD}[Resource::{_plain(stack.resolve(resource))}]", reason)


def _plain(value: str | Mapping[str, Any]) -> str:
    """An ARN as cdk-nag writes it: what CloudFormation fills in stands in angle brackets."""
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(_plain(part) for part in parts)
    name = value["Ref"] if "Ref" in value else ".".join(value["Fn::GetAtt"])
    return f"<{name}>"
