"""What a function is told by its environment: read once at the edge, frozen, every missing name listed at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BeforeValidator, Field, Json, ValidationError

from failback.errors import DeploymentInvalid
from failback.image.plan import MIB
from failback.model.facts import Facts
from failback.model.target import HomeName

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "FAILBACK_"

# Environment variables have no "not set" of their own once a template names them.
_EmptyIsNone = BeforeValidator(lambda value: value or None)


class AllowedHooks(Facts):
    """The customer's functions (ARNs) and SSM documents (names or ARNs) that this deployment may call."""

    functions: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


class FunctionSettings(Facts):
    """One function's settings; each field comes from the variable FAILBACK_<FIELD>.

    `functions` names the home stages' functions by home and stage (check_request only), `targets` is the prefix of the
    parameters that hold targets, `grub` the folder of GRUB's images, `client_roles` the beginning of the ARNs of the
    roles for client machines, which end with the target's name, `watcher` the watcher's function (decide only),
    `state_machine` the state machine's ARN, `hooks` which functions and documents of the customer's requests may name
    (check_request only). Those below it are for the embedded clouds only: where their homes are, how much a call
    copies, how long a machine may say nothing in its boot test, where their client machines find STS and DRS and whom
    they trust there (base64 of PEM), and the file by which their clock is set.
    """

    stage: str
    table: str
    bucket: str
    region: str
    targets: str = ""
    deadline_minutes: Annotated[int, Field(ge=1)] = 60
    home: Annotated[HomeName | None, _EmptyIsNone] = None
    functions: Json[dict[HomeName, dict[str, str]]] = Field(default_factory=dict)
    grub: str = "grub"
    client_roles: str = ""
    watcher: str = ""
    state_machine: str = ""
    hooks: Json[AllowedHooks] = Field(default_factory=AllowedHooks)
    azure_arm: str = ""
    azure_authority: str = ""
    google_compute: str = ""
    google_storage: str = ""
    google_sts: str = ""
    google_iam: str = ""
    google_oauth: str = ""
    slice_mib: Annotated[Annotated[int, Field(ge=1)] | None, _EmptyIsNone] = None
    silence_seconds: Annotated[Annotated[int, Field(ge=1)] | None, _EmptyIsNone] = None

    client_sts: str = ""
    client_drs: str = ""
    client_certificates: str = ""
    clock_file: str = ""

    def slice_bytes(self, usual: int) -> int:
        """Bytes that one call copies: what's set, or else the stage's own measure."""
        return self.slice_mib * MIB if self.slice_mib else usual

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """From a function's environment; raises DeploymentInvalid with every fault, by the variable's name."""
        given = {name: environment[variable] for name, variable in _variables().items() if variable in environment}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            variables = _variables()
            faults = "; ".join(f"{variables.get(str(each['loc'][0]), '')}: {each['msg']}" for each in error.errors())
            message = f"The function's environment is wrong: {faults}. Deploy the stack again; it sets all of them."
            raise DeploymentInvalid(message) from error


def _variables() -> dict[str, str]:
    """Fields and the variables they come from; the Region is Lambda's own."""
    named = {name: f"{PREFIX}{name.upper()}" for name in FunctionSettings.model_fields}
    return {**named, "region": "AWS_REGION"}
