"""More than a thousand damaged inputs for the readers, and the fuzzer's promises: one seed, one input; faults seen."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

COUNTS = {"iso": 300, "config": 300, "initrd": 400, "squashfs": 200, "ext4": 150}


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    """The fuzzer is a script, not a module that can be imported by name."""
    specification = importlib.util.spec_from_file_location("fuzz_readers", Path(__file__).with_name("fuzz_readers.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["fuzz_readers"] = module
    specification.loader.exec_module(module)
    missing = [tool for tool in module.TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"valid inputs are made with {', '.join(missing)}, which isn't installed")
    return module


@pytest.mark.parametrize("kind", COUNTS)
def test_damage_is_refused_or_read(fuzzer: ModuleType, kind: str) -> None:
    found = fuzzer.fuzz(kind, COUNTS[kind], seed=7)
    assert found.failures == []
    assert sum(found.outcomes.values()) == COUNTS[kind]
    # Neither everything refused at the first byte nor everything read: the damage reaches the structures.
    assert len(found.outcomes) >= 3
    assert 0 < found.outcomes["read"] < COUNTS[kind]


@pytest.mark.parametrize("kind", COUNTS)
def test_the_same_seed_makes_the_same_inputs(fuzzer: ModuleType, kind: str) -> None:
    first, second = fuzzer.corpus(kind), fuzzer.corpus(kind)
    assert first == second
    one, other = (fuzzer.Mutator(first, "a seed", is_text=kind == "config").inputs() for _ in range(2))
    assert list(islice(one, 50)) == list(islice(other, 50))


def test_an_input_that_breaks_a_reader_is_kept(
    fuzzer: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(data: bytes) -> None:
        while data.startswith(b"hang"):
            pass
        raise IndexError(data)

    monkeypatch.setattr(fuzzer, "SAVED", tmp_path)
    monkeypatch.setattr(fuzzer, "SECONDS_PER_INPUT", 0.05)
    monkeypatch.setitem(fuzzer.READERS, "broken", fails)
    found = fuzzer.Findings(fuzzer.Counter(), [], 0.0)
    fuzzer.signal.signal(fuzzer.signal.SIGALRM, fuzzer._raise_hang)
    for data in (b"hang", b"break"):
        fuzzer._try_one("broken", data, found)
    assert ["Hang" in found.failures[0], "IndexError" in found.failures[1]] == [True, True]
    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == [b"break", b"hang"]
    with pytest.raises(IndexError):
        fuzzer.check_one("broken", b"break")
