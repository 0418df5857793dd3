"""Which deployment file is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from failback.errors import DeploymentInvalid
from stacks.settings import DEFAULT, EXAMPLE, read_deployment

ROOT = Path(__file__).resolve().parents[2]


def written(folder: Path, file: str, name: str) -> None:
    example = json.loads((ROOT / EXAMPLE).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps({**example, "name": name}), encoding="utf-8")


def test_a_named_file_goes_first_then_the_usual_one(tmp_path: Path) -> None:
    written(tmp_path, DEFAULT, "usual")
    written(tmp_path, "other.json", "other")
    assert read_deployment(tmp_path).name == "usual"
    assert read_deployment(tmp_path, "other.json").name == "other"
    assert read_deployment(tmp_path, str(tmp_path / "other.json")).name == "other"


def test_the_example_is_taken_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, EXAMPLE, "example")
    assert read_deployment(tmp_path).name == "example"
    assert "there's no deployment.json" in capsys.readouterr().err


def test_a_named_file_that_isnt_there_is_an_error(tmp_path: Path) -> None:
    written(tmp_path, EXAMPLE, "example")
    with pytest.raises(DeploymentInvalid, match="can't be read"):
        read_deployment(tmp_path, "gone.json")
