"""A deployment file: what the CDK app deploys, by which Python, and the targets it's for; in JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator

from failback.errors import DeploymentInvalid
from failback.model.agent import Region
from failback.model.cutover import DocumentName, FunctionArn
from failback.model.facts import Facts
from failback.model.target import (
    Federation,
    Guid,
    HomeName,
    ManagedIdentity,
    MintedKeys,
    ServiceAccount,
    StoredSecret,
    Target,
    WorkloadIdentity,
)
from failback.naming import PREFIX, client_role_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

PythonVersion = Literal["3.11", "3.12", "3.13"]
DEFAULT_PYTHON: PythonVersion = "3.11"
"""Drives the Lambda runtime, pip's --python-version and the local runner alike: Debian 12's own."""

LogDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""What CloudWatch Logs takes (PutRetentionPolicy, retentionInDays)."""

LONGEST_NAME = 24
"""A function is called <name>-<stage>-<home>, in 64 characters at most; the stage's name may be 32 of them."""

LONGEST_ROLE = 64
"""Characters in a role's name (IAM, CreateRole, RoleName)."""

OidcProviderArn = Annotated[
    str, StringConstraints(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/sts\.windows\.net/[0-9a-f-]{36}/$")
]
"""An OIDC provider's ARN ends with the issuer's URL; Entra's has a slash at its end."""

_ADVICE = {
    "extra_forbidden": "take it out, or look for a spelling mistake",
    "missing": "add it",
    "union_tag_invalid": "name one that there is",
    "union_tag_not_found": "add it",
}


def _check_targets(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    if not targets:
        message = "there's none, and nothing would work at home. Name at least one"
        raise ValueError(message)
    twice = sorted(name for name, count in Counter(target.name for target in targets).items() if count > 1)
    if twice:
        message = f"these names stand there twice: {', '.join(twice)}. Give each target a name of its own"
        raise ValueError(message)
    return targets


class Deployment(Facts):
    """One deployment. `name` is the prefix of everything in it; without `region` the one at hand is deployed to.

    `log_days` is how long logs are kept. With `removal` "retain" the image bucket, the run log, the key and the logs
    outlive the stack; "destroy" removes them with it (the bucket only if it's empty). `snapshot_keys` are the KMS keys
    that the account's new snapshots, or AMIs given as client images, are encrypted with. `oidc_providers` names, by
    Entra tenant, the OIDC providers that the account has already: IAM takes one for each issuer. `hooks` are the
    customer's functions that requests may name (as fence, proof or traffic hook), `documents` the SSM documents that
    may be fences: runs may call no others.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=LONGEST_NAME)] = PREFIX
    region: Region | None = None
    python: PythonVersion = DEFAULT_PYTHON
    log_days: LogDays = 90
    removal: Literal["retain", "destroy"] = "retain"
    snapshot_keys: tuple[
        Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$")], ...
    ] = ()
    oidc_providers: dict[Guid, OidcProviderArn] = Field(default_factory=dict)
    hooks: tuple[FunctionArn, ...] = ()
    documents: tuple[DocumentName, ...] = ()
    targets: Annotated[tuple[Target, ...], AfterValidator(_check_targets)]

    @model_validator(mode="after")
    def _check_roles(self) -> Self:
        named = {target.name: client_role_name(self.name, target.name) for target in self.targets if target.client}
        faults = [
            f"target {target}: AWS's role for its client machines would be called {role}, which is longer than "
            f"{LONGEST_ROLE} characters: shorten the target's name by {len(role) - LONGEST_ROLE}"
            for target, role in named.items()
            if len(role) > LONGEST_ROLE
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @model_validator(mode="after")
    def _check_providers(self) -> Self:
        wrong = [tenant for tenant, arn in self.oidc_providers.items() if f"/{tenant}/" not in arn]
        if wrong:
            message = f"oidc_providers: the provider of tenant {', '.join(wrong)} is another tenant's"
            raise ValueError(message)
        return self

    @property
    def homes(self) -> Sequence[HomeName]:
        """The homes that any target is at, each once."""
        return sorted({target.home for target in self.targets})

    def audiences(self, home: HomeName) -> Sequence[str]:
        """What identity tokens for that home are made out to."""
        ways = (target.credential for target in self.targets if target.home == home)
        return sorted({way.audience for way in ways if way.kind == "federation"})

    def targets_with_keys(self, home: str | None) -> Sequence[str]:
        """The names of that home's targets whose client machines get minted keys."""
        found = (target for target in self.targets if target.home == home)
        return sorted(target.name for target in found if isinstance(target.client, MintedKeys))

    def secrets(self, home: HomeName) -> Sequence[str]:
        """The ARNs of the secrets that that home's targets name."""
        ways = (target.credential for target in self.targets if target.home == home)
        return sorted({way.secret_arn for way in ways if isinstance(way, StoredSecret)})


def parse_deployment(text: str | bytes, *, source: str = "deployment.json") -> Deployment:
    """Read a deployment file's text; raises DeploymentInvalid that lists every fault with its path and what to do."""
    try:
        return Deployment.model_validate_json(text, strict=True)
    except ValidationError as error:
        faults = "".join(f"\n  {_fault(each)}" for each in error.errors(include_url=False))
        message = f"{source} isn't a deployment:{faults}\ndeployment.example.json is a whole one."
        raise DeploymentInvalid(message) from error


def _fault(error: ErrorDetails) -> str:
    parts = [str(part) for part in error["loc"] if part not in _TAGS]
    if error["type"].startswith("union_tag"):
        # What can't be judged without the word that says what it is.
        parts.append(str(error.get("ctx", {}).get("discriminator", "")).strip("'"))
    path = ".".join(parts) or "the whole file"
    advice = _ADVICE.get(error["type"], "put it right")
    return f"{path}: {error['msg'].removeprefix('Value error, ')}; {advice}."


# pydantic puts the kind of a credential, and a target's home, into the path, though the file has no such member.
_KINDS = (Federation, StoredSecret, ManagedIdentity, MintedKeys, WorkloadIdentity, ServiceAccount)
_TAGS = {
    *(str(each) for kind in _KINDS for each in get_args(kind.model_fields["kind"].annotation)),
    *get_args(HomeName),
}
