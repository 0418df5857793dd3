"""What a server runs."""

from __future__ import annotations

from typing import Literal

GuestOs = Literal["linux", "windows"]
