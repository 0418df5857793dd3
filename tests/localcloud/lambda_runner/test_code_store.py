"""A folder on this machine as a function's code: its very files, without packing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from failback.errors import LocalCloudError
from localcloud.lambda_runner.code_store import MAX_UNPACKED_BYTES, CodeStore

if TYPE_CHECKING:
    from pathlib import Path


def test_a_staged_folder_is_unpacked_as_it_is(tmp_path: Path) -> None:
    staged, store = tmp_path / "asset", CodeStore(tmp_path / "code")
    (staged / "package").mkdir(parents=True)
    (staged / "package/program").write_text("first")
    (staged / "package/program").chmod(0o755)
    archive = store.stage(staged)
    assert len(archive) < 1000
    place, _ = store.unpack(archive)
    assert (place / "package/program").samefile(staged / "package/program")
    (place / "package/made_by_a_worker").touch()
    assert not (staged / "package/made_by_a_worker").exists()
    (staged / "package/new").write_text("second")
    assert store.stage(staged) == archive
    assert (store.unpack(archive)[0] / "package/new").read_text() == "second"
    assert not (place / "package/made_by_a_worker").exists()


def test_one_that_lambda_wouldnt_take_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_UNPACKED_BYTES + 1)
    with pytest.raises(LocalCloudError, match="Unzipped size must be smaller"):
        CodeStore(tmp_path / "code").stage(tmp_path)
