"""What tests of several folders share: a small client ISO to build from."""

from __future__ import annotations

import gc
import random
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from failback.image.grub import GrubImages
from tests.client_iso import ClientIso

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent
# What starts whole embedded clouds: quick one by one, a minute together.
_PLACES = (
    *("azure", "drs", "ebs", "embedded", "gateway", "google", "google_identity", "google_storage", "lambda_runner"),
    *("objects", "runs", "test_federation.py"),
)
# The agent's whole way in a shell, with metadata and STS beside it; its parts have quick tests of their own.
_ELSEWHERE = ("image/agent/test_agent.py",)
RUNS = ROOT / "localcloud" / "runs"
# Whole estates on a clock of their own: they start every embedded cloud, and take as long as whole runs.
VIRTUAL = ROOT / "virtual"
EMBEDDED = (*(ROOT / "localcloud" / name for name in _PLACES), *(ROOT / name for name in _ELSEWHERE), VIRTUAL)
EMBEDDED_FILES = (
    "test_way_of_an_image.py",
    "test_servers_map.py",
    "test_states_battery.py",
    "test_schedules.py",
    "test_faults.py",
    "test_launch_on_drs.py",
)
# What stays among the fast ones of the folders above: it starts nothing.
QUICK_FILES = (VIRTUAL / "test_interpreter.py",)


# A contract whose fast half is in memory; of Azure's adapter one test goes the whole way quickly.
CLIENT_MACHINES = ROOT / "home" / "test_client_machines.py"
TAKEOVERS = ROOT / "home" / "test_takeovers.py"
QUICK_IN_AZURE = "test_an_address_is_there_before_the_machine_and_stays[azure]"
# Commands against an embedded AWS, which those tests ask for by this fixture; what they print is tested without.
COMMANDS, DEPLOYED = ROOT / "cli", "cloud"


@cache
def _is_embedded(path: Path) -> bool:
    """Whether all tests of a file start embedded clouds."""
    if path in QUICK_FILES:
        return False
    return path.name in EMBEDDED_FILES or any(path.is_relative_to(place) for place in EMBEDDED)


def _has_whole_runs(item: pytest.Item) -> bool:
    return item.path.is_relative_to(RUNS) or item.path.is_relative_to(VIRTUAL)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave unread, when marks leave them out, the files of the embedded clouds: reading them takes seconds."""
    left_out = "not embedded" in config.getoption("markexpr") and collection_path.suffix == ".py"
    return True if left_out and _is_embedded(collection_path) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without looking for garbage, and never look through what was collected: it stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    """Have `--dist loadfile` take files in the order of collection, not those of many tests before those of few."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the embedded clouds, before marks select."""
    # A file of whole runs takes minutes by few tests: begun last, it would leave one worker idle for as long.
    items.sort(key=lambda item: not _has_whole_runs(item))
    for item in items:
        if item.path == CLIENT_MACHINES and "[azure" in item.name and item.name != QUICK_IN_AZURE:
            item.add_marker(pytest.mark.embedded)
        if item.path == TAKEOVERS and "[azure" in item.name:
            item.add_marker(pytest.mark.embedded)
        if item.path.is_relative_to(COMMANDS) and DEPLOYED in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.embedded)
        if _is_embedded(item.path):
            item.add_marker(pytest.mark.embedded)
        # Whole runs take their time on a busy machine; those that say their own limit keep it.
        if _has_whole_runs(item) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(480))


@pytest.fixture(scope="session", autouse=True)
def _models_read_once() -> Iterator[None]:
    """Read botocore's model of a service once a process, not once a session: EC2's takes a quarter of a second."""
    from botocore.loaders import JSONFileLoader

    read = cache(JSONFileLoader().load_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _self, path: read(path))
        yield


@pytest.fixture
def grub() -> GrubImages:
    """Something of GRUB's shape and size, for tests that don't boot it."""
    noise = random.Random(2).randbytes
    return GrubImages(boot=noise(512), core=noise(160_000), efi=noise(600_000), version="test")


@pytest.fixture(scope="session")
def whole_iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A client ISO that lacks nothing."""
    return ClientIso().write(tmp_path_factory.mktemp("whole"))
