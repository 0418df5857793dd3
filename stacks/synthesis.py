"""Synthesis: the template and its assets in cdk.out, judged by cdk-nag; the same with and without the CDK's command."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from failback.errors import DeploymentInvalid
from stacks.failback_stack import add_stack
from stacks.node import VARIABLE, node

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from failback.model.deployment import Deployment
    from stacks.assets import Workshop

# The packages lie ready in build/assets, with names made of their hashes: a copy of each would take a minute.
_NO_COPIES = {"aws:cdk:disable-asset-staging": True}


def settings_of(root: Path) -> Mapping[str, object]:
    """The CDK's feature flags, as cdk.json gives them to its command."""
    context: dict[str, object] = json.loads((root / "cdk.json").read_text(encoding="utf-8"))["context"]
    return context


def synthesise(deployment: Deployment, workshop: Workshop, outdir: Path) -> Path:
    """Write the deployment's template and assets to `outdir`, offline if the packages are there; returns the template.

    Raises DeploymentInvalid where cdk-nag finds something that nobody has given a reason for.
    """
    os.environ.setdefault(VARIABLE, str(node()))
    from aws_cdk import App, Validations
    from cdk_nag import AwsSolutionsChecks

    app = App(outdir=str(outdir), context={**settings_of(workshop.root), **_NO_COPIES}, analytics_reporting=False)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    add_stack(app, deployment, workshop)
    try:
        app.synth()
    except RuntimeError as error:
        # The CDK has printed what it found; its runtime knows this one class for everything that goes wrong.
        report = outdir / "validation-report.json"
        message = f"the template can't be written, or cdk-nag objects to it: see above, and {report}"
        raise DeploymentInvalid(message) from error
    return outdir / f"{deployment.name}.template.json"
