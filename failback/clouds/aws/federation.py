"""The two ways into a home: AWS STS vouches for the stage's role, or a secret that's kept in Secrets Manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failback.errors import SignInRefused

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sts import STSClient

# Entra takes RS256 only.
ALGORITHM = "RS256"
# It's exchanged at once for the home's own token; five minutes allow for clocks that differ.
SECONDS = 300


def web_identity_token(sts: STSClient, audience: str) -> str:
    """A fresh token that says who we are (its subject is the role's ARN), made out to `audience`; never kept.

    `sts` must be a regional client. Where the account hasn't enabled it, the error's translation says how to.
    """
    answer = sts.get_web_identity_token(Audience=[audience], SigningAlgorithm=ALGORITHM, DurationSeconds=SECONDS)
    return answer["WebIdentityToken"]


def secret_text(secrets: SecretsManagerClient, arn: str) -> str:
    """A secret's current text; raises SignInRefused where it holds bytes."""
    text = secrets.get_secret_value(SecretId=arn).get("SecretString", "")
    if not text:
        message = f"{arn} holds no text: store the home's secret as the secret's plain text (SecretString)"
        raise SignInRefused(message)
    return text
