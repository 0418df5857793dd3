"""The commands of the stand-in's root file system, as tools.conf lists them."""

from __future__ import annotations

from pathlib import Path

CONFIGURATION = Path(__file__).with_name("tools.conf")


def read_tools() -> dict[str, str]:
    """Command -> what for: `offered` (the agent may count on it), `boot`, or `private` (the stand-in's own)."""
    lines = CONFIGURATION.read_text().splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    return {name: purpose for purpose, *names in words for name in names}


def list_tools() -> str:
    """The record that lies beside the ISO and inside it: one command a line, with what it's there for."""
    return "".join(f"{name} {purpose}\n" for name, purpose in sorted(read_tools().items()))
