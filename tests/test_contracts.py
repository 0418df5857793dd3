"""Stages' contracts: all of ours can be read, and a wrong one is fatal with every fault named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from failback.contracts import read_contract, read_contracts
from failback.errors import DeploymentInvalid

STAGES = Path(__file__).resolve().parents[1] / "lambdas" / "stages"
SOUND = {
    "summary": "Does what it's there for",
    "side": "aws",
    "memory_mib": 512,
    "timeout_seconds": 30,
    "deadline_minutes": 5,
    "allow": {"run_log": ["dynamodb:GetItem"]},
}


def written(folder: Path, stage: str, **changes: object) -> Path:
    place = folder / stage
    place.mkdir(parents=True)
    (place / "stage.json").write_text(json.dumps({**SOUND, **changes}), encoding="utf-8")
    return place


def test_every_stage_has_a_contract() -> None:
    folders = {path.name for path in STAGES.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {name for name in folders if read_contract(STAGES / name)} == folders


def test_only_stages_with_a_handler_count(tmp_path: Path) -> None:
    written(tmp_path, "later")
    (written(tmp_path, "now") / "handler.py").touch()
    assert list(read_contracts(tmp_path)) == ["now"]


def test_a_contract_says_what_is_allowed(tmp_path: Path) -> None:
    assert read_contract(written(tmp_path, "now")).allow == {"run_log": ("dynamodb:GetItem",)}


def test_a_handler_without_a_contract_is_refused(tmp_path: Path) -> None:
    (tmp_path / "now").mkdir()
    with pytest.raises(DeploymentInvalid, match="is missing"):
        read_contract(tmp_path / "now")


def test_every_fault_of_a_contract_is_named(tmp_path: Path) -> None:
    faults = {"side": "moon", "memory_mib": 1, "extra": 1, "allow": {"everything": ["s3:*"], "secrets": ["s3:*"]}}
    with pytest.raises(DeploymentInvalid) as caught:
        read_contract(written(tmp_path, "now", **faults))
    for path in ("side", "memory_mib", "extra", "allow.everything", "allow.secrets.0"):
        assert f"{path}" in str(caught.value)
