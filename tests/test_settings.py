"""A function's environment becomes settings, or one error that names every variable that's wrong."""

from __future__ import annotations

import pytest

from failback.errors import DeploymentInvalid
from failback.settings import FunctionSettings

WHOLE = {"FAILBACK_STAGE": "fetch_iso", "FAILBACK_TABLE": "log", "FAILBACK_BUCKET": "images", "AWS_REGION": "eu-west-1"}


def test_what_is_set_is_read() -> None:
    functions = '{"azure": {"boot_test": "f"}}'
    more = {
        "FAILBACK_FUNCTIONS": functions,
        "FAILBACK_HOME": "azure",
        "FAILBACK_DEADLINE_MINUTES": "90",
        "PATH": "/bin",
    }
    settings = FunctionSettings.from_environment({**WHOLE, **more})
    assert settings.functions == {"azure": {"boot_test": "f"}}
    assert (settings.home, settings.deadline_minutes, settings.region) == ("azure", 90, "eu-west-1")


def test_what_is_left_out_has_a_default() -> None:
    settings = FunctionSettings.from_environment({**WHOLE, "FAILBACK_HOME": ""})
    assert (settings.home, settings.functions, settings.azure_arm) == (None, {}, "")


def test_a_slice_is_what_is_set_or_what_is_usual() -> None:
    settings = FunctionSettings.from_environment({**WHOLE, "FAILBACK_SLICE_MIB": "", "FAILBACK_SILENCE_SECONDS": "8"})
    assert (settings.slice_bytes(7), settings.silence_seconds) == (7, 8)
    settings = FunctionSettings.from_environment({**WHOLE, "FAILBACK_SLICE_MIB": "2"})
    assert (settings.slice_bytes(7), settings.silence_seconds) == (2 << 20, None)


def test_every_fault_is_named_by_its_variable() -> None:
    with pytest.raises(DeploymentInvalid) as caught:
        FunctionSettings.from_environment({"FAILBACK_DEADLINE_MINUTES": "0", "FAILBACK_FUNCTIONS": "{"})
    for name in ("FAILBACK_STAGE", "FAILBACK_TABLE", "FAILBACK_BUCKET", "AWS_REGION", "DEADLINE_MINUTES", "FUNCTIONS"):
        assert name in str(caught.value)
