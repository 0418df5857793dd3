"""AWS's roles for the client machines: one for each target that has any, and whom each of them trusts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.model.target import AzureTarget, ManagedIdentity, ServiceAccount
from failback.naming import TARGET_TAG, client_role_name
from stacks.accepted import accept_wildcard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import Stack
    from aws_cdk.aws_iam import IPrincipal, PolicyStatement
    from aws_cdk.aws_lambda import Function as LambdaFunction

    from failback.model.deployment import Deployment
    from failback.model.target import Guid, Target
    from stacks.assets import Function

GOOGLE = "accounts.google.com"
"""Who signs the tokens of Google's service accounts, in IAM's words."""
SESSION_SECONDS = 3600
"""The client needs its keys until it's registered, and has a certificate of its own from then on."""
KEY_STAGE = "register_client"
"""The stage that mints keys."""

# AWS's managed policy AWSElasticDisasterRecoveryFailbackInstallationPolicy, version 3 of 2023-11-27.
EVERYWHERE = (
    "drs:DescribeRecoveryInstances",
    "drs:DescribeSourceServers",
    "drs:SendClientLogsForDrs",
    "drs:SendClientMetricsForDrs",
)
ON_THE_INSTANCE = (
    "drs:AssociateFailbackClientToRecoveryInstanceForDrs",
    "drs:GetSuggestedFailbackClientDeviceMappingForDrs",
    "drs:IssueAgentCertificateForDrs",
    "drs:UpdateAgentReplicationInfoForDrs",
    "drs:UpdateFailbackClientDeviceMappingForDrs",
)
TAGGING = "drs:TagResource"
_WHY_ANYWHERE = "DRS takes no resource for what describes, nor for a client's logs and metrics."
_WHY_INSTANCES = "DRS makes recovery instances when somebody fails over; only those marked for this target are allowed."


def issuer(tenant: str) -> str:
    """Who signs the tokens of a tenant's managed identities, without its scheme: the name that IAM's conditions use."""
    return f"sts.windows.net/{tenant}/"


def add_clients(stack: Stack, deployment: Deployment, functions: Mapping[Function, LambdaFunction]) -> None:
    """A role for each target with client machines, and the OIDC providers that the account hasn't yet."""
    providers = _providers(stack, deployment)
    for target in deployment.targets:
        if isinstance(target, AzureTarget) and isinstance(target.client, ManagedIdentity):
            trusted = _identity(target, target.client, providers[target.tenant_id])
            _add_role(stack, deployment, target, trusted)
        elif isinstance(target.client, ServiceAccount):
            _add_role(stack, deployment, target, _account(target.client))
        elif target.client:
            _add_role(stack, deployment, target, _minting_role(target, functions))


def _providers(stack: Stack, deployment: Deployment) -> Mapping[Guid, str]:
    """The ARN of each tenant's OIDC provider: one for an issuer, whatever the number of its audiences."""
    from aws_cdk import aws_iam as iam

    audiences: dict[Guid, set[str]] = {}
    for target in deployment.targets:
        if isinstance(target, AzureTarget) and isinstance(target.client, ManagedIdentity):
            audiences.setdefault(target.tenant_id, set()).add(target.client.audience)
    made = {
        tenant: iam.CfnOIDCProvider(
            stack, f"Issuer-{tenant}", url=f"https://{issuer(tenant)}", client_id_list=sorted(named)
        ).attr_arn
        for tenant, named in audiences.items()
        if tenant not in deployment.oidc_providers
    }
    return {**deployment.oidc_providers, **made}


def _identity(target: AzureTarget, client: ManagedIdentity, provider: str) -> IPrincipal:
    """That one identity, by tokens for that one audience."""
    from aws_cdk import aws_iam as iam

    name = issuer(target.tenant_id)
    exactly = {f"{name}:sub": client.principal_id, f"{name}:aud": client.audience}
    return iam.WebIdentityPrincipal(provider, {"StringEquals": exactly})


def _account(client: ServiceAccount) -> IPrincipal:
    """That one service account of Google's, whose tokens IAM knows without a provider (IAM user guide, "IAM and AWS
    STS condition context keys": `oaud` is what a token is made out to, `aud` who asked for it).

    Whether a machine's own identity token is held to `oaud` so is unconfirmed.
    """
    from aws_cdk import aws_iam as iam

    exactly = {f"{GOOGLE}:sub": client.unique_id, f"{GOOGLE}:oaud": client.audience}
    return iam.WebIdentityPrincipal(GOOGLE, {"StringEquals": exactly})


def _minting_role(target: Target, functions: Mapping[Function, LambdaFunction]) -> IPrincipal:
    """The role of the function that mints keys at the target's home."""
    from aws_cdk import aws_iam as iam

    found = (made.role for each, made in functions.items() if (each.stage, each.home) == (KEY_STAGE, target.home))
    role = next(role for role in found if role)
    return iam.ArnPrincipal(role.role_arn)


def _add_role(stack: Stack, deployment: Deployment, target: Target, trusted: IPrincipal) -> None:
    from aws_cdk import Duration
    from aws_cdk import aws_iam as iam

    role = iam.Role(
        stack,
        f"Client-{target.name}",
        role_name=client_role_name(deployment.name, target.name),
        description=f"Client machines of {target.name}: registering with the recovery instances that go there",
        assumed_by=trusted,
        max_session_duration=Duration.seconds(SESSION_SECONDS),
    )
    instances = f"arn:{stack.partition}:drs:{stack.region}:{stack.account}:recovery-instance/*"
    for statement in _allowed(target, instances):
        role.add_to_policy(statement)
    accept_wildcard(role, stack, "*", _WHY_ANYWHERE)
    accept_wildcard(role, stack, instances, _WHY_INSTANCES)


def _allowed(target: Target, instances: str) -> Sequence[PolicyStatement]:
    """The client's actions, those on a recovery instance only where it's marked for the target.

    All of these know aws:ResourceTag (Service Authorization Reference, DRS); that DRS judges by it in each of them is
    unconfirmed, since AWS's own policy doesn't ask for it.
    """
    from aws_cdk import aws_iam as iam

    marked = {f"aws:ResourceTag/{TARGET_TAG}": target.name}
    # A client may not hand its recovery instance to another target.
    keeps_mark = {"StringEquals": marked, "ForAllValues:StringNotEquals": {"aws:TagKeys": [TARGET_TAG]}}
    return [
        iam.PolicyStatement(actions=list(EVERYWHERE), resources=["*"]),
        iam.PolicyStatement(actions=list(ON_THE_INSTANCE), resources=[instances], conditions={"StringEquals": marked}),
        iam.PolicyStatement(actions=[TAGGING], resources=[instances], conditions=keeps_mark),
    ]
