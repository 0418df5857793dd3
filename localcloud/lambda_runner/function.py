"""What a function is to the runner: its code, its configuration, and the environment a worker of it gets.

Names of the variables: AWS Lambda developer guide, "Using Lambda environment variables", defined runtime variables.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failback.errors import RuntimeMismatch
from localcloud.lambda_runner.role_sessions import RoleSessions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The only Runtime that can run here: this interpreter's."""
DEFAULT_RETRIES = 2
"""How often Lambda calls a function again for an asynchronous event that failed."""


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One version of a function; two workers are the same sandbox only if all of it is equal."""

    name: str
    arn: str
    handler: str
    runtime: str
    timeout_seconds: int
    memory_mib: int
    code: Path
    code_hash: str
    variables: tuple[tuple[str, str], ...] = ()
    version: str = "$LATEST"
    reserved_concurrency: int | None = None
    retries: int = DEFAULT_RETRIES
    role: str = ""

    @property
    def region(self) -> str:
        """The fourth part of the ARN."""
        return self.arn.split(":")[3]

    @property
    def log_group(self) -> str:
        """Where Lambda writes the function's log."""
        return f"/aws/lambda/{self.name}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every worker is given by whoever runs the clouds: where AWS is, whom TLS trusts, further variables.

    `sessions` gives each function the access key that stands for its role.
    """

    endpoint_url: str
    ca_bundle: Path | None = None
    variables: tuple[tuple[str, str], ...] = ()
    sessions: RoleSessions = field(default_factory=RoleSessions)

    def given(self, *, role: str, function: str) -> Mapping[str, str]:
        """What the function of that ARN has of this in its environment; the key stands for its role."""
        return {
            "AWS_ACCESS_KEY_ID": self.sessions.open(role=role, function=function),
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": "local",
            "AWS_ENDPOINT_URL": self.endpoint_url,
            **_trust(self.ca_bundle),
            **dict(self.variables),
        }


def check_runtime(function: FunctionSpec) -> None:
    """Refuse a function that was built for another Python; raises RuntimeMismatch."""
    if function.runtime != RUNTIME:
        message = (
            f"{function.name} is for {function.runtime} and can't run here: this is {RUNTIME}. Its packages hold "
            f"compiled files of one Python only. Deploy it with the Python version of this interpreter, or run the "
            f"embedded mode with {function.runtime}."
        )
        raise RuntimeMismatch(message)


def worker_environment(
    function: FunctionSpec, surroundings: Surroundings, *, api: str, stream: str, temporary: Path, runtime: Path
) -> Mapping[str, str]:
    """The whole environment of a worker's process: nothing is inherited from this one."""
    own = dict(function.variables)
    variables = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "HOME": str(temporary),
        **surroundings.given(role=function.role, function=function.arn),
        **own,
        # The runtime's own names can't be set by a configuration.
        "AWS_REGION": function.region,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mib),
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "AWS_LAMBDA_RUNTIME_API": api,
        "LAMBDA_TASK_ROOT": str(function.code),
        "LAMBDA_RUNTIME_DIR": str(runtime),
        "_HANDLER": function.handler,
        "TMPDIR": str(temporary),
    }
    path = [str(function.code), str(runtime), own.get("PYTHONPATH", "")]
    return {**variables, "PYTHONPATH": ":".join(filter(None, path))}


def _trust(bundle: Path | None) -> Mapping[str, str]:
    """The private authority's certificates under the names that botocore, requests and OpenSSL read."""
    return dict.fromkeys(("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(bundle)) if bundle else {}
