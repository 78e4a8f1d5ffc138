"""Invoke tasks that create, update and deploy AI assistants with typed output."""

from __future__ import annotations

from .assistant import Assistant
from .errors import (
    AsstError,
    DeclarationError,
    PlatformError,
    Refused,
    RowsFailed,
    SettingsError,
    StoreError,
)

__all__ = [
    "Assistant",
    "AsstError",
    "DeclarationError",
    "PlatformError",
    "Refused",
    "RowsFailed",
    "SettingsError",
    "StoreError",
]
