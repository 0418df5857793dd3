"""Checks at real clouds: never run unless asked for by `-m live`, each skipped where its variables aren't set."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest

# In a run of everything they've been imported, and rewritten, before.
for name in ("tests.contracts", "tests.home.test_contract"):
    if not any(module == name or module.startswith(f"{name}.") for module in sys.modules):
        pytest.register_assert_rewrite(name)

FOLDER = Path(__file__).resolve().parent
# Azure takes minutes for a machine, AWS for a snapshot; a whole preparation has a limit of its own.
LONGEST = 1800


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what's here, before marks select; whoever hasn't asked for it doesn't get it."""
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.live)
            item.add_marker(pytest.mark.timeout(LONGEST), append=False) if not item.get_closest_marker(
                "timeout"
            ) else None
            if "live" not in config.option.markexpr:
                item.add_marker(pytest.mark.skip(reason="needs an account: ask for it by -m live (docs/live.md)"))


@pytest.fixture(scope="session")
def run() -> str:
    """The name under which everything of these checks is tagged."""
    return f"live-{secrets.token_hex(4)}"
