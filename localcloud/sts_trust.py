"""Whom a role trusts: as a list says, or as the deployed role's own trust policy in IAM does at the moment of the call.

Source: IAM user guide, "Creating a role for OpenID Connect federation" (principal, condition keys), "Principal" (an
account, a role).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from localcloud.accounts import ACCOUNT
from localcloud.sts_answers import LONGEST, StsRefusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Client = Any
    """boto3 makes its clients when it runs: they have no type of their own."""

BY_WEB_IDENTITY, BY_ROLE = "sts:AssumeRoleWithWebIdentity", "sts:AssumeRole"
GOOGLE = "accounts.google.com"
"""The issuer that IAM knows without a provider; its condition key for what a token is made out to is `oaud`, since
`aud` is who asked for it (IAM user guide, "IAM and AWS STS condition context keys")."""


@dataclass(frozen=True, slots=True)
class RoleTrust:
    """Whom a role trusts: one issuer's tokens for one audience and, in its condition, one subject."""

    issuer: str
    audience: str
    subject: str


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """What a verified token says; `party` is who asked for it (`azp`), where it says so."""

    issuer: str
    audience: str
    subject: str
    party: str = ""


class WebTrusts(Protocol):
    """Which issuers an account knows, and whom its roles trust."""

    def audiences(self, issuer: str, role_arn: str) -> Sequence[str] | None:
        """The audiences for which tokens of the issuer are taken; none listed is any, None is an unknown issuer."""

    def admit(self, identity: WebIdentity, role_arn: str) -> int:
        """The longest session in seconds; raises StsRefusal where the role doesn't trust the identity."""


class ListedTrusts:
    """Roles by a list, each with one trust."""

    def __init__(self, roles: Mapping[str, RoleTrust]) -> None:
        self._roles = dict(roles)
        self._lock = threading.Lock()

    def trust(self, role_arn: str, trust: RoleTrust) -> None:
        """Make a role known, or change its trust."""
        with self._lock:
            self._roles[role_arn] = trust

    def audiences(self, issuer: str, role_arn: str) -> Sequence[str] | None:
        """The role's one."""
        del issuer
        with self._lock:
            trust = self._roles.get(role_arn)
        return (trust.audience,) if trust else ()

    def admit(self, identity: WebIdentity, role_arn: str) -> int:
        """As long as any."""
        with self._lock:
            trust = self._roles.get(role_arn)
        if trust != RoleTrust(identity.issuer, identity.audience, identity.subject):
            raise not_authorized(BY_WEB_IDENTITY)
        return LONGEST


class DeployedTrusts:
    """Roles and OpenID Connect providers of IAM; `iam` gives a client of it."""

    def __init__(self, iam: Callable[[], Client]) -> None:
        self._iam = iam

    def audiences(self, issuer: str, role_arn: str) -> Sequence[str] | None:
        """The provider's client ids."""
        del role_arn
        if _provider_name(issuer) == GOOGLE:
            return ()
        iam = self._iam()
        try:
            provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider_arn(issuer))
        except iam.exceptions.NoSuchEntityException:
            return None
        return tuple(provider["ClientIDList"])

    def admit(self, identity: WebIdentity, role_arn: str) -> int:
        """As the role's MaxSessionDuration says."""
        role = self._role(role_arn, BY_WEB_IDENTITY)
        name = _provider_name(identity.issuer)
        principals = {GOOGLE if name == GOOGLE else provider_arn(identity.issuer)}
        facts = {f"{name}:sub": identity.subject, f"{name}:aud": identity.audience}
        if name == GOOGLE:
            facts |= {f"{name}:aud": identity.party or identity.audience, f"{name}:oaud": identity.audience}
        _check(role, BY_WEB_IDENTITY, kind="Federated", principals=principals, facts=facts)
        return int(role["MaxSessionDuration"])

    def admit_caller(self, caller_role: str | None, role_arn: str) -> int:
        """As `admit`, for a caller that works as a role, or for an administrator of the account (None)."""
        role = self._role(role_arn, BY_ROLE)
        account = {"*", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"}
        _check(role, BY_ROLE, kind="AWS", principals=account | ({caller_role} if caller_role else set()), facts={})
        return int(role["MaxSessionDuration"])

    def _role(self, role_arn: str, action: str) -> Mapping[str, Any]:
        iam = self._iam()
        try:
            role: Mapping[str, Any] = iam.get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
        except iam.exceptions.NoSuchEntityException as error:
            # AWS doesn't tell whether there is such a role.
            raise not_authorized(action) from error
        if role["Arn"] != role_arn:
            raise not_authorized(action)
        return role


def provider_arn(issuer: str) -> str:
    """The OpenID Connect provider of an issuer in this account."""
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{_provider_name(issuer)}"


def not_authorized(action: str) -> StsRefusal:
    """A trust that's lacking."""
    return StsRefusal(403, "AccessDenied", f"Not authorized to perform {action}")


def _provider_name(issuer: str) -> str:
    return issuer.removeprefix("https://")


def _check(role: Mapping[str, Any], action: str, *, kind: str, principals: set[str], facts: Mapping[str, str]) -> None:
    """One Allow that fits, and no Deny that does; a condition that isn't understood fits no Allow and every Deny."""
    policy = role["AssumeRolePolicyDocument"]
    effects = set()
    for statement in _listed(policy.get("Statement", ())):
        denies = statement.get("Effect") != "Allow"
        named = set(_values(statement.get("Principal", {}), kind))
        does = {"sts:*", "*", action}.intersection(_listed(statement.get("Action", ())))
        if does and named & (principals | {"*"}) and _holds(statement.get("Condition", {}), facts, unknown=denies):
            effects.add(denies)
    if effects != {False}:
        raise not_authorized(action)


def _holds(conditions: Mapping[str, Mapping[str, object]], facts: Mapping[str, str], *, unknown: bool) -> bool:
    """Whether every condition is true; only StringEquals is understood."""
    for operator, wanted in conditions.items():
        if operator != "StringEquals":
            return unknown
        if not all(facts.get(key) in _listed(value) for key, value in wanted.items()):
            return False
    return True


def _values(principal: object, kind: str) -> Iterator[str]:
    if principal == "*":
        yield "*"
    elif isinstance(principal, dict):
        yield from _listed(principal.get(kind, ()))


def _listed(value: object) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else (value,)
