"""The CDK app is run when something that goes into it has changed, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.errors import LocalCloudError
from failback.model.deployment import parse_deployment
from failback.model.target import AzureTarget, GoogleTarget
from localcloud.azure.cloud import AzureSettings
from localcloud.embedded.google import BUCKET, CLIENT_ACCOUNT, STAGE_ACCOUNT
from localcloud.embedded.synthesis import GOOGLE_TARGET, TARGET, inputs_digest, synthesise, write_deployment

if TYPE_CHECKING:
    from pathlib import Path

APP = """
import os, pathlib, sys
print("about to write", file=sys.stderr)
out = pathlib.Path(os.environ["CDK_OUTDIR"])
if "fail" in pathlib.Path("failback/noun.py").read_text():
    sys.exit("no such construct")
runs = out / "runs"
runs.write_text((runs.read_text() if runs.exists() else "") + " ".join(sys.argv[1:]) + "\\n")
(out / "manifest.json").write_text("{}")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/failback").mkdir(parents=True)
    (tmp_path / "root/failback/noun.py").write_text("one = 1\n")
    (tmp_path / "root/app.py").write_text(APP)
    return tmp_path / "root"


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    defaults = AzureSettings(tmp_path, (), {})
    file = tmp_path / "local/deployment.json"
    return write_deployment(file, subscription=defaults.subscription, tenant=defaults.tenant)


def test_the_deployment_is_one_and_points_to_the_embedded_home(deployment: Path) -> None:
    parsed = parse_deployment(deployment.read_bytes())
    assert [target.name for target in parsed.targets] == [TARGET]
    (target,) = parsed.targets
    assert isinstance(target, AzureTarget)
    assert target.subnet_id.endswith("/virtualNetworks/net/subnets/servers")


def test_google_is_another_target_where_it_is_asked_for(tmp_path: Path) -> None:
    defaults = AzureSettings(tmp_path, (), {})
    file = write_deployment(
        tmp_path / "both.json", subscription=defaults.subscription, tenant=defaults.tenant, google=True
    )
    parsed = parse_deployment(file.read_bytes())
    assert parsed.homes == ["azure", "google"]
    _, target = parsed.targets
    assert isinstance(target, GoogleTarget)
    assert (target.name, target.bucket, target.region) == (GOOGLE_TARGET, BUCKET, "europe-west4")
    assert target.credential.kind == "federation"
    assert target.credential.service_account == STAGE_ACCOUNT.email
    assert target.client is not None
    assert target.client.kind == "service-account"
    assert target.client.unique_id == CLIENT_ACCOUNT.unique_id


def test_google_may_be_the_only_target(tmp_path: Path) -> None:
    file = write_deployment(tmp_path / "google.json", subscription="s", tenant="t", azure=False, google=True)
    parsed = parse_deployment(file.read_bytes())
    assert [(target.name, target.home) for target in parsed.targets] == [(GOOGLE_TARGET, "google")]


def test_only_a_change_runs_the_app(root: Path, deployment: Path, tmp_path: Path) -> None:
    out = tmp_path / "cdk.out"
    runs = [synthesise(deployment, out, root=root) for _ in range(2)]
    assert runs == [True, False]
    assert (out / "runs").read_text() == f"-c deployment={deployment}\n"
    (root / "failback/__pycache__").mkdir()
    (root / "failback/__pycache__/noun.pyc").write_bytes(b"compiled")
    assert not synthesise(deployment, out, root=root)
    (root / "failback/noun.py").write_text("two = 2\n")
    assert synthesise(deployment, out, root=root)
    (out / "manifest.json").unlink()
    assert synthesise(deployment, out, root=root)
    before = inputs_digest(deployment, root)
    deployment.write_text("{}")
    assert inputs_digest(deployment, root) != before


def test_what_the_app_says_is_told(root: Path, deployment: Path, tmp_path: Path) -> None:
    (root / "failback/noun.py").write_text("fail\n")
    with pytest.raises(LocalCloudError, match=r"(?s)ended with 1.*about to write.*no such construct"):
        synthesise(deployment, tmp_path / "cdk.out", root=root)
