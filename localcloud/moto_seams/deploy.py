"""Seams in CloudFormation: state machines from files in buckets, and the types that nobody emulates."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from failback.errors import LocalCloudError
from localcloud.moto_seams.oidc_providers import OIDC_PROVIDER
from localcloud.moto_seams.pins import find

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.moto_seams.pins import Inside, Swaps

_PARSE = "moto.cloudformation.parsing:parse_resource"
_MACHINE = "moto.stepfunctions.models:StateMachine"

RESOURCE = "cloudformation_json"
"""The argument by which moto hands a resource over."""
NOT_EMULATED = {
    "AWS::CDK::Metadata": "says which constructs were used; does nothing",
    "AWS::CloudWatch::Dashboard": "shows things in the AWS console",
    "AWS::Lambda::EventInvokeConfig": "retries of asynchronous invocations stay at Lambda's defaults",
    "AWS::Logs::QueryDefinition": "a saved query of the AWS console",
    "AWS::ResourceGroups::Group": "groups things in the AWS console",
    "AWS::SSM::Document": "runbooks are started by AWS Systems Manager",
    "AWS::S3::BucketPolicy": "permissions aren't enforced",
    "AWS::SNS::TopicPolicy": "permissions aren't enforced",
}
"""Resource types that may stand in a template though nothing here does what they ask for, each with why."""


def unknown_types(template: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """The template's resource types that are neither supported nor in NOT_EMULATED, each with its logical ids.

    moto itself drops them with no more than a line in a log.
    """
    from moto.cloudformation.parsing import NULL_MODELS, get_model_map

    known = {*get_model_map(), *NULL_MODELS, *NOT_EMULATED, OIDC_PROVIDER}
    unknown: dict[str, list[str]] = {}
    for name, resource in sorted(template.get("Resources", {}).items()):
        kind = str(resource.get("Type", ""))
        if kind not in known and not kind.startswith("Custom::"):
            unknown.setdefault(kind, []).append(name)
    return unknown


def refuse_unknown_types(template: Mapping[str, Any]) -> None:
    """Raise LocalCloudError that lists every resource of an unknown type."""
    unknown = unknown_types(template)
    if unknown:
        listed = "; ".join(f"{kind} ({', '.join(names)})" for kind, names in unknown.items())
        message = (
            f"The template holds resources that the embedded AWS can't make: {listed}. They would be left out in "
            f"silence. Take them out, or say in NOT_EMULATED why they don't matter here."
        )
        raise LocalCloudError(message)


class _Warnings:
    """Stands where moto expects the module `warnings`: what it would drop is refused, as AWS refuses unknown types."""

    def warn(self, text: object, *_more: object, **_named: object) -> None:
        from moto.cloudformation.exceptions import ValidationError
        from moto.cloudformation.parsing import NULL_MODELS

        found = re.match(r"Tried to parse (\S+) but", str(text))
        if found and found[1] not in {*NOT_EMULATED, *NULL_MODELS}:
            raise ValidationError(message=f"Template format error: Unrecognized resource types: [{found[1]}]")


def seam_deploy(swaps: Swaps, *, read_object: Callable[[str, str], bytes]) -> None:
    """Let CloudFormation make state machines that run; `read_object` gives a bucket's object by its key."""
    from moto.stepfunctions import models
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    swaps.name(find(_PARSE)[0], "warnings", _Warnings())
    swaps.name(models, "stepfunctions_backends", stepfunctions_parser_backends)
    machine = models.StateMachine
    has, get = machine.has_cfn_attr, machine.get_cfn_attribute

    def whole(method: Inside, place: int) -> Inside:
        """The class's method, given the resource (its argument at that place, or by its name) with its definition."""

        def with_definition(cls: Inside, *given: Inside, **named: Inside) -> Inside:
            if RESOURCE in named:
                named[RESOURCE] = _with_definition(named[RESOURCE], read_object)
            else:
                given = (*given[:place], _with_definition(given[place], read_object), *given[place + 1 :])
            return method.__func__(cls, *given, **named)

        return classmethod(with_definition)

    swaps.function(f"{_MACHINE}.create_from_cloudformation_json", whole(machine.create_from_cloudformation_json, 1))
    swaps.function(f"{_MACHINE}.update_from_cloudformation_json", whole(machine.update_from_cloudformation_json, 2))
    swaps.function(f"{_MACHINE}.has_cfn_attr", classmethod(lambda _cls, name: name == "Arn" or has(name)))
    swaps.function(f"{_MACHINE}.get_cfn_attribute", lambda own, name: own.arn if name == "Arn" else get(own, name))


def _with_definition(resource: Mapping[str, Any], read_object: Callable[[str, str], bytes]) -> dict[str, Any]:
    """The state machine's resource with its whole definition in DefinitionString, wherever it was."""
    properties = dict(resource.get("Properties", {}))
    place = properties.pop("DefinitionS3Location", None)
    if place is not None:
        properties["DefinitionString"] = read_object(place["Bucket"], place["Key"]).decode()
    if "Definition" in properties:
        properties["DefinitionString"] = json.dumps(properties.pop("Definition"))
    text = properties.get("DefinitionString")
    if text is not None:
        for name, value in properties.pop("DefinitionSubstitutions", {}).items():
            text = text.replace("${" + name + "}", str(value))
        properties["DefinitionString"] = text
    return {**resource, "Properties": properties}
