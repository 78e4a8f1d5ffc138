"""Invoke tasks that create, update and deploy AI assistants with typed output.

PYTEST_DONT_REWRITE: pytest would warn of modules that the tasks have imported before it starts.
"""

from __future__ import annotations

from .ask.reply import Reply, Usage
from .assistant import Assistant, ReplyStream
from .errors import (
    AnswerError,
    AnswerIncomplete,
    AnswerInvalid,
    AnswerRefused,
    AsstError,
    DeclarationError,
    NotCreated,
    PlatformError,
    Refused,
    RowsFailed,
    SchemaWarning,
    SettingsError,
    StoreError,
)
from .text import printable

__all__ = [
    "AnswerError",
    "AnswerIncomplete",
    "AnswerInvalid",
    "AnswerRefused",
    "Assistant",
    "AsstError",
    "DeclarationError",
    "NotCreated",
    "PlatformError",
    "Refused",
    "Reply",
    "ReplyStream",
    "RowsFailed",
    "SchemaWarning",
    "SettingsError",
    "StoreError",
    "Usage",
    "printable",
]
