"""A seam in CloudFormation: OIDC providers, which moto's IAM has but makes by its API only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.moto_seams.functions import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.moto_seams.pins import Inside, Swaps

OIDC_PROVIDER = "AWS::IAM::OIDCProvider"


class _Provider:
    """A provider as CloudFormation sees it; Ref and Arn give its ARN (CloudFormation, AWS::IAM::OIDCProvider)."""

    def __init__(self, arn: str) -> None:
        self.arn = arn

    @property
    def physical_resource_id(self) -> str:
        return self.arn

    def is_created(self) -> bool:
        return True

    @staticmethod
    def has_cfn_attr(name: str) -> bool:
        return name == "Arn"

    def get_cfn_attribute(self, name: str) -> str:
        from moto.cloudformation.exceptions import UnformattedGetAttTemplateException

        if name != "Arn":
            raise UnformattedGetAttTemplateException
        return self.arn

    @staticmethod
    def create_from_cloudformation_json(
        resource_name: str, cloudformation_json: Mapping[str, Any], account_id: str, region_name: str, **_more: object
    ) -> _Provider:
        given = cloudformation_json["Properties"]
        made = _iam().create_open_id_connect_provider(
            url=given["Url"],
            thumbprint_list=given.get("ThumbprintList", []),
            client_id_list=given.get("ClientIdList", []),
            tags=given.get("Tags", []),
        )
        return _Provider(made.arn)

    @classmethod
    def update_from_cloudformation_json(
        cls,
        original_resource: _Provider,
        new_resource_name: str,
        cloudformation_json: Mapping[str, Any],
        account_id: str,
        region_name: str,
    ) -> _Provider:
        _iam().delete_open_id_connect_provider(original_resource.arn)
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)

    @staticmethod
    def delete_from_cloudformation_json(
        resource_name: str, cloudformation_json: Mapping[str, Any], account_id: str, region_name: str
    ) -> None:
        _iam().delete_open_id_connect_provider(resource_name)


def _iam() -> Inside:
    from moto.iam.models import iam_backends

    return iam_backends[ACCOUNT]["aws"]


def seam_oidc_providers(swaps: Swaps) -> None:
    """Let CloudFormation make them."""
    from moto.cloudformation.parsing import get_model_map

    # It's kept from the first call on.
    swaps.item(get_model_map(), OIDC_PROVIDER, _Provider)
