"""The base of all models: frozen, and strict about names, so that a misspelt field is an error and not a default."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Facts(BaseModel):
    """A frozen record that knows every one of its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
