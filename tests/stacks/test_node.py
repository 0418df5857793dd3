"""The virtual environment brings the Node.js that the CDK runs on."""

from __future__ import annotations

import subprocess

import pytest

from failback.errors import PackageIncomplete
from stacks import node


def test_node_and_npm_run() -> None:
    program, script = node.npm()
    done = subprocess.run([program, script, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout[0].isdigit()


def test_a_missing_node_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "PACKAGE", "no_such_package")
    with pytest.raises(PackageIncomplete, match="make setup"):
        node.node()
