"""The deployment's targets in SSM's parameter store: one parameter each, its JSON that of the target's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from pydantic import ValidationError

from failback.errors import DeploymentInvalid
from failback.model.target import TARGET, HomeName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_ssm import SSMClient

    from failback.model.target import Target


class SsmTargets:
    """Targets under a path such as `/drs-failback/targets`."""

    def __init__(self, ssm: SSMClient, prefix: str) -> None:
        self._ssm, self._prefix = ssm, prefix.rstrip("/")

    def names(self) -> Sequence[str]:
        """All targets' names, in order."""
        pages = self._ssm.get_paginator("get_parameters_by_path").paginate(Path=f"{self._prefix}/")
        return sorted(each["Name"].rpartition("/")[2] for page in pages for each in page["Parameters"])

    def get(self, name: str) -> Target | None:
        """The target of that name, None for none; raises DeploymentInvalid with every fault of a broken one."""
        parameter = f"{self._prefix}/{name}"
        try:
            text = self._ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
        except self._ssm.exceptions.ParameterNotFound:
            return None
        try:
            target = TARGET.validate_json(text)
        except ValidationError as error:
            faults = "; ".join(f"{_path(each['loc'])}: {each['msg']}" for each in error.errors())
            message = f"the parameter {parameter} isn't a target: {faults}. Correct it and start again."
            raise DeploymentInvalid(message) from error
        if target.name != name:
            message = f"the parameter {parameter} holds a target called {target.name}: name: call both the same"
            raise DeploymentInvalid(message)
        return target


def _path(parts: tuple[int | str, ...]) -> str:
    """A fault's path in the file, which has no member by a home's name."""
    return ".".join(str(each) for each in parts if each not in get_args(HomeName)) or "it"
